"""A peer that punches plainly, as an ICE agent does (RFC 8445): it sends checks without openers, answers each check to
where it came from, and checks that source as well. It runs in alice and in bob at once (--both).

alice offers, bob answers and begins, and alice begins when bob has sent, as an answer that goes by way of a server is
later than the first check. Exit code 0: a check was answered; 1: none was, and both have sent 20.
"""

import os
import pathlib
import socket
import struct
import sys
import time

CHECKS, EVERY = 20, 0.04  # how many, and seconds between two
role, peer = os.environ["PINHOLE_ROLE"], os.environ["PINHOLE_PEER"]
server = os.environ["PINHOLE_S1"], int(os.environ["PINHOLE_PORT"])
folder = pathlib.Path(os.environ["PINHOLE_HOME"])
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def reflexive():
    """Our address as the STUN server sees it (RFC 8489 §14.2)."""
    sock.settimeout(0.5)
    for _ in range(40):
        sock.sendto(struct.pack("!HHI12s", 0x0001, 0, 0x2112A442, os.urandom(12)), server)
        try:
            answer = sock.recv(1500)
        except TimeoutError:
            continue
        at = 20
        while at < len(answer):
            kind, length = struct.unpack_from("!HH", answer, at)
            if kind == 0x0020:
                port, address = struct.unpack_from("!HI", answer, at + 6)
                return socket.inet_ntoa(struct.pack("!I", address ^ 0x2112A442)), port ^ 0x2112
            at += 4 + (length + 3) // 4 * 4
    sys.exit(2)


def leave(what, text):
    part = folder / f"{role}.part"
    part.write_text(text)
    part.rename(folder / f"{role}.{what}")


def find(what):
    while not (file := folder / f"{peer}.{what}").exists():
        time.sleep(0.005)
    return file.read_text()


mine = reflexive()
if role == "bob":
    find("address")  # alice's offer
leave("address", f"{mine[0]} {mine[1]}")
host, port = find("address").split()
if role == "alice":
    find("begun")
targets, sent, connected, next_check = [(host, int(port))], 0, False, time.monotonic()
while not (connected and (folder / f"{peer}.connected").exists()):
    if sent >= CHECKS and not connected:
        leave("spent", "")
        if (folder / f"{peer}.spent").exists():
            break
    if time.monotonic() >= next_check:
        next_check, sent = time.monotonic() + EVERY, sent + 1
        for target in targets:
            sock.sendto(b"check", target)
        if sent == 1:
            leave("begun", "")
    sock.settimeout(max(next_check - time.monotonic(), 0.001))
    try:
        packet, source = sock.recvfrom(100)
    except (TimeoutError, ConnectionRefusedError):
        continue
    if packet == b"check":
        sock.sendto(b"answer", source)
        if source not in targets:
            targets.append(source)
    elif packet == b"answer" and not connected:
        connected = True
        leave("connected", "")
print(f"{role}: {'connected' if connected else 'no check was answered'}")
sys.exit(0 if connected else 1)
