"""dora-generate --connect A,B,C: the client knows the replicas and hashes by adapter itself."""
import subprocess

from lines import generated
from load import PROMPT
from replicas import BUILD
from report import expect


def client_hashing(replicas, root):
    addresses = ",".join(f"tcp:127.0.0.1:{replica.lines}" for replica in replicas)

    def ask(adapter, connect=addresses):
        return subprocess.run(
            [BUILD / "dora-generate", "--connect", connect, "--adapter", adapter, "--max-tokens", "16", "--ignore-eos"],
            input=PROMPT.format(0), capture_output=True, text=True)

    expected = ask("a00", addresses.split(",")[0]).stdout
    homes, strays = [], 0
    for number in range(12):
        before = generated(replicas)
        for _ in range(2):
            ask(f"a{number:02}")
        took = [now - then for now, then in zip(generated(replicas), before)]
        strays += 2 - max(took)
        homes.append(took.index(max(took)))
    expect(f"clients: homes of twelve adapters {homes}, {strays} strays", len(set(homes)) == 3 and strays == 0)

    replicas[0].kill()
    runs = [ask(f"a{number:02}") for number in range(12)]
    wrong = [run.stderr for run in runs if run.stdout != expected]
    expect(f"clients: a replica was killed, {12 - len(wrong)} of 12 answered all the same {wrong[:1]}", not wrong)
    replicas[0].start()

    replicas[1].drain()
    runs = [ask(f"a{number:02}") for number in range(12)]
    code = replicas[1].process.wait(60)
    runs += [ask(f"a{number:02}") for number in range(12)]
    wrong = [run.stderr for run in runs if run.stdout != expected]
    expect(f"clients: a replica drained, {24 - len(wrong)} of 24 answered all the same {wrong[:1]}",
           not wrong and code == 0)
    replicas[1].start()

    listed = subprocess.run([BUILD / "dora-generate", "--connect", addresses, "ping"], capture_output=True, text=True)
    expect(f"clients: operations go to each: {listed.stdout.split()}", listed.stdout.count("pong") == 3)
