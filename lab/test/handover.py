"""chat send and chat receive, in the lab's nodes: started, their JSON lines read. Import after nodes."""

import atexit
import json
import os
import queue
import shutil
import subprocess
import tempfile
import threading
import time

from nodes import check
from schemas import wrong as unlike

HOMES = tempfile.mkdtemp(prefix="handover-", dir="/run")
atexit.register(shutil.rmtree, HOMES, ignore_errors=True)
SERVER = "203.0.113.1"


class Side:
    """One process, in a node, with a home of its own."""

    def __init__(self, node, *args, stdin=subprocess.DEVNULL):
        self.node, self.events, self.queue = node, [], queue.Queue()
        self.home = os.path.join(HOMES, node)
        os.makedirs(self.home, exist_ok=True)
        command = ["ip", "netns", "exec", node, "chat", *args, "--json", "--server", SERVER]
        env = os.environ | {"PINHOLE_HOME": self.home}
        self.process = subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
        self.errors = []
        threading.Thread(target=self.read, daemon=True).start()
        threading.Thread(target=lambda: self.errors.extend(self.process.stderr), daemon=True).start()
        atexit.register(self.kill)

    def read(self):
        for line in self.process.stdout:
            event = json.loads(line)
            if why := unlike("chat-send", event):
                check("a line is as chat-send.json describes it", False, why)
            self.queue.put(event)
        self.queue.put(None)

    def wait(self, event, deadline=60, **fields):
        """The next event of that kind with those fields; None if it does not come."""
        end = time.monotonic() + deadline
        while (left := end - time.monotonic()) > 0:
            try:
                told = self.queue.get(timeout=left)
            except queue.Empty:
                return None
            if told is None:
                self.queue.put(None)
                return None
            self.events.append(told)
            if told["event"] == event and all(told.get(key) == value for key, value in fields.items()):
                return told
        return None

    def told(self, event):
        """Everything of that kind that it has told until its end."""
        self.wait("nothing is called so")
        return [told for told in self.events if told["event"] == event]

    def code(self, deadline=60):
        try:
            return self.process.wait(deadline)
        except subprocess.TimeoutExpired:
            return "still there"

    def kill(self):
        self.process.kill()
        self.process.wait()

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
