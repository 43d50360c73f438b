"""chat send and chat receive, in the lab's nodes: started, their JSON lines read. Import after nodes."""

import os
import subprocess
from functools import partial

from nodes import check
from chats import HOMES, Process
from schemas import wrong as unlike

SERVER = "203.0.113.1"


class Side(Process):
    """One process, in a node, with a home of its own."""

    check_line = staticmethod(partial(unlike, "chat-send"))

    def __init__(self, node, *args, stdin=subprocess.DEVNULL):
        home = os.path.join(HOMES, f"handover-{node}")
        super().__init__(node, home, *args, "--json", "--server", SERVER, stdin=stdin)

    def wait(self, event, deadline=60, **fields):
        return super().wait(event, deadline, **fields)

    def told(self, event):
        """Everything of that kind that it has told until its end."""
        self.wait("nothing is called so")
        return [told for told in self.events if told["event"] == event]

    def code(self, deadline=60):
        return super().code(deadline)

    def __str__(self):
        return f"{self.node}: {self.events[-4:]} {b''.join(self.errors).decode()}"


def send(*files, node="alice", args=()):
    """A sender that waits; it, and its code."""
    sender = Side(node, "send", *files, *args)
    told = sender.wait("code")
    check(f"{node} is told a code", bool(told), sender)
    if not told:
        raise SystemExit(1)
    return sender, told["code"]


def receive(code, into, node="bob", args=()):
    return Side(node, "receive", code, "--yes", "--into", into, *args)


def wrong(code):
    """Another code with the same number."""
    number, *words = code.split("-", 2)
    other = "croissant-lavender"
    return f"{number}-{other if '-'.join(words) != other else 'lavender-croissant'}"
