"""Sockets in the lab's nodes, held by one process, and what can be asked of them.

A socket stays in the network namespace that it was made in, so a test reads as one story:
who sends, who hears. "Not heard" is never a pause: a packet that must arrive is sent after the
one that must not, on the same way.
"""

import ctypes
import itertools
import os
import re
import socket
import subprocess
import threading
import time

libc = ctypes.CDLL(None, use_errno=True)
S1, S2 = os.environ["PINHOLE_S1"], os.environ["PINHOLE_S2"]
DEADLINE = float(os.environ.get("DEADLINE", 30))  # seconds, for what must come, however slow the machine
serial = itertools.count()


def enter(node):
    with open(f"/run/netns/{node}") as namespace:
        if libc.setns(namespace.fileno(), 0x40000000):
            raise OSError(ctypes.get_errno(), f"setns {node}")


class Udp:
    """A UDP socket in a node."""

    def __init__(self, node, ip="0.0.0.0", port=0):
        enter(node)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((ip, port))
        self.node = node
        self.port = self.socket.getsockname()[1]

    def send(self, to, ttl=64):
        """Send one packet that nobody has sent before, and return what it says."""
        said = f"{self.node} {next(serial)}".encode()
        self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        self.socket.sendto(said, to)
        return said

    def hear(self, said, deadline=DEADLINE):
        """Wait for these words; the address that they came from, or None. Others are lost."""
        end = time.monotonic() + deadline
        while (left := end - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                heard, sender = self.socket.recvfrom(100)
            except TimeoutError:
                break
            if heard == said:
                return sender
        return None

    def hears(self, said, last):
        """Whether these words come before the last ones, which must come."""
        end = time.monotonic() + DEADLINE
        found = False
        while (left := end - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                heard, _ = self.socket.recvfrom(100)
            except TimeoutError:
                break
            found |= heard == said
            if heard == last:
                return found
        raise AssertionError(f"{self.node} did not hear the last words {last}")


def learn(inside, outside, ip=None, port=None):
    """What outside sees when inside sends to it."""
    seen = outside.hear(inside.send((ip or outside.socket.getsockname()[0], port or outside.port)))
    assert seen, f"nothing of {inside.node} came to {outside.node}"
    return seen


def slow(size, seconds):
    """The way to bob takes so long for a file of this size, so that there is a middle to break it in."""
    enter("core")
    rate = ["rate", f"{size * 8 / seconds:.0f}bit", "burst", str(max(size // 100, 256 * 1024)), "latency", "50ms"]
    subprocess.check_call(["tc", "qdisc", "add", "dev", "bob", "root", "tbf", *rate])


def until(condition, deadline=DEADLINE):
    """Poll a condition; what it was at last."""
    end = time.monotonic() + deadline
    while not (good := condition()) and time.monotonic() < end:
        time.sleep(0.01)
    return good


def line(process, pattern, deadline=60, of="stderr"):
    """Read what it says until a line matches: nothing is ready before it says so. None, and it is ended, if none does in time."""
    late = threading.Timer(deadline, process.kill)
    late.start()
    try:
        while said := getattr(process, of).readline():
            if found := re.search(pattern, said):
                return found
        return None
    finally:
        late.cancel()


passed = failed = 0


def check(what, good, why=""):
    """One line for each thing checked; the shell around counts them."""
    global passed, failed
    if good:
        passed += 1
    else:
        failed += 1
    print(f"{'ok   ' if good else 'FAIL '} {what}{'' if good or why == '' else f': {why}'}", flush=True)


def done():
    raise SystemExit(1 if failed else 0)
