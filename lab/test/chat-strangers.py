"""Who must not get in, and what must do no harm."""

import os
import random
import signal
import time

from nodes import S1, check, done
from chats import HOMES, Chat, meet, talk
from nodes import Udp

# Two peers at once, of one LAN: carol's path is the LAN, bob's is not. Only peers that have named each other, or know
# each other, tell each other their private addresses.
alice, bob = meet()
alice.type("/connect carol", "/to bob")
carol = Chat("alice2", "carol", "--peer", "alice")
way = carol.wait("connected")
check("two of one LAN meet on it", way and way["how"] == "lan", way)
check("while bob is reached through the NATs", alice.events[-1].get("how") != "lan")
alice.wait("connected", peer="carol")
carol.type("for alice")
check("alice hears carol, too", alice.wait("message", text="for alice", **{"from": "carol"}))
alice.type("/to carol", "for carol", "/to bob", "for bob")
check("carol hears alice", carol.wait("message", text="for carol"))
check("and bob hears what is for bob", bob.wait("message", text="for bob"))
alice.type("/peers", "/path", "/verify bob", "/who")
peers = alice.wait("peers")
check("/peers tells both", peers and [p["state"] for p in peers["peers"]] == ["connected"] * 2, peers)
paths = alice.wait("paths")
ways = {path["peer"]: path["how"] for path in paths["paths"]} if paths else None
check("/path tells the ways", ways == {"bob": "direct", "carol": "lan"}, paths)
check("who wants to compare digits is told to wait", alice.wait("verifying", theirs=False))
check("the other is asked", bob.wait("verifying", theirs=True))
bob.type("/verify alice")
ours, theirs = alice.wait("verify"), bob.wait("verify")
check("both see the same digits", ours and theirs and ours["digits"] == theirs["digits"])
bob.type("/verify alice")
alice.wait("verifying")
alice.type("/verify bob")
again, theirs = alice.wait("verify"), bob.wait("verify")
check("and others the next time", again and again["peer"] == "bob" and again["digits"] == theirs["digits"] != ours["digits"], again)
carol.type("/verify nobody")
check("who is not connected cannot be verified", carol.wait("problem"))

# Garbage, on the port of both, from everywhere that gets through.
random.seed(1)
stranger = Udp("server", port=8848 + 1000)
neighbour = Udp("alice2")
lan = ("192.168.1.2", 8900)
for n in range(3000):
    junk = random.randbytes(random.choice((0, 1, 20, 100, 1200)))
    if n % 3 == 0:
        junk = bytes([n % 4]) + junk[1:]
    if n % 3 == 1:
        junk = bytes([0xC0 | n % 64, 0, 0, 0, 1]) + junk[5:]
    neighbour.socket.sendto(junk, lan)
    stranger.socket.sendto(junk, ("203.0.113.17", 8900))
talk(alice, bob, "after garbage")

# Somebody else has bob's name now: the key that alice knows is another.
known = os.path.join(alice.home, "known-peers")
check("keys are pinned", "bob " in open(known).read())
alice.process.stdin.close()
alice.process.send_signal(signal.SIGTERM)
check("alice leaves", alice.code() == 0)
before = open(known).read()
open(known, "w").write("bob " + "11" * 32 + "\n")
alice = Chat("alice", "alice", "--peer", "bob", stay=False)
alice.type("a secret")
changed = alice.wait("key_changed", peer="bob")
check("a changed key is told", changed, alice.events)
check("what was said was not delivered", alice.wait("undelivered", text="a secret"))
check("and that is exit 1", alice.end() == 1, alice.process.returncode)
mark = bob.said("message")
alice = Chat("alice", "alice", "--peer", "bob", stay=True)
alice.wait("key_changed", peer="bob")
alice.type("/trust bob", "a greeting")
check("/trust believes it", bob.wait("message", text="a greeting"), alice.events)
check("and bob never heard the secret", all(e.get("text") != "a secret" for e in bob.events))
check("the new key is pinned", open(known).read().strip() == [l for l in before.splitlines() if l.startswith("bob ")][0])
alice.process.terminate()
alice.code()

# The name on the other side: bob pins alice's key, and alice has lost hers.
alice = Chat("alice", "alice", "--peer", "bob", home=os.path.join(HOMES, "thief"), stay=False)
alice.type("I am alice, really")
check("a name is its key's: exit 2", alice.end() == 2, alice.events)
check("and says so", any(b"taken" in line for line in alice.errors), alice.errors)
done()
