"""`punch --share` between alice and bob: what both say of each packet. argv: a story."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys

from nodes import check, done, enter, line, until
from punch import ALICE, BOB, NET, end, start

FILE = f"/tmp/share-{os.getpid()}.json"
DIRECT = ["--direct-only", "--budget", "0", "--timeout", "5"]


def meet(of_alice, of_bob, first=("--from", "alice"), text=False):
    """bob waits for alice, alice calls: (exit, report, log) of each. With text, what alice prints is no JSON."""
    bob = start("bob", *first, *of_bob)
    assert line(bob, "registered as"), "bob is not registered"
    if text:
        ran = subprocess.run(["ip", "netns", "exec", "alice", "punch", "--name", "alice", "--peer", "bob", *of_alice],
                             text=True, capture_output=True, timeout=600)
        return (ran.returncode, ran.stdout, ran.stderr), end(bob)
    alice = start("alice", "--peer", "bob", *of_alice)
    return end(alice), end(bob)


def wall(rules):
    """The core drops what these rules drop."""
    subprocess.run(["ip", "netns", "exec", "core", "nft", "-f", "-"], check=True, text=True, input=(
        f"table ip wall {{\n chain forward {{\n type filter hook forward priority 0\n {rules}\n }}\n}}\n"))


def journeys(report, node, how=None):
    """The journeys of UDP packets that begin at this node."""
    return [j for j in report["shared"]["trace"]["journeys"]
            if j["protocol"] == "udp" and j["sightings"][0]["node"] == node and (how is None or j["end"]["how"] == how)]


def meets():
    (code, one, log), (code2, other, log2) = meet(["--share", "--trace", FILE], ["--share"])
    check("two sides that share: there is a path, as without", code == code2 == 0 and one["result"] == "direct", (one, log, log2))
    for who, report, said in [("alice", one, log), ("bob", other, log2)]:
        shared = report.get("shared") or {}
        check(f"{who} has both accounts", shared.get("alone", 1) is None and {n["name"] for n in shared["trace"]["nodes"]} == {"alice", "bob"}, (shared, said))
        check(f"{who} knows how far the clocks are apart", shared["clock"]["error_ms"] < 2000, shared["clock"])
        for node, to in [("alice", BOB), ("bob", ALICE)]:
            came = [j for j in journeys(report, node, "delivered") if len(j["sightings"]) == 2]
            check(f"{who} sees packets of {node} leave and arrive", came, shared)
            check(f"{who} sees their translation", all(j["sightings"][0]["src"].startswith("192.168.") and not j["sightings"][1]["src"].startswith("192.168.")
                                                       for j in came), came)
            check(f"{who} sees them arrive after they have left", all(j["sightings"][0]["t_ms"] <= j["sightings"][1]["t_ms"] + shared["clock"]["error_ms"] for j in came), came)
        check(f"{who} sees that openers were not to arrive", all(j["end"]["how"] != "delivered" for j in journeys(report, who) if 0 < j["sightings"][0]["ttl"] <= 16), shared)
    written = json.load(open(FILE))
    head = [written.pop(name) for name in ("schema", "tool", "version", "time")]
    check("--trace FILE.json has the head of the reports", head[:2] == [1, "punch"], head)
    check("and the same journeys", written == one["shared"]["trace"])
    os.remove(FILE)


def fails():
    """Two NATs that give each destination another port: no packet comes across, and both sides say the same of it."""
    (code, text, log), (code2, other, log2) = meet(["--share", *DIRECT], ["--share", *DIRECT], text=True)
    check("no path, as without --share", code == code2 == 1 and other["result"] == "failed", (text, other, log, log2))
    check("bob names the cause", (other["shared"]["trace"]["cause"] or {}).get("code") == "SYM_SYM", other.get("shared"))
    lost = [j for j in journeys(other, "alice", "unknown") if j["sightings"][0]["dst"].startswith(BOB)]
    check("bob knows of packets that alice has sent and he never got", lost and all(len(j["sightings"]) == 1 for j in lost), other["shared"])
    for part in ["What became of the packets", "Cause: SYM_SYM: ", "Try next: ", f"→ {BOB}", "never came to bob", f"seen by the server at {ALICE}", "gives each destination another port"]:
        check(f"alice prints: {part}", part in re.sub(r"\s+", " ", text.replace("│", "")), text)
    check("no line is longer than a screen is wide", max(map(len, text.split("\n\n", 1)[1].splitlines())) <= 100, text)


def one_way():
    wall(f"ip saddr {ALICE} ip daddr {BOB} drop")
    (code, one, log), (_, other, _) = meet(["--share", *DIRECT], ["--share", *DIRECT])
    for who, report in [("alice", one), ("bob", other)]:
        cause = report["shared"]["trace"]["cause"] or {}
        check(f"a firewall that drops alice's packets: {who} says that bob's come, and alice's do not", cause.get("code") == "ONE_WAY" and "none of alice's" in cause["text"], (cause, log))
        shown = report["shared"]["trace"]["journeys"][cause["journey"]]
        gateway = {"alice": "192.168.1.1", "bob": "192.168.2.1"}[who]
        check(f"{who}'s packets come through the own gateway to the core", report["sweep"] == {"hops": [gateway, f"{NET}.254"], "refused": None, "reach": "core"}, report["sweep"])
        check(f"{who} names the packet", shown["sightings"][0]["node"] == "alice" and shown["end"]["how"] == "unknown", shown)


def refused():
    wall(f"ip saddr {ALICE} ip daddr {BOB} meta l4proto udp reject with icmp type admin-prohibited")
    (_, one, log), (_, other, _) = meet(["--share", *DIRECT], ["--share", *DIRECT])
    for who, report in [("alice", one), ("bob", other)]:
        refused = journeys(report, "alice", "refused")
        check(f"a firewall that refuses: {who} knows the packet and who refused it", refused and refused[0]["end"]["reason"] == "prohibited", (report["shared"], log))
        errors = [j for j in report["shared"]["trace"]["journeys"] if j["about"] is not None]
        refuses = one["sweep"]["refused"]
        check("the sweep names who refuses", refuses == [f"{NET}.254", "prohibited"], one["sweep"])
        check(f"{who} has the ICMP error under its packet", any(j["protocol"] == "icmp" for j in errors), report["shared"])


def tables(node):
    return subprocess.check_output(["ip", "netns", "exec", node, "nft", "list", "tables"], text=True)


def own_firewall(chain):
    """The rules of alice's own host drop what she sends, or what she is sent: both sides say so, with the packet."""
    match = {"output": f"ip daddr {BOB} udp dport 1-65535 drop", "input": f"ip saddr {BOB} udp sport 1-65535 drop"}[chain]
    subprocess.run(["ip", "netns", "exec", "alice", "nft", "-f", "-"], check=True, text=True, input=(
        f"table inet host {{\n chain own {{\n type filter hook {chain} priority 0\n {match}\n }}\n}}\n"))
    (code, one, log), (_, other, _) = meet(["--share", *DIRECT], ["--share", *DIRECT])
    flows = one.get("local_firewall", [])
    way = {"output": "out", "input": "in"}[chain]
    check(f"{chain}: alice names the flow that her own rules drop", any(f["direction"] == way and f["remote"].startswith(BOB) for f in flows) and "LOCAL_FIREWALL" in log, (flows, log))
    check(f"{chain}: nothing else is blamed", all(f["direction"] == way for f in flows), flows)
    for who, report in [("alice", one), ("bob", other)]:
        cause = report["shared"]["trace"]["cause"] or {}
        check(f"{chain}: {who} says that alice's own firewall drops it", code == 1 and cause.get("code") == "LOCAL_FIREWALL" and "the firewall of alice" in cause["text"], (cause, log))
        end = report["shared"]["trace"]["journeys"][cause["journey"]]["end"]
        check(f"{chain}: {who} names the packet", end["how"] == "dropped" and end["node"] == "alice" and end["reason"] == "LOCAL_FIREWALL", end)
    check("bob's firewall drops nothing, and he says nothing of it", "local_firewall" not in other, other.get("local_firewall"))
    left = tables("alice"), tables("bob")
    check("no table of ours is left", "pinhole" not in "".join(left), left)


def on_a_router():
    """What a router passes on for others is not taken for dropped, and does not hide what its own rules drop."""
    subprocess.run(["ip", "netns", "exec", "nat-alice", "nft", "-f", "-"], check=True, text=True, input=(
        f"table inet host {{\n chain own {{\n type filter hook output priority 0\n ip daddr {BOB} udp dport 1-65535 drop\n }}\n}}\n"))
    bob = start("bob", "--from", "nat-alice", *DIRECT)
    assert line(bob, "registered as"), "bob is not registered"
    flood = subprocess.Popen(["lab", "flood", "alice", "2000", "8"])
    code, said, log = end(start("nat-alice", "--peer", "bob", "--trace", FILE, *DIRECT))
    flows = said.get("local_firewall", [])
    check("a router names the flow that its own rules drop", code == 1 and any(f["remote"].startswith(BOB) for f in flows), (flows, log))
    check("and none of those that it passes on", flows and all(f["direction"] == "out" and f["remote"].startswith(BOB) for f in flows), flows[:5])
    check("and has missed nothing", "LOCAL_FIREWALL" in log and "more packets than could be read" not in log, log)
    end(bob)
    flood.wait(timeout=600)
    os.remove(FILE)


def killed():
    """Whatever ends punch, the kernel removes its table."""
    bob = start("bob", "--from", "alice", "--trace")
    check("while punch watches, there is a table of its own", until(lambda: f"inet pinhole-{bob.pid}" in tables("bob")), tables("bob"))
    bob.kill()
    bob.wait()
    check("after kill -9 there is none", until(lambda: "pinhole" not in tables("bob")), tables("bob"))
    alice = subprocess.Popen(["ip", "netns", "exec", "alice", "setpriv", "--bounding-set", "-all", "--inh-caps", "-all", "--no-new-privs", "punch", "--json", "--name", "alice",
                              "--peer", "nobody", "--share", "--timeout", "1"], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    code, said, log = end(alice)
    check("who may not have a table goes without", code == 1 and said["cause"]["code"] == "PEER_OFFLINE" and "LOCAL_FIREWALL" not in log, (said, log))


def own_gateway():
    """alice's gateway drops what she sends to bob: so far her packets come, and no farther. Without --share it is seen as well."""
    subprocess.run(["ip", "netns", "exec", "nat-alice", "nft", "-f", "-"], check=True, text=True, input=(
        f"table ip wall {{\n chain forward {{\n type filter hook forward priority 0\n ip daddr {BOB} drop\n }}\n}}\n"))
    (code, text, log), _ = meet(["--trace", *DIRECT], DIRECT, text=True)
    check("--trace alone: it is said where the TTL runs out", code == 1 and "They come as far as 192.168.1.1, which is in our own network" in text.replace("\n", " "), (text, log))
    check("and nothing is shared", "What became" not in text and "sharing" not in log, text)


def alone():
    """Nothing is told to a peer that tells nothing, nor to a stranger."""
    for of_alice, of_bob in [(["--share"], []), ([], ["--share"])]:
        (_, one, log), (_, other, log2) = meet(of_alice, of_bob)
        sharer, said, name, other_side = (one, log, "bob", other) if of_alice else (other, log2, "alice", one)
        check(f"only one side shares: it is told that {name} needs --share", f"{name} needs --share, too" in said, said)
        nodes = [n["name"] for n in sharer["shared"]["trace"]["nodes"]]
        check("it shows its own side alone", len(nodes) == 1 and name not in nodes and sharer["shared"]["alone"], sharer["shared"])
        check("the other side says nothing of it", "shared" not in other_side, other_side)


def stranger():
    (_, one, log), (_, other, log2) = meet(["--share"], ["--share"], first=())
    check("bob shares nothing with a stranger, and says what to do", "--from alice" in log2 and other["shared"]["alone"], (other, log2))
    check("alice is told that bob shares nothing", "bob shares nothing" in log, log)
    code, text, log = end(start("alice", "--peer", "nobody", "--share", "--timeout", "1"))
    check("without an introduction there is nothing to share", "nothing to share" in log and code == 1, (text, log))


def interrupted():
    """What happens after the attempt does not hide its result. bob seeks a path for longer than alice, so she waits for what he shares."""
    (code, said, log), _ = meet(["--trace", "/nowhere/trace.json"], [])
    check("a trace that cannot be written: exit 2, and it says so", code == 2 and "cannot write /nowhere/trace.json" in log, (code, log))
    check("and the result is told", said.get("result") == "direct", said)
    wall(f"ip saddr {ALICE} ip daddr {BOB} drop\n ip saddr {BOB} ip daddr {ALICE} drop")
    bob = start("bob", "--from", "alice", "--share", "--direct-only", "--budget", "0", "--timeout", "100")
    assert line(bob, "registered as"), "bob is not registered"
    alice = start("alice", "--peer", "bob", "--share", *DIRECT)
    check("alice shares after the attempt", line(alice, "sharing with bob"))
    alice.send_signal(signal.SIGINT)
    code, said, log = end(alice)
    check("Ctrl-C while she waits for bob: her result is told", code == 1 and said.get("result") == "failed", (code, said, log))
    check("and why bob's side is not shown", "interrupted" in said["shared"]["alone"], said.get("shared"))
    bob.kill()
    bob.communicate()


def eavesdropper():
    """The rendezvous passes on what it cannot read, and --no-host-candidates tells the peer no private address."""
    enter("server")
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
    packets.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    packets.setblocking(False)
    (code, one, log), (_, other, log2) = meet(["--share", "--no-host-candidates", "--opener-ttl", "1"], ["--share"])
    seen = []
    with contextlib.suppress(BlockingIOError):
        while True:
            seen.append(packets.recv(65536))
    seen = b"".join(seen)
    check("they share", code == 0 and one["shared"]["alone"] is None, (one, log, log2))
    check("the rendezvous' host sees their names", b"alice" in seen and b"bob" in seen)
    check("and no private address of bob's, which is in what he shares", socket.inet_aton("192.168.2.2") not in seen and "192.168.2.2" in json.dumps(one["shared"]))
    check("with --no-host-candidates bob is not told alice's either, nor that of her gateway, which has sent her ICMP errors",
          '"192.168.1.1:0"' in json.dumps(one["shared"]) and "192.168.1." not in json.dumps(other["shared"]), (one["shared"], other["shared"]))


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
    done()
