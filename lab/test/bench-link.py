"""How exact a link is, and what it costs; argv: delay in ms, frames. Run in a lab with --link alice=none; alice is open."""

import json
import os
import socket
import struct
import subprocess
import sys
import time

from nodes import S1, Udp, enter

DELAY, FRAMES = float(sys.argv[1]), int(sys.argv[2])
alice, server = Udp("alice", "203.0.113.18", 48000), Udp("server", S1, 7001)
server.socket.setsockopt(socket.SOL_SOCKET, 35, 1)  # SO_TIMESTAMPNS: the kernel's time, without the wait for Python
natlink = f"{os.environ['PINHOLE_BIN']}/natlink"
pid = int(subprocess.check_output(["pgrep", "-x", "natlink"]))


def set_link(words):
    subprocess.run([natlink, "set", f"alice={words}"], check=True)


def delays(apart):
    """How long each frame took from alice to the server, in microseconds, sorted."""
    took = []

    def arrived(timeout):
        """Take one frame, if there is one within the timeout."""
        server.socket.settimeout(timeout)
        try:
            data, (control, *_), *_ = server.socket.recvmsg(100, 100)
        except (BlockingIOError, TimeoutError):
            return False
        seconds, nanoseconds = struct.unpack("qq", control[2])
        took.append((seconds * 10**9 + nanoseconds - struct.unpack("q", data)[0]) / 1e3)
        return True

    for _ in range(FRAMES):
        alice.socket.sendto(struct.pack("q", time.time_ns()), (S1, 7001))
        end = time.monotonic() + apart
        while time.monotonic() < end:
            arrived(0)
    while arrived(1):
        pass
    return sorted(took)


def at(part, values):
    return values[min(len(values) - 1, int(part * len(values)))]


set_link("none")
plain = delays(0.001)
set_link(f"delay:{DELAY}ms")
late = delays(0.001)
base = at(0.5, plain)
error = sorted(took - DELAY * 1e3 - base for took in late)
print(f"carried without a delay, microseconds        p50 {base:.0f}  p99 {at(0.99, plain):.0f}")
print(f"error of a delay of {DELAY:g} ms, microseconds        p50 {at(0.5, error):.0f}  p99 {at(0.99, error):.0f}  of {len(late)} frames")


def cpu():
    """CPU seconds that natlink has used."""
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def flood(words, seconds=3):
    set_link(words)
    carried = lambda: sum(one["arrived"] for one in json.loads(subprocess.check_output([natlink, "show", "--json"]))["links"])
    frames, used, end = carried(), cpu(), time.monotonic() + seconds
    while time.monotonic() < end:
        for _ in range(100):
            alice.socket.sendto(b"x" * 100, (S1, 7001))
    frames, used = carried() - frames, cpu() - used
    print(f"{words:<32} {frames / seconds:9.0f} frames a second carried  {frames / used:9.0f} in a second of one core")


flood("none")
flood("delay:20ms,jitter:5ms,loss:1%")

set_link("none")
enter("server")
listener = socket.create_server((S1, 7002))
enter("alice")
if os.fork() == 0:
    stream, _ = listener.accept()
    while stream.recv(1 << 20):
        pass
    os._exit(0)
with socket.create_connection((S1, 7002)) as stream:
    sent, end, data = 0, time.monotonic() + 3, b"x" * (1 << 20)
    while time.monotonic() < end:
        stream.sendall(data)
        sent += len(data)
print(f"one TCP connection                           {sent * 8 / 3e6:.0f} mbit a second")
