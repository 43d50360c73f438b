"""The packets of each node of a lab, as FOLDER/NODE.pcapng, with the name of the interface and the direction of each.

argv: FOLDER NODE…. It prints "ready" when it captures, and ends, with whole files, at SIGTERM. One
process captures in all nodes: a socket stays in the network namespace in which it was made. tcpdump does not do: as root,
which an ordinary user is in the lab as well, it becomes another user, and that user namespace has no other.
"""

import ctypes
import selectors
import signal
import socket
import struct
import sys

ALL, OUTGOING, LOOPBACK = 3, 4, 772  # ETH_P_ALL, PACKET_OUTGOING, ARPHRD_LOOPBACK
SO_TIMESTAMPNS, SO_RCVBUFFORCE, SOL_PACKET, PACKET_STATISTICS = 35, 33, 263, 6
LARGEST = 1 << 17  # bytes of a frame; a super-frame of a veth has 64 KiB
BUFFER = 8 << 20  # bytes of packets that may wait in a socket
libc = ctypes.CDLL(None, use_errno=True)


def block(kind, body):
    """A block of pcapng: its length is at both ends."""
    body += b"\0" * (-len(body) % 4)
    length = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + length + body + length


def option(code, value):
    return struct.pack("<HH", code, len(value)) + value + b"\0" * (-len(value) % 4)


class Capture:
    """A node, its socket and its file."""

    def __init__(self, folder, node):
        with open(f"/run/netns/{node}") as namespace:
            if libc.setns(namespace.fileno(), 0x40000000):
                raise OSError(ctypes.get_errno(), f"cannot enter {node}")
        self.node, self.interfaces = node, {}
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL))
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
        except OSError:  # an older kernel allows it to root alone
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        self.file = open(f"{folder}/{node}.pcapng", "wb")
        self.file.write(block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + option(3, node.encode())))
        self.file.flush()

    def interface(self, name):
        """Its number in the file; an interface that is new gets a block."""
        if name not in self.interfaces:
            self.interfaces[name] = len(self.interfaces)
            # Ethernet, whole frames, a name, and nanoseconds
            self.file.write(block(1, struct.pack("<HHI", 1, 0, 0) + option(2, name.encode()) + option(9, b"\x09") + option(0, b"")))
        return self.interfaces[name]

    def read(self):
        """Writes what waits in the socket."""
        while True:
            try:
                frame, said, _, (name, _, kind, hardware, _) = self.socket.recvmsg(LARGEST, 64)
            except BlockingIOError:
                break
            except OSError:  # the interface went down
                continue
            if hardware == LOOPBACK and kind == OUTGOING:
                continue  # it comes in as well
            seconds, nanoseconds = next(struct.unpack("qq", data[:16]) for level, code, data in said if code == SO_TIMESTAMPNS)
            at = seconds * 10**9 + nanoseconds
            body = struct.pack("<IIIII", self.interface(name), at >> 32, at & 0xFFFFFFFF, len(frame), len(frame))
            body += frame + b"\0" * (-len(frame) % 4)
            self.file.write(block(6, body + option(2, struct.pack("<I", 2 if kind == OUTGOING else 1)) + option(0, b"")))
        self.file.flush()

    def end(self):
        self.read()
        self.file.close()
        _, dropped = struct.unpack("II", self.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        if dropped:
            print(f"--pcap: {dropped} packets of {self.node} are missing: they came faster than they could be written",
                  file=sys.stderr)


captures = [Capture(sys.argv[1], node) for node in sys.argv[2:]]
waiting = selectors.DefaultSelector()
wakened, waker = socket.socketpair()
waker.setblocking(False)
signal.set_wakeup_fd(waker.fileno())
signal.signal(signal.SIGTERM, lambda *_: None)
signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the lab, and the lab this
waiting.register(wakened, selectors.EVENT_READ)
for capture in captures:
    waiting.register(capture.socket, selectors.EVENT_READ, capture)
print("ready", flush=True)
done = False
while not done:
    for key, _ in waiting.select():
        if key.data:
            key.data.read()
        else:
            done = True
for capture in captures:
    capture.end()
