"""The line protocol behind HAProxy in TCP mode."""
import json
import socket
import threading
import time

from load import PROMPT
from replicas import Balancer
from report import expect


def ask(port, **request):
    """One connection, one request, its last line."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall((json.dumps(request) + "\n").encode())
        return json.loads(connection.makefile().readline())


def generated(replicas):
    """Requests that each replica has answered."""
    return [int(replica.metric("dora_requests_total")) for replica in replicas]


def line_protocol(replicas, root):
    proxy = Balancer("lines.cfg", [replica.lines for replica in replicas])
    try:
        strays = 0
        for number in range(12):
            before = generated(replicas)
            for item in range(4):
                ask(proxy.port, prompt=PROMPT.format(item), adapter=f"a{number:02}", max_tokens=4)
            took = [now - then for now, then in zip(generated(replicas), before)]
            strays += 4 - max(took)
        expect(f"lines: {strays} of 48 connections went elsewhere than the others of their adapter", strays == 0)

        before = generated(replicas)
        for _ in range(30):
            with socket.create_connection(("127.0.0.1", proxy.port)) as connection:
                connection.sendall(b"Profit rose.\n")
                connection.makefile().readline()
        took = [now - then for now, then in zip(generated(replicas), before)]
        expect(f"lines: plain prompts go round: {took}", min(took) >= 5)

        answers, problems, stopping = [], [], threading.Event()

        def run(seed):
            turn = 0
            while not stopping.is_set():
                turn += 1
                try:
                    reply = ask(proxy.port, prompt=PROMPT.format(0), adapter=f"a{(seed + turn) % 30:02}", max_tokens=16,
                                logprobs=0, ignore_eos=True)
                    answers.append(json.dumps([reply["token_ids"], reply["logprobs"]]))
                except Exception as problem:
                    problems.append(repr(problem))

        threads = [threading.Thread(target=run, args=(seed,)) for seed in range(6)]
        for thread in threads:
            thread.start()
        time.sleep(1)
        replicas[2].drain()
        code = replicas[2].process.wait(60)
        stopping.set()
        for thread in threads:
            thread.join()
        replicas[2].start()
        proxy.wait_for(3)
        expect(f"lines: drain under load: {len(answers)} answered, {len(problems)} lost {problems[:1]}, ended with {code}",
               not problems and code == 0 and len(set(answers)) == 1)
    finally:
        proxy.stop()
