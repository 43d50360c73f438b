"""chat by TCP where UDP finds no direct path; argv: which story."""

import ipaddress
import os
import subprocess
import sys

from nodes import S1, check, done, enter, until
from chats import Chat, leave, meet, send, takes, talk

os.environ["RUST_LOG"] = "chat=debug"
NET = S1.rsplit(".", 1)[0]
WAYS = [(f"{NET}.16/28", f"{NET}.32/28"), (f"{NET}.32/28", f"{NET}.16/28")]


def wall(protocol="udp", verdict="drop"):
    """Between the homes nothing of that protocol passes the core; what goes to the relay does."""
    rules = "".join(f"meta l4proto {protocol} ip saddr {a} ip daddr {b} {verdict}; " for a, b in WAYS)
    enter("core")
    table = f"table ip wall_{protocol} {{ chain packets {{ type filter hook forward priority 0; {rules} }}; }}"
    subprocess.run(["nft", "-f", "-"], input=table, check=True, text=True)


def fall(protocol="udp"):
    enter("core")
    subprocess.check_call(["nft", "delete", "table", "ip", f"wall_{protocol}"])


def way(chat, how):
    chat.type("/path")
    told = (chat.wait("paths") or {"paths": []})["paths"]
    check(f"{chat.name} says that the way is {how}", [path["how"] for path in told] == [how], told)
    return told[0] if told else {"why": "", "remote": "", "local": ""}


def moves(chats, how, deadline=30):
    """Both are told of that kind of path, be it that they have been already."""
    for chat in chats:
        told = any(one["event"] == "connected" and one["how"] == how for one in chat.events)
        told = told or chat.wait("connected", deadline, how=how)
        check(f"{chat.name} is told of the path: {how}", told, [one for one in chat.events if one["event"] == "connected"])


def sockets(node):
    """The TCP sockets of that node."""
    return subprocess.check_output(["ip", "netns", "exec", node, "cat", "/proc/net/tcp"], text=True).splitlines()[1:]


def no_breaks(*chats):
    bad = [told for chat in chats for told in chat.events if told["event"] in ("undelivered", "broken", "file_ended")]
    check("nothing was given up or broken", not bad, bad)


def sends(sender, receiver, size):
    takes(receiver, send(sender, size), 180)


def carries():
    """The conversation begins over the relay and moves, with what is on its way; then UDP passes again."""
    wall()
    alice, bob = both = meet(["--accept-files"], ["--accept-files"])
    talk(alice, bob, "while it moves", 400)
    moves(both, "tcp")
    ours, theirs = way(alice, "tcp"), way(bob, "tcp")
    check("why is said", "TCP" in ours["why"], ours)
    for told, (_, network) in ((ours, WAYS[0]), (theirs, WAYS[1])):
        ip = ipaddress.ip_address(told["remote"].rsplit(":", 1)[0])
        check("it leads to the other's home, and not to the relay", ip in ipaddress.ip_network(network), told)
    talk(alice, bob, "by TCP", 50)
    sends(alice, bob, 20_000_000)
    sends(bob, alice, 1_000_000)
    way(alice, "tcp")
    fall()
    moves(both, "direct", 60)
    talk(alice, bob, "by UDP", 20)
    way(alice, "direct")
    no_breaks(*both)
    leave(alice, bob)


def breaks():
    """A router resets the connection: the conversation goes on over the relay, and comes back."""
    wall()
    alice, bob = both = meet()
    moves(both, "tcp")
    talk(alice, bob, "by TCP", 20)
    wall("tcp", "reject with tcp reset")
    alice.events.clear(), bob.events.clear()
    talk(alice, bob, "after the reset", 100)
    moves(both, "relay")
    way(alice, "relay")
    fall("tcp")
    moves(both, "tcp", 60)
    talk(alice, bob, "by TCP again", 20)
    leave(alice, bob)


def neither():
    """Where TCP does not pass either, the relay stays."""
    wall()
    alice, bob = both = meet()
    tried = [until(lambda: any(b"no path by TCP" in line for line in chat.errors), 60) for chat in both]
    check("both have tried TCP in vain", all(tried))
    talk(alice, bob, "over the relay", 20)
    for chat in both:
        way(chat, "relay")
        check("there was no other path", not any(told["event"] == "connected" and told["how"] != "relay" for told in chat.events), chat.events)
    no_breaks(*both)
    leave(alice, bob)


def unneeded():
    """Where UDP does, nobody connects by TCP."""
    alice, bob = both = meet()
    moves(both, "direct")
    talk(alice, bob, "by UDP", 20)
    alice.type("/path"), alice.wait("paths")
    # Where it is wanted, it is tried a second after the call.
    check("no host has a TCP socket", not until(lambda: sockets("alice") or sockets("bob"), 3), sockets("alice"))
    leave(alice, bob)


def two():
    """bob is connected to two hosts of alice's home at the same time."""
    wall()
    peers = [Chat(node, node) for node in ("alice", "alice2")]
    check("two hosts wait", all(peer.wait("registered") for peer in peers))
    bob = Chat("bob", "bob", "--peer", "alice")
    bob.type("/connect alice2")
    for peer in peers:
        told = bob.wait("connected", 40, how="tcp", peer=peer.name) or [
            one for one in bob.events if one["event"] == "connected" and one["how"] == "tcp" and one["peer"] == peer.name]
        check(f"bob reaches {peer.name} by TCP", told, [one for one in bob.events if one["event"] == "connected"])
    moves(peers, "tcp")
    for peer in peers:
        bob.type(f"/to {peer.name}", f"hello {peer.name}")
        good, why = peer.hears([f"hello {peer.name}"], "bob")
        check(f"{peer.name} hears bob", good, why)
        check("and bob is told", bob.wait("delivered", to=peer.name), bob.events[-3:])
    for chat in (bob, *peers):
        chat.process.terminate()
        check(f"{chat.name} leaves", chat.code() == 0, chat.code())


{"carries": carries, "two": two, "breaks": breaks, "neither": neither, "unneeded": unneeded}[sys.argv[1]]()
done()
