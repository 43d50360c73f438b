"""punch --tcp between the nodes, and what a single connection comes to; argv: which story."""

import socket
import struct
import subprocess
import sys

from nodes import S1, check, done, enter
from peers import PORT, end, line, meet, start


def sock(node, port=0):
    """A TCP socket that shares its port with others."""
    enter(node)
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    one.bind(("0.0.0.0", port))
    one.settimeout(3)
    return one


def connects(kind="direct"):
    (code, one, log), other = meet("alice", "bob", "--tcp")
    check("they connect by TCP", code == 0 and one.get("result") == other.get("result") == kind, (one, other, log))
    check("and say so", one.get("strategy") == other.get("strategy") == "tcp", one)
    if kind == "direct" and one.get("remote"):
        told = (one["remote"] in other["mapped"]) or (other["remote"] in one["mapped"])
        check("where one of them was told", told, (one, other))


def fails(why):
    (code, one, log), other = meet("alice", "bob", "--tcp", timeout="3")
    check(f"they do not connect by TCP: exit 1, {why}", code == 1 and one["cause"]["code"] == why, (one, log))
    check("and the other side says the same", other["cause"]["code"] == why, other)


def lan():
    (code, one, log), other = meet("alice", "alice2", "--tcp")
    check("two hosts of one LAN take the LAN, by TCP", code == 0 and one["result"] == other["result"] == "lan", (one, log))
    check("over their private addresses", one["remote"].startswith("192.168.1.3:") and one["local"].startswith("192.168.1.2:"), one)


def one_sided():
    for with_tcp, without in (("alice", "bob"), ("bob", "alice")):
        options = {with_tcp: ["--tcp"], without: []}
        waits = start("bob", "punch", "--name", "bob", "--json", "--timeout", "10", *options["bob"])
        line(waits, "registered as")
        code, said, log = end(start("alice", "punch", "--name", "alice", "--peer", "bob", "--json", *options["alice"]))
        check(f"only {with_tcp} has --tcp: exit 1, TRANSPORT_MISMATCH", code == 1 and "TRANSPORT_MISMATCH" in said, said + log)
        check("and it says what to do", "--tcp" in said, said)
        check("on both sides", "TRANSPORT_MISMATCH" in end(waits)[1])


def ask(node, port):
    """A connection and its mapping, as the rendezvous tells it."""
    one = sock(node, port)
    one.connect((S1, int(PORT)))
    one.sendall(struct.pack("!HHI12s", 1, 0, 0x2112A442, b"twelve bytes"))
    said = one.recv(1000)
    at = said.index(b"\x00\x20\x00\x08\x00\x01") + 6
    port = struct.unpack("!H", said[at : at + 2])[0] ^ 0x2112
    ip = bytes(a ^ b for a, b in zip(said[at + 2 : at + 6], b"\x21\x12\xa4\x42"))
    return one, (socket.inet_ntoa(ip), port)


def attempt(node, port, to, deadline=3):
    """One connection, or the name of what came instead."""
    one = sock(node, port)
    one.settimeout(deadline)
    try:
        one.connect(to)
        return one
    except OSError as error:
        return type(error).__name__


def naive():
    """bob's SYN is reset and his hole closed, alice's is lost: one connection each is none at all."""
    kept_alice, public_alice = ask("alice", 42000)
    kept_bob, public_bob = ask("bob", 42000)
    came = attempt("bob", 42000, public_alice)
    check("control: bob's one connection is refused", came == "ConnectionRefusedError", came)
    came = attempt("alice", 42000, public_bob, 0.3)
    check("control: then alice's is met with silence", came == "TimeoutError", came)
    alice = sock("alice", 42000)
    alice.setblocking(False)
    alice.connect_ex(public_bob)
    bob = attempt("bob", 42000, public_alice)
    check("but when bob tries again, while alice does, they are connected", not isinstance(bob, str), bob)
    if not isinstance(bob, str):
        bob.sendall(b"x")
        alice.settimeout(3)
        check("with each other", alice.recv(1) == b"x")
    kept_alice.close(), kept_bob.close()


def refused():
    """Both hosts' own firewalls reset every SYN."""
    for node in ("alice", "bob"):
        subprocess.run(["ip", "netns", "exec", node, "nft", "-f", "-"], check=True, text=True, input="""
table ip host {
	chain input {
		type filter hook input priority 0
		tcp flags & (syn | ack) == syn reject with tcp reset
	}
}
""")
    fails("TCP_REFUSED")


def stranger():
    """alice2 knows alice's port and no key, while alice's attempt lasts, as bob cannot be reached."""
    waits = start("alice", "punch", "--name", "alice", "--json", "--timeout", "4", "--tcp", "--port", "43000")
    line(waits, "registered as")
    enter("alice2")
    before = attempt("alice2", 43000, ("192.168.1.2", 43000))
    check("before she is introduced alice does not listen", before == "ConnectionRefusedError", before)
    calls = start("bob", "punch", "--name", "bob", "--peer", "alice", "--json", "--tcp", "--timeout", "4")
    line(calls, "introduced to")
    comes = attempt("alice2", 43000, ("192.168.1.2", 43000))
    check("control: a stranger can connect to her then", not isinstance(comes, str), comes)
    comes.sendall(b"\x02\xe4\x00\x00\x21\x12\xa4\x42" + b"twelve bytes")
    try:
        said = comes.recv(1000)
    except TimeoutError:
        said = "nothing, and the connection stands"
    except ConnectionResetError:
        said = b""
    check("and is told nothing and dropped at his first word without the keys", said == b"", said)
    for who in (calls, waits):
        code, said, log = end(who)
        check("nobody takes him for the peer", code == 1 and "SYMMETRIC_REMAP" in said, said + log)


def server():
    """Binding over TCP, and who may not ask."""
    one, public = ask("alice", 44000)
    check("the rendezvous tells the TCP mapping", public == ("203.0.113.17", 44000), public)
    one.sendall(b"GET / HTTP/1.0\r\n\r\n")
    try:
        said = one.recv(1000)
    except ConnectionResetError:
        said = b""
    check("and hangs up on what is no STUN", said == b"", said)
    enter("alice")
    held = []
    for _ in range(80):
        held.append(socket.create_connection((S1, int(PORT)), 3))
    open_ones = 0
    for one in held:
        one.settimeout(1)
        try:
            one.sendall(struct.pack("!HHI12s", 1, 0, 0x2112A442, b"twelve bytes"))
            open_ones += len(one.recv(1000)) > 0
        except OSError:
            pass
    check("64 connections of one prefix have room", open_ones == 64, open_ones)


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
    done()
