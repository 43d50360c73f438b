"""The tools as people use them, between the nodes; argv: which story."""

import json
import os
import random
import re
import subprocess
import sys
import time

from nodes import S1, S2, Udp, check, done, enter, line

PORT = os.environ["PINHOLE_PORT"]


def start(node, *words, home=None, **more):
    """A tool in a node; its own PINHOLE_HOME if it is to be somebody else."""
    environment = dict(os.environ)
    if home:
        environment["PINHOLE_HOME"] = home
    return subprocess.Popen(
        ("ip", "netns", "exec", node, *words), env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)


def end(process, deadline=120):
    said, log = process.communicate(timeout=deadline)
    return process.returncode, said, log


def meet(caller, target, *options, timeout="10"):
    """target waits for caller, caller calls; both reports."""
    waits = start(target, "punch", "--name", target, "--from", caller, "--json", "--timeout", timeout, *options)
    line(waits, "registered as")
    calls = start(caller, "punch", "--name", caller, "--peer", target, "--json", "--timeout", timeout, *options)
    code, said, log = end(calls)
    return (code, json.loads(said or "{}"), log), json.loads(end(waits)[1] or "{}")


def lan():
    (code, one, log), other = meet("alice", "alice2")
    check("two hosts of one LAN take the LAN", code == 0 and one["result"] == other["result"] == "lan", log)
    check("over their private addresses", one["remote"].startswith("192.168.1.3:"), one)
    (code, one, log), _ = meet("alice", "alice2", "--no-host-candidates", "--direct-only")
    check("control: without host candidates they do not, as this NAT does not hairpin", code == 1, one)


def same_lan():
    # alice2, who has bob's private address, is a peer of the same server.
    stranger = start("alice2", "punch", "--name", "alice2", "--json")
    line(stranger, "registered as")
    (code, one, log), other = meet("alice", "bob")
    check("equal private subnets do not pass for one LAN", code == 0 and one["result"] == "direct", log or one)
    check("and it is bob who was reached", other.get("peer") == "alice" and stranger.poll() is None, other)
    stranger.terminate()
    end(stranger)


def trace():
    (code, one, log), _ = meet("alice", "bob", "--trace")
    sent = [p for p in one["trace"] if p["direction"] == "out" and p.get("text", "").startswith("probe request") and "measures" not in p["text"]]
    check("every probe that was sent is in the trace, and left this host", len(sent) == one["probes_sent"], (len(sent), one["probes_sent"]))
    check("the opener is the first of them", sent[0]["ttl"] == 2, sent[0])
    died = [p for p in one["trace"] if p.get("reason") == "time-exceeded"]
    check("and its death in core is in the trace", died and died[0]["src"].startswith(S1.rsplit(".", 1)[0] + ".254"), died)


def loss():
    (code, one, log), other = meet("alice", "bob")
    check("they connect all the same", code == 0 and one["result"] == other.get("result") == "direct", (one, other, log))


def pool():
    (code, one, log), _ = meet("alice", "bob", "--no-measure", "--direct-only", "--quick")
    check(f"restricted × symmetric with that pool: {sys.argv[2]}", one["result"] == sys.argv[2], (one, log))


def refusals():
    holder = start("bob", "punch", "--name", "bob")
    line(holder, "registered as")
    code, _, log = end(start("alice", "punch", "--name", "bob", "--peer", "carol", home="/run/thief"))
    check("a name that belongs to another key: exit 2, and it says so", code == 2 and "taken" in log, log)
    check("and its owner still has it", holder.poll() is None)
    code, said, _ = end(start("alice", "punch", "--name", "alice", "--peer", "carol", "--timeout", "1", "--json"))
    check("a peer that is not there: exit 1, PEER_OFFLINE", code == 1 and json.loads(said)["cause"]["code"] == "PEER_OFFLINE", said)
    code, _, log = end(start("alice", "punch", "--server", f"{S1}:9", "--name", "alice", "--peer", "bob"))
    check("no server at that port: exit 2, and what to do", code == 2 and "rendezvous --ip" in log, log)
    nowhere = S1.rsplit(".", 1)[0] + ".99"
    code, _, log = end(start("alice", "punch", "--server", nowhere, "--name", "alice", "--peer", "bob", "--timeout", "1"))
    check("no server at that address: exit 2, and it is not called blocked UDP", code == 2 and "no answer" in log, log)
    code, _, log = end(start("alice", "natprobe", "--s1", f"{S1}:9"))
    check("natprobe without a server: exit 2", code == 2, log)
    os.makedirs("/run/trusting", exist_ok=True)
    with open("/run/trusting/known-peers", "w") as file:
        file.write("bob " + "ab" * 32 + "\n")
    code, _, log = end(start("alice", "punch", "--name", "eve", "--peer", "bob", home="/run/trusting"))
    check("a peer whose key has changed: exit 2, and nothing is sent to it", code == 2 and "another key" in log, log)
    holder.terminate()
    end(holder)


def servers():
    everywhere = start("server", "rendezvous", "--port", "9000")
    everywhere.stdout.readline()
    code, said, log = end(start("alice", "natprobe", "--s1", f"{S2}:9000", "--json"))
    check("a server that listens everywhere answers from the address that was asked", code == 0 and json.loads(said)["mapped"], said + log)
    one = start("alice", "punch", "--server", f"{S2}:9000", "--name", "alice")
    check("also those who register", line(one, "registered as") is not None)
    code, said, log = end(start("bob", "punch", "--server", f"{S2}:9000", "--name", "bob", "--peer", "alice"))
    check("and from there, too, it tells them of a caller: their NAT lets in nothing else", code == 0, said + log)
    for process in (one, everywhere):
        process.terminate()
        end(process)
    # a STUN server: it knows Binding, and nothing else
    stun = Udp("server", S1, 9002)
    asks = start("alice", "punch", "--server", f"{S1}:9002", "--name", "alice", "--peer", "bob", "--timeout", "1")
    until = time.monotonic() + 20
    stun.socket.settimeout(0.1)
    while asks.poll() is None and time.monotonic() < until:
        try:
            request, sender = stun.socket.recvfrom(2000)
        except TimeoutError:
            continue
        if request[:2] == b"\x00\x01":
            stun.socket.sendto(b"\x01\x01\x00\x00" + request[4:20], sender)
    code, said, log = end(asks)
    check("a STUN server that is not a rendezvous: exit 2, and it is not called blocked UDP", code == 2 and "is not a rendezvous" in log, said + log)


def blocked():
    code, said, log = end(start("alice", "punch", "--name", "alice", "--peer", "bob", "--json"))
    check("punch without UDP: exit 1, UDP_BLOCKED", code == 1 and json.loads(said)["cause"]["code"] == "UDP_BLOCKED", said + log)
    code, said, log = end(start("alice", "natprobe", "--json"))
    check("natprobe without UDP: exit 1", code == 1 and json.loads(said)["class"] == "udp-blocked", said + log)


def garbage():
    """Noise to every port of every tool, while they work."""
    dice = random.Random(4787)
    heads = [b"", b"\x00\x01\x00\x08\x21\x12\xa4\x42", b"\x00\xf3\x02\x00\x21\x12\xa4\x42", b"\x01\xf4\x00\x04\x21\x12\xa4\x42" + bytes(12)]

    def noise():
        return dice.choice(heads) + dice.randbytes(dice.choice([0, 1, 7, 19, 20, 60, 300, 1279, 1300]))

    server = start("server", "rendezvous", "--ip", S1, "--port", "9000", "--alt-ip", S2)
    server.stdout.readline()
    waits = start("bob", "punch", "--server", f"{S1}:9000", "--name", "bob", "--json")
    seen = line(waits, r"seen at (\S+):(\d+)")
    stranger, rendezvous = Udp("alice2"), 0
    for n in range(400):
        for ip, port in ((S1, 9000), (S1, 9001), (S2, 9000), (S2, 9001)):
            stranger.socket.sendto(noise(), (ip, port))
            rendezvous += 1
        stranger.socket.sendto(noise(), (seen[1], int(seen[2])))
        if n == 200:  # in the middle of it
            probe = start("alice", "natprobe", "--s1", f"{S1}:9000", "--json")
            calls = start("alice", "punch", "--server", f"{S1}:9000", "--name", "alice", "--peer", "bob", "--json")
    code, said, log = end(probe)
    check("garbage: natprobe measures what it would have", code == 0 and json.loads(said)["class"] == "full-cone", said + log)
    code, said, log = end(calls)
    check("garbage: alice reaches bob", code == 0, said + log)
    code, said, log = end(waits)
    check("garbage: bob, whose port it came to, is reached", code == 0, said + log)
    server.terminate()
    code, _, log = end(server)
    counted = re.search(r"(\d+) garbage", log)
    check("garbage: the server has counted it and goes on", code == 0 and counted and int(counted[1]) > rendezvous * 0.9, log[-300:])
    check("garbage: nobody panicked", "panicked" not in log)


if __name__ == "__main__":
    globals()[sys.argv[1]]()
    done()
