"""Connects two peers in the simplest way, for the tutorial beside this file.

usage: meet.py ME PEER

Asks a STUN server for our reflexive address, leaves it in a file that the peer reads,
and then sends to the peer's address, ten times in five seconds. It answers nobody else.
"""
import os, pathlib, socket, struct, sys, time

me, peer = sys.argv[1:]
server = os.environ["PINHOLE_S1"], int(os.environ["PINHOLE_PORT"])
folder = pathlib.Path(os.environ["PINHOLE_HOME"])

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(0.5)


def reflexive():
    """Our address as the STUN server sees it (RFC 8489 §14.2)."""
    request = struct.pack("!HHI12s", 0x0001, 0, 0x2112A442, os.urandom(12))
    sock.sendto(request, server)
    answer = sock.recv(1500)
    at = 20
    while at < len(answer):
        kind, length = struct.unpack_from("!HH", answer, at)
        if kind == 0x0020:
            port, address = struct.unpack_from("!HI", answer, at + 6)
            return socket.inet_ntoa(struct.pack("!I", address ^ 0x2112A442)), port ^ 0x2112
        at += 4 + (length + 3) // 4 * 4
    sys.exit("no XOR-MAPPED-ADDRESS in the answer")


def exchange(mine):
    """The peer's address: in real life, a server passes it on."""
    part = folder / f"{me}.part"
    part.write_text(f"{mine[0]} {mine[1]}")
    part.rename(folder / f"{me}.address")
    deadline = time.monotonic() + 5
    while not (theirs := folder / f"{peer}.address").exists():
        if time.monotonic() > deadline:
            sys.exit(f"{me}: no address from {peer} within 5 s")
        time.sleep(0.01)
    host, port = theirs.read_text().split()
    return host, int(port)


def say(text):
    sys.stdout.write(f"{me}: {text}\n")
    sys.stdout.flush()


mine = reflexive()
theirs = exchange(mine)
say(f"I am {mine[0]}:{mine[1]}, {peer} is {theirs[0]}:{theirs[1]}")
heard = False
for number in range(10):
    sock.sendto(f"{number} from {me}".encode(), theirs)
    end = time.monotonic() + 0.5
    while (left := end - time.monotonic()) > 0:
        sock.settimeout(left)
        try:
            _, source = sock.recvfrom(1500)
        except (TimeoutError, ConnectionRefusedError):
            continue
        heard = heard or source == theirs
say("connected" if heard else f"nothing from {peer}")
sys.exit(0 if heard else 1)
