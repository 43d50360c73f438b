"""What is in the captures of a folder: for each node, its interfaces, and how many ICMP packets each has. argv: folder."""

import pathlib
import struct
import sys


def blocks(data):
    """The blocks of a pcapng file: (type, body)."""
    at = 0
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        yield kind, data[at + 8:at + length - 4]
        at += length


def option(body, at, wanted):
    while at + 4 <= len(body):
        code, length = struct.unpack_from("<HH", body, at)
        if code == wanted:
            return body[at + 4:at + 4 + length].decode()
        if code == 0:
            return None
        at += 4 + (length + 3) // 4 * 4


for file in sorted(pathlib.Path(sys.argv[1]).glob("*.pcapng")):
    names, pings = [], []
    for kind, body in blocks(file.read_bytes()):
        if kind == 1:  # an interface
            names.append(option(body, 8, 2))
            pings.append(0)
        elif kind == 6:  # a packet: its interface, then after 20 bytes Ethernet, IPv4 with its protocol
            interface, = struct.unpack_from("<I", body)
            frame = body[20:]
            pings[interface] += frame[12:14] == b"\x08\x00" and frame[23] == 1
    print(file.stem, *(f"{name}={n}" for name, n in zip(names, pings)))
