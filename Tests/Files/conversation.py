"""A conversation at a terminal:  python3 Tests/Files/conversation.py [--build debug] [--model DIR]

Types at dora-generate --interactive through a pseudo terminal, with a model of its own and over a socket: editing, history,
several lines, a paste, commands, Ctrl-C during an answer and twice at an empty prompt, Ctrl-D, Ctrl-Z, SIGTERM. Fails if an answer,
the screen or the terminal's settings are not what they should be.
"""
import os
import pty
import select
import signal
import subprocess
import sys
import tempfile
import termios
import time

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.normpath(os.path.join(HERE, "../.."))


def option(name, default):
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else default


BUILD = f"{REPOSITORY}/.build/{option('--build', 'release')}"
MODEL = option("--model", f"{REPOSITORY}/models/base")
# The demo model knows no conversation: what it is asked is the text of the last turn, behind those before.
TEMPLATE = "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:"


def check(condition, text):
    print("ok  " if condition else "FAILED", text, flush=True)
    if not condition:
        sys.exit(1)


class Conversation:
    def __init__(self, options, command=None):
        self.parent, child = pty.openpty()
        self.child = child
        self.before = termios.tcgetattr(child)
        self.process = subprocess.Popen(
            command or [f"{BUILD}/dora-generate", *options, "--interactive"], stdin=child, stdout=child, stderr=child,
            start_new_session=True, preexec_fn=lambda: __import__("fcntl").ioctl(0, termios.TIOCSCTTY, 0))
        self.screen = ""
        self.mark = 0

    def type(self, text):
        os.write(self.parent, text.encode())

    def read(self, seconds):
        end = time.time() + seconds
        while (left := end - time.time()) > 0:
            if not select.select([self.parent], [], [], left)[0]:
                break
            try:
                data = os.read(self.parent, 65536)
            except OSError:
                break
            if not data:
                break
            self.screen += data.decode(errors="replace")
            yield

    def wait(self, text, seconds=60):
        """What was shown since the last wait, up to `text`."""
        reading = self.read(seconds)
        while (found := self.screen.find(text, self.mark)) < 0:
            if next(reading, self) is self:
                print(repr(self.screen[self.mark:]))
                check(False, f"{text!r} is shown")
        shown = self.screen[self.mark:found]
        self.mark = found + len(text)
        return shown

    def turn(self, text):
        """The answer to a message, as it is shown."""
        self.type(text + "\r")
        self.wait("\n")
        shown = self.wait("\x1b[?2004h")
        return shown.rsplit("\x1b[?2004l", 1)[-1].replace("\r\n", "\n").strip()

    def end(self):
        for _ in self.read(0.5):
            pass
        status = self.process.wait(20)
        check(termios.tcgetattr(self.child) == self.before, "the terminal is as it was")
        os.close(self.child)
        os.close(self.parent)
        return status


def converse(name, options, adapters):
    print(f"--- {name}")
    talk = Conversation([*options, "--max-tokens", "24"])
    talk.wait("> ")
    first = talk.turn("What is the capital of France?")
    check(first != "" or adapters, f"an answer: {first!r}")
    second = talk.turn("And of Italy?")
    talk.type("/reset\r")
    talk.wait("\x1b[?2004h")
    check(talk.turn("What is the capital of France?") == first, "after /reset the same question has the same answer")
    check(talk.turn("And of Italy?") == second, "and the next, too")
    # The same text, made by editing: a wrong word, the way back to it, wide letters typed and deleted.
    talk.type("/reset\r")
    talk.wait("\x1b[?2004h")
    check(talk.turn("is the capital of Spain\x17Franze\x1b[D\x7fc\x05?日本\x7f\x7f\x01What ") == first, "editing")
    talk.type("/reset\r")
    talk.wait("\x1b[?2004h")
    talk.type("\x1b[A" * 2)
    check(talk.turn("") == first, "history")
    talk.type("/reset\r")
    talk.wait("\x1b[?2004h")
    lines = talk.turn('one\\\rtwo')
    talk.wait("> ")
    talk.type("/reset\r")
    talk.wait("\x1b[?2004h")
    check(talk.turn("\x1b[200~one\ntwo\x1b[201~") == lines, "a line that goes on is a paste of two")
    talk.type("/system Answer in one word.\r/adapter nobody\r")
    talk.wait("there is no adapter 'nobody'")
    talk.wait("\x1b[?2004h")
    talk.type("/adapter\r")
    shown = talk.wait("\x1b[?2004h")
    for adapter in adapters:
        check(adapter in shown, f"/adapter lists {adapter}")
    talk.type("/nonsense\r")
    talk.wait("there is no command /nonsense")
    talk.wait("\x1b[?2004h")
    if adapters:
        for command in (f"/adapter {adapters[0]}", "/reset"):
            talk.type(command + "\r")
            talk.wait("\x1b[?2004h")
        talk.turn("What is the capital of France?")
        check("unknown_adapter" not in talk.screen[-500:], f"/adapter {adapters[0]} answers")
    talk.type("half a line\x03")
    talk.wait("^C")
    talk.type("\x03")
    talk.wait("once more")
    talk.type("\x03")
    check(talk.end() == 0, "Ctrl-C twice at an empty prompt ends it")

    talk = Conversation([*options, "--max-tokens", "100000", "--ignore-eos"])
    talk.wait("> ")
    talk.type("Tell me a long story.\r")
    talk.wait("\x1b[?2004l")
    # At its first piece: all that fits the demo model's context is made in a tenth of a second.
    for _ in talk.read(60):
        if len(talk.screen) > talk.mark:
            break
    talk.type("\x03")
    begin = time.time()
    talk.wait("(stopped)", 10)
    check(time.time() - begin < 3, "Ctrl-C stops the answer")
    talk.type("/help\r")
    talk.wait("/adapter NAME")
    check(talk.process.poll() is None, "and not the program")
    talk.wait("> ")
    talk.type("\x04")
    check(talk.end() == 0, "Ctrl-D ends it")

    talk = Conversation(options)
    talk.wait("> ")
    talk.process.send_signal(signal.SIGTERM)
    check(talk.end() == 128 + signal.SIGTERM, "SIGTERM ends it")

    # Under a shell, for job control is the shell's.
    talk = Conversation([], ["bash", "--norc", "--noprofile", "-i"])
    talk.type(" ".join([f"{BUILD}/dora-generate", *options, "--max-tokens", "24", "--interactive"]) + "\r")
    talk.wait("--interactive\r\n\x1b[?2004l")
    talk.wait("\x1b[?2004h")
    talk.type("half a line\x1a")
    talk.wait("Stopped")
    talk.type("echo $((6 * 7))\r")
    talk.wait("\r42")
    talk.type("fg\r")
    talk.wait("half a line")
    talk.type("\x15What is the capital of France?\r")
    talk.wait("\x1b[?2004l")
    check(talk.wait("\x1b[?2004h").replace("\r\n", "\n").strip() == first, "Ctrl-Z leaves it, fg brings it back")
    talk.type("\x15\x04")
    talk.wait("bash-")
    talk.type("exit\r")
    check(talk.end() == 0, "and it ends")


def main():
    folder = tempfile.mkdtemp()
    with open(f"{folder}/template.jinja", "w") as file:
        file.write(TEMPLATE)
    adapters = [] if "--model" in sys.argv else ["sentiment", "topic"]
    model = ["--model", MODEL]
    if adapters:
        model += ["--adapter-root", f"{REPOSITORY}/models/adapters", "--chat-template", f"{folder}/template.jinja"]
    server = subprocess.Popen(
        [f"{BUILD}/dora-serve", *model, "--listen", f"unix:{folder}/socket", "--log-level", "error"], stdout=subprocess.PIPE)
    server.stdout.readline()
    try:
        converse("a model of its own", model, adapters)
        converse("over a socket", ["--connect", f"unix:{folder}/socket"], adapters)
        piped = subprocess.run([f"{BUILD}/dora-generate", "--connect", f"unix:{folder}/socket", "--interactive", "--max-tokens", "8"],
                               input=b"What is the capital of France?\n/reset\nWhat is the capital of France?\n", capture_output=True)
        answers = piped.stdout.split(b"\n")
        check(piped.returncode == 0 and len(answers) == 3 and answers[0] == answers[1], f"of a pipe each line is a turn: {answers[0]}")
    finally:
        server.kill()


if __name__ == "__main__":
    main()
