"""Chats in the lab's nodes: typed to, and their JSON lines read. Import after nodes."""

import atexit
import json
import os
import queue
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time

from nodes import check, enter

HALT = "table ip halt { chain packets { type filter hook prerouting priority -400; policy drop; }; }"
HOMES = tempfile.mkdtemp(prefix="chats-", dir="/run")
atexit.register(shutil.rmtree, HOMES, ignore_errors=True)


class Process:
    """One chat, in a node, whose JSON lines are read. `check_line` says what is wrong with one."""

    check_line = None

    def __init__(self, node, home, *command, stdin=subprocess.PIPE):
        self.node, self.home, self.events, self.errors = node, home, [], []
        self.queue = queue.Queue()
        os.makedirs(home, exist_ok=True)
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", node, "chat", *command],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | {"PINHOLE_HOME": home},
        )
        threading.Thread(target=self.read, daemon=True).start()
        self.stderr = threading.Thread(target=lambda: self.errors.extend(self.process.stderr), daemon=True)
        self.stderr.start()
        atexit.register(self.kill)

    def read(self):
        for line in self.process.stdout:
            event = json.loads(line)
            if self.check_line and (why := self.check_line(event)):
                check("a line is as its schema describes it", False, why)
            self.queue.put(event)
        self.queue.put(None)

    def wait(self, event, deadline=30, **fields):
        """The next event of that kind with those fields; None if it does not come."""
        end = time.monotonic() + deadline
        while (left := end - time.monotonic()) > 0:
            try:
                told = self.queue.get(timeout=left)
            except queue.Empty:
                break
            if told is None:
                self.queue.put(None)
                break
            self.events.append(told)
            if told["event"] == event and all(told.get(key) == value for key, value in fields.items()):
                return told
        return None

    def code(self, deadline=20):
        """Its exit code, once it has ended."""
        try:
            code = self.process.wait(deadline)
        except subprocess.TimeoutExpired:
            return "still there"
        self.stderr.join(deadline)  # what it wrote last is read after its end
        return code

    def kill(self):
        self.process.kill()
        self.process.wait()


class Chat(Process):
    """A conversation's side, with a home of its own unless told which."""

    def __init__(self, node, name, *args, home=None, stay=True):
        self.name = name
        home = home or os.path.join(HOMES, name)
        self.downloads = os.path.join(home, "downloads")
        words = ["--json", "--name", name, "--downloads", self.downloads]
        super().__init__(node, home, *words, *(["--stay"] if stay else []), *args)

    def type(self, *lines):
        for line in lines:
            self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def hears(self, texts, sender, deadline=30):
        """Whether these messages come, and what came in their place: once, in order, no other."""
        end, heard = time.monotonic() + deadline, []
        while len(heard) < len(texts):
            told = self.wait("message", max(0.01, end - time.monotonic()), **{"from": sender})
            if told is None:
                break
            heard.append(told["text"])
        return heard == list(texts), f"{self.name} heard {heard[-3:]} ({len(heard)} of {len(texts)})"

    def said(self, event):
        """How often this was told so far."""
        return sum(told["event"] == event for told in self.events)

    def end(self, deadline=20):
        """Close its stdin; the exit code."""
        self.process.stdin.close()
        return self.code(deadline)


def meet(alice_args=(), bob_args=(), bob_node="bob"):
    """alice and bob, in a conversation that alice has opened."""
    bob = Chat(bob_node, "bob", *bob_args)
    registered = bob.wait("registered")
    alice = Chat("alice", "alice", "--peer", "bob", *alice_args)
    path = alice.wait("connected")
    met = registered and path and bob.wait("connected")
    check("alice and bob meet", bool(met), f"{alice.events} {bob.events} {alice.errors} {bob.errors}")
    if not met:
        raise SystemExit(1)
    return alice, bob


def talk(alice, bob, mark, count=20, deadline=30):
    """Both say some things at once; both hear them."""
    lines = [f"{mark} {n} with  spaces, größe, 👋🏽" for n in range(count)]
    alice.type(*lines)
    bob.type(*lines)
    start = time.monotonic()
    for one, other in ((alice, bob), (bob, alice)):
        good, why = one.hears(lines, other.name, deadline)
        check(f"{mark}: {one.name} hears {count} messages of {other.name}, once and in order", good, why)
    for one in (alice, bob):
        told = [event["text"] for event in one.events if event["event"] == "delivered"]
        while lines[-1] not in told and (event := one.wait("delivered", deadline)):
            told.append(event["text"])
        told = [text for text in told if text in lines]
        check(f"{mark}: {one.name} is told that each was delivered, once", told == lines, told[-3:])
    return time.monotonic() - start


def reboot(router):
    """The NAT forgets everything: its maps and sets, and conntrack; no packet passes meanwhile,
    or the one would be made anew out of the other."""
    enter(router)
    listed = json.loads(subprocess.check_output(["nft", "-j", "list", "ruleset"], stderr=subprocess.DEVNULL))
    subprocess.run(["nft", "-f", "-"], input=HALT, check=True, text=True)
    for thing in listed["nftables"]:
        for kind in ("map", "set"):
            if kind in thing and "name" in thing[kind]:
                subprocess.check_call(["nft", "flush", kind, "ip", thing[kind]["table"], thing[kind]["name"]])
    # nfnetlink: delete conntrack entries, all of them (IPCTNL_MSG_CT_DELETE without a tuple)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as netlink:
        netlink.send(struct.pack("=IHHII4x", 20, (1 << 8) | 2, 5, 1, 0))
        answer = netlink.recv(4096)
        code = struct.unpack("=i", answer[16:20])[0]
        assert code == 0, f"conntrack was not flushed: {code}"
    subprocess.check_call(["nft", "delete", "table", "ip", "halt"])


def send(sender, size):
    """Sends a file of as many random bytes to whom it talks to; its content."""
    content = os.urandom(size)
    path = os.path.join(sender.home, f"file of {sender.name}")
    with open(path, "wb") as file:
        file.write(content)
    sender.type(f"/send {path}")
    return content


def takes(receiver, content, deadline=60):
    came = receiver.wait("received", deadline)
    whole = came and open(came["path"], "rb").read() == content
    check(f"{receiver.name} gets {len(content)} bytes whole", whole, receiver.events[-2:])


def leave(alice, bob):
    alice.process.terminate()
    check("alice leaves, all delivered", alice.code() == 0, alice.code())
    check("bob is told", bob.wait("left", peer="alice"))
    bob.process.terminate()
    check("bob leaves, all delivered", bob.code() == 0, bob.code())
