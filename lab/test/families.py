"""A rendezvous on every address of its host, of both families, while addresses come and go.

A client's socket is connected, so it hears nothing but what comes from the address that it asked."""

import os
import re
import socket
import struct
import subprocess

from nodes import S1, S2, check, done, enter, until
from peers import end, start

PORT = 9000
LATER = "203.0.113.77", "2001:db8::77"  # addresses that the host gets later


def address(change, ip):
    bits = "32" if "." in ip else "128"
    more = () if "." in ip else ("nodad",)
    more = more if change == "add" else ()
    subprocess.run(("ip", "-n", "server", "addr", change, f"{ip}/{bits}", "dev", "lo", *more), check=True)


def mapped(answer):
    """XOR-MAPPED-ADDRESS of a Binding answer: IP address and port."""
    at = 20
    while at < len(answer):
        kind, length = struct.unpack("!HH", answer[at : at + 4])
        if kind == 0x0020:
            family, port = struct.unpack("!xBH", answer[at + 4 : at + 8])
            bits = bytes(a ^ b for a, b in zip(answer[at + 8 : at + 4 + length], answer[4:20]))
            return socket.inet_ntop({1: socket.AF_INET, 2: socket.AF_INET6}[family], bits), port ^ 0x2112
        at += 4 + (length + 3) // 4 * 4
    return None


def ask(ip, kind):
    """Whether a client that asks there is told its own address, by an answer from there."""
    enter("server")
    family = socket.AF_INET if "." in ip else socket.AF_INET6
    with socket.socket(family, kind) as client:
        client.settimeout(2)
        try:
            client.connect((ip, PORT))
            client.send(struct.pack("!HHI12s", 1, 0, 0x2112A442, os.urandom(12)))
            return mapped(client.recv(1000)) == client.getsockname()[:2]
        except OSError:
            return False


def asked(what, *ips):
    for ip in ips:
        for kind, name in ((socket.SOCK_DGRAM, "UDP"), (socket.SOCK_STREAM, "TCP")):
            check(f"{what}: {ip} answers by {name}", until(lambda: ask(ip, kind)))


address("add", "2001:db8::1")
server = start("server", "rendezvous", "--ip", "::", "--port", str(PORT), "--relay", "--relay-ip", S1)
server.stdout.readline()
asked("on ::", S1, S2, "127.0.0.1", "127.0.0.9", "::1", "2001:db8::1")
for ip in LATER:
    address("add", ip)
asked("an address that came later", *LATER)
for ip in LATER:
    address("del", ip)
asked("the others still answer when these have gone", S1, "2001:db8::1")
for ip in LATER:
    address("add", ip)
asked("an address that is there again", *LATER)
server.terminate()
code, _, log = end(server)
trouble = re.search("panicked|cannot|no longer", log)
check("it ends with 0, without a word of trouble", code == 0 and not trouble, log)

one = start("server", "rendezvous", "--ip", "2001:db8::1", "--port", str(PORT))
one.stdout.readline()
asked("on one IPv6 address", "2001:db8::1")
check("no other address answers", not ask("127.0.0.1", socket.SOCK_DGRAM) and not ask("::1", socket.SOCK_DGRAM))
one.terminate()
end(one)
done()
