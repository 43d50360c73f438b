"""The prompt, through a pseudo-terminal: what a person sees and types."""

import os
import pty
import select
import subprocess
import termios
import time

from nodes import check, done, enter
from chats import HOMES, Chat


class Terminal:
    """chat on a terminal of its own."""

    def __init__(self, node, *args, env=()):
        self.near, far = pty.openpty()
        termios.tcsetwinsize(far, (40, 120))
        self.far = far
        self.before = termios.tcgetattr(far)
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", node, "chat", *args],
            stdin=far,
            stdout=far,
            stderr=far,
            start_new_session=True,
            env={k: v for k, v in os.environ.items() if k not in ("PINHOLE_SERVER", "PINHOLE_NAME")}
            | {"TERM": "xterm", "PINHOLE_HOME": os.path.join(HOMES, "terminal")} | dict(env),
        )
        self.seen = ""

    def type(self, text):
        os.write(self.near, text.encode())

    def sees(self, text, deadline=10):
        """Whether this appears from now on; what came before it is taken."""
        end = time.monotonic() + deadline
        while text not in self.seen:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.near], [], [], left)[0]:
                return False
            self.seen += os.read(self.near, 65536).decode(errors="replace")
        self.taken, self.seen = self.seen.split(text, 1)
        return True


bob = Chat("bob", "bob")
bob.wait("registered")
alice = Terminal("alice")
check("it asks for the server", alice.sees("Which rendezvous server"), alice.seen)
alice.type(os.environ["PINHOLE_S1"] + "\r")
check("and for the name", alice.sees("Your name"), alice.seen)
alice.type("alice\r")
check("it registers", alice.sees("registered as alice"), alice.seen)
alice.type("hello?\r")
check("nobody to talk to yet", alice.sees("no peer is chosen; type /connect NAME"), alice.seen)
alice.type("/conn\t")
check("a command is completed", alice.sees("/connect "), alice.seen)
alice.type("bob\r")
check("the conversation opens", alice.sees("bob is connected: direct"), alice.seen)
check("the prompt says with whom", alice.sees("bob> "), alice.seen)
alice.type("hello bob, größe 👋🏽\r")
check("bob hears", bob.wait("message", text="hello bob, größe 👋🏽"), bob.events)
check("alice sees that he did", alice.sees("✓ bob has it"), alice.seen)
alice.type("half a li")
check("half a line is there", alice.sees("half a li"), alice.seen)
bob.type("I interrupt \x1b[2J\x1b]0;owned\x07 you")
check("bob's message appears", alice.sees("bob: I interrupt"), alice.seen)
check("his escape sequences do not reach the terminal", alice.sees("\ufffd[2J\ufffd]0;owned\ufffd you"), repr(alice.seen))
check("and the half line comes back after it", alice.sees("half a li"), repr(alice.seen))
alice.type("ne\r")
check("and is sent whole", bob.wait("message", text="half a line"), bob.events[-3:])
alice.type("\x1b[A\x1b[A\r")
check("the history has what was said", bob.wait("message", text="hello bob, größe 👋🏽"), bob.events[-3:])
alice.type("/verify b\t\r")
check("a name is completed", alice.sees("bob has to type /verify"), alice.seen)
bob.type("/verify alice")
check("both have asked", alice.sees("compare with bob"), alice.seen)
check("and see the same digits", alice.sees(bob.wait("verify")["digits"]), alice.seen)
alice.type("/nonsense\r")
check("nonsense is told", alice.sees("unknown command /nonsense"), alice.seen)
alice.type("/help\r")
check("there is help", alice.sees("/verify NAME"), alice.seen)
alice.type("/who\r")
check("/who has what peers type", alice.sees("* chat --server 203.0.113.1#") and alice.sees(" --peer alice#"), alice.seen)
check("and a code of it", alice.sees("\x1b[30;107m") and alice.sees("█") and alice.sees("\x1b[0m\r\n"), repr(alice.seen))
alice.type("/path\r")
check("how bob is reached", alice.sees("bob: direct, from 192.168.1.2:8900 to 203.0.113.33:8900"), alice.seen)

# A file on its way, for some seconds: its bar is drawn in place, and one can type beside it.
big = os.path.join(HOMES, "big file")
with open(big, "wb") as file:
    file.write(os.urandom(4 << 20))
enter("core")
subprocess.check_call("tc qdisc add dev bob root tbf rate 16mbit burst 64kb latency 50ms".split())
alice.type(f"/send {big}\r")
offer = bob.wait("offered")
bob.type("/accept")
check("a bar is drawn", alice.sees("▕██"), repr(alice.seen))
alice.type("hello besi")
bob.type("in the middle")
check("a message appears above it", alice.sees("\x1b[A\x1b[2Kbob: in the middle\r\nbig file to bob: ▕"), repr(alice.seen))
alice.type("des\r")
check("what was typed beside it is sent whole", bob.wait("message", text="hello besides"), bob.events[-3:])
check("the file arrives", bob.wait("received", 30), bob.events[-3:])
check("and its bar goes", alice.sees("\x1b[A\x1b[2K\x1b[A") and alice.sees("✓ bob has big file"), repr(alice.seen))
alice.type("/quit\r")
check("/quit ends it with 0", alice.process.wait(10) == 0)
check("bob is told", bob.wait("left", peer="alice"))
check("the terminal is as it was", termios.tcgetattr(alice.far) == alice.before)

for options, environment in ((["--ascii"], ()), ([], {"NO_COLOR": "1"})):
    plain = Terminal("alice", "--server", os.environ["PINHOLE_S1"], "--name", "alice", *options, env=environment)
    plain.sees("registered as alice")
    plain.type("/who\r")
    plain.sees("--peer alice#")
    plain.type("/nonsense\r")
    what = " ".join(options) or next(iter(environment))
    check(f"with {what} there is no code", plain.sees("unknown command") and "\x1b[30;107m" not in plain.taken, repr(plain.taken))
    plain.type("/quit\r")
    plain.process.wait(10)

again = Terminal("alice", "--server", os.environ["PINHOLE_S1"], "--name", "alice", "--peer", "bob")
check("--peer opens it at once", again.sees("bob> ") and again.sees("bob is connected"), again.seen)
again.type("half")
again.sees("half")
again.process.terminate()
again.process.wait(10)
check("killed in the middle of a line, too", termios.tcgetattr(again.far) == again.before)
done()
