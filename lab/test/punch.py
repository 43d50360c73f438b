"""The ways across, between alice and bob; argv: a strategy that must be taken, or a story."""

import json
import os
import re
import resource
import signal
import subprocess
import sys

from nodes import check, done, line

# What a laboratory may spend.
SPEND = ["--budget", "4000", "--max-pps", "4000", "--yes"]
# Probes that are no guesses: openers, schedules to a few addresses, nominations.
OTHERS = 60
NET = os.environ["PINHOLE_S1"].rsplit(".", 1)[0]
ALICE, BOB = f"{NET}.17", f"{NET}.33"
KNOWN = os.path.join(os.environ.get("PINHOLE_HOME", "/nowhere"), "known-peers")


def start(node, *options, tool="punch", files=None):
    """files: the soft and the hard limit of open files."""
    return subprocess.Popen(
        ["ip", "netns", "exec", node, tool, "--json", *(["--name", node] if tool == "punch" else []), *options],
        text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=files and (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, files)))


def end(process):
    said, log = process.communicate(timeout=600)
    return process.returncode, json.loads(said or "{}"), log


def meet(of_alice=SPEND, of_bob=SPEND, files=None):
    """bob waits for alice, alice calls: (exit, report, log) of each."""
    bob = start("bob", "--from", "alice", *of_bob, "--timeout", "20", files=files)
    assert line(bob, "registered as"), "bob is not registered"
    alice = start("alice", "--peer", "bob", *of_alice, "--timeout", "20", files=files)
    return end(alice), end(bob)


def counted(router, match):
    """Packets that this router's nft rule has counted (see count)."""
    said = subprocess.check_output(["ip", "netns", "exec", router, "nft", "list", "counter", "ip", "witness", match], text=True)
    return int(re.search(r"packets (\d+)", said)[1])


def count(router, **matches):
    """Counts, where nothing is translated yet, the packets from inside that match."""
    rules = "".join(f"add counter ip witness {name}\nadd rule ip witness seen iifname lan {match} counter name {name}\n"
                    for name, match in matches.items())
    subprocess.run(["ip", "netns", "exec", router, "nft", "-f", "-"], check=True, text=True, input=(
        "table ip witness {\n chain seen {\n type filter hook prerouting priority -400\n }\n}\n" + rules))


def crosses(strategy):
    (code, one, log), (_, other, log2) = meet()
    pair = f"alice and bob, {strategy}"
    result = "relay" if strategy == "relay" else "direct"
    check(f"{pair}: there is a path", code == 0 and one["result"] == other.get("result") == result, (one, other, log, log2))
    check(f"{pair}: found in that way, as both had planned", one["strategy"] == one["plan"]["strategy"] == other["plan"]["strategy"] == strategy, one)
    if strategy == "relay":
        check(f"{pair}: nothing was guessed", one["plan"]["packets"] is None and one["probes_sent"] < 40, one)
        return
    check(f"{pair}: each is where the other's NAT is", one["remote"].startswith(BOB) and other["remote"].startswith(ALICE), (one, other))
    check(f"{pair}: it said before what it takes", f"{strategy}: " in log and " entries in our NAT" in log, log)
    within = all(r["probes_sent"] <= (r["plan"]["packets"] or 0) + OTHERS for r in (one, other))
    check(f"{pair}: and took no more", within, (one, other))


def direct_only():
    (code, one, log), (code2, other, _) = meet([*SPEND, "--direct-only"], [*SPEND, "--direct-only"])
    check("--direct-only: exit 1, SYM_SYM", code == 1 and one["cause"]["code"] == "SYM_SYM", (one, log))
    check("--direct-only: at the other side, too", code2 == 1 and other["cause"]["code"] == "SYM_SYM", other)


def relay_only():
    count("nat-alice", direct=f"ip daddr {BOB} meta l4proto udp")
    (code, one, log), (_, other, _) = meet([*SPEND, "--relay-only"])
    check("--relay-only: a relayed path", code == 0 and one["result"] == other.get("result") == "relay", (one, other, log))
    check("--relay-only: no packet of alice's went to bob's NAT", counted("nat-alice", "direct") == 0)
    check("--relay-only: bob's report has no address of alice's", ALICE not in json.dumps(other) and "192.168.1." not in json.dumps(other), other)


def limits():
    ended = start("alice", "--peer", "bob", "--budget", "5000")
    code, said, log = end(ended)
    check("--budget 5000 without --yes: exit 2, and it says why", code == 2 and not said and "--yes" in log and "5000" in log, log)
    code, said, log = end(start("alice", "--peer", "bob", "--max-pps", "500"))
    check("so does --max-pps 500", code == 2 and "--yes" in log, log)
    count("nat-alice", sent=f"ip daddr {BOB} meta l4proto udp")
    (code, one, log), _ = meet(["--budget", "0"])
    check("--budget 0: the relay carries it", code == 0 and one["result"] == "relay", (one, log))
    check("--budget 0: nothing was guessed", one["plan"]["strategy"] == "relay" and one["probes_sent"] < 40, one)
    sent = counted("nat-alice", "sent")
    check("--budget 0: nor was it sent", 0 < sent < 60, sent)
    (code, one, log), _ = meet(["--budget", "0", "--direct-only"])
    check("--budget 0 --direct-only: exit 1, and both are named as the reason", code == 1 and "leave one of them out" in one["text"] and "no port is guessed (--budget 0)" in log, (one, log))
    (code, one, log), _ = meet(["--budget", "5", "--direct-only"])
    check("control: without a budget of 0 that is not blamed", code == 1 and "--budget 0" not in one["text"] + log, (one, log))


def budget():
    """alice seeks with a small budget, and bob, who hides, would bear a hundred times that. No guess hits: who hears the other stops guessing."""
    subprocess.run(["ip", "netns", "exec", "core", "nft", "-f", "-"], check=True, text=True, input=(
        f"table ip wall {{\n chain forward {{\n type filter hook forward priority 0\n ip saddr {ALICE} ip daddr {BOB} drop\n ip saddr {BOB} ip daddr {ALICE} drop\n }}\n}}\n"))
    # without the sweep that follows, whose packets have low TTLs, and so without openers
    count("nat-alice", sent=f"ip daddr {BOB} ip ttl > 50 meta l4proto udp")
    (code, one, log), _ = meet(["--budget", "300", "--max-pps", "100", "--direct-only", "--trace"],
                               ["--budget", "30000", "--max-pps", "30000", "--yes", "--direct-only"])
    sent = counted("nat-alice", "sent")
    check("a budget of 300 is used, and holds whatever the peer allows", 300 <= sent <= 300 + OTHERS, (sent, one, log))
    times = [p["at_ms"] for p in one["trace"] if p["direction"] == "out" and p["dst"].startswith(BOB) and p["ttl"] > 50]
    check("every packet that left is in the trace", len(times) == sent, (len(times), sent))
    busiest = max(sum(at <= other < at + 1000 for other in times) for at in times)
    check("no second has more than 100 guesses", busiest <= 100 + OTHERS // 2, busiest)
    check("the plan said so", one["plan"]["packets"] == 300 and one["plan"]["seconds"] >= 3, one["plan"])
    check("exit 1, BUDGET_EXHAUSTED", code == 1 and one["cause"]["code"] == "BUDGET_EXHAUSTED", one)


def stingy():
    """bob, who would have to seek, guesses nothing: alice need not hide."""
    count("nat-alice", sent=f"ip daddr {BOB} meta l4proto udp")
    (code, one, log), (_, other, _) = meet(SPEND, ["--budget", "0"])
    check("a peer that guesses nothing: both plan for the relay", code == 0 and one["plan"]["strategy"] == other["plan"]["strategy"] == "relay", (one, other, log))
    check("and alice opens no ports for it", counted("nat-alice", "sent") < 60, one)


def files():
    """A socket is a file: with few of them the plan is smaller, and says so."""
    (code, one, log), (_, other, log2) = meet(files=(64, 4096))
    check("a soft limit of 64 files is raised: a direct path", code == 0 and one["result"] == other.get("result") == "direct", (one, other, log, log2))
    check("with all sockets of the plan, and nothing is said of it", one["plan"]["peer_sockets"] > 200 and "files" not in log + log2, (one["plan"], log, log2))
    (code, one, log), (code2, other, log2) = meet(files=(64, 64))
    check("a hard limit of 64: there is a path", code == code2 == 0 and one["result"] == other.get("result") in ("direct", "relay"), (one, other, log, log2))
    check("with the sockets that there are", 20 < one["plan"]["peer_sockets"] < 64 and one["strategy"] in ("spray", "relay"), one)
    check("and it says so, and what to do", "more files" in log and "ulimit -n" in log, log)
    code, one, log = end(start("alice", tool="natprobe", files=(12, 256)))
    check("natprobe raises a soft limit of 12", code == 0 and one["class"] == "port-restricted", log)
    code, _, log = end(start("alice", tool="natprobe", files=(12, 12)))
    check("natprobe with a hard limit of 12: exit 2, and what to do", code == 2 and "Too many open files" in log and "ulimit -n" in log, log)


def stranger():
    """bob, who does not know alice and has not named her, guesses nothing and sends a handful of packets."""
    count("nat-bob", sent=f"ip daddr {ALICE} meta l4proto udp")
    options = [*SPEND, "--direct-only", "--timeout", "20"]
    for first in (True, False):
        bob = start("bob", *options)
        assert line(bob, "registered as"), "bob is not registered"
        (code, one, log), (_, other, log2) = end(start("alice", "--peer", "bob", *options)), end(bob)
        guesses = one["plan"]["packets"], other["plan"]["packets"]
        check("a stranger: both plan no guesses, and there is no direct path", code == 1 and guesses == (None, None), (one, other, log))
        check("bob says what to do", "--from alice" in log2, log2)
        check("no key is pinned before it has proved to be there", not os.path.exists(KNOWN) or "alice" not in open(KNOWN).read())
    sent = counted("nat-bob", "sent")
    check("bob has sent one opener and four probes, twice", sent == 10, sent)
    (code, one, log), _ = meet()
    check("a peer that bob has named: ports are guessed", code == 0 and one["result"] == "direct" and one["strategy"] == "spray", (one, log))
    check("and its key is pinned", "alice" in open(KNOWN).read())


def leaves(how):
    """bob ends while both guess, so slowly that no guess has hit; or is killed, and does not refresh his registration any more."""
    slow = ["--max-pps", "2", "--direct-only", "--timeout", "120"]
    bob = start("bob", "--from", "alice", *slow)
    assert line(bob, "registered as"), "bob is not registered"
    alice = start("alice", "--peer", "bob", *slow)
    assert line(alice, "spray: "), "alice does not guess"
    bob.send_signal(getattr(signal, how))
    (code, one, log), _ = end(alice), bob.communicate(timeout=60)
    check(f"{how} for bob while ports are guessed: exit 1, PEER_LEFT", code == 1 and one["cause"]["code"] == "PEER_LEFT", (one, log))


def exhaustive():
    both = ["--exhaustive", "--yes", "--direct-only"]
    (code, one, log), (_, other, _) = meet(both, both)
    check("--exhaustive on both sides: symmetric × symmetric is direct", code == 0 and one["result"] == other.get("result") == "direct", (one, other, log))
    check("and that is how", one["strategy"] == "exhaustive", one)


if __name__ == "__main__":
    story = globals().get(sys.argv[1])
    if story:
        story(*sys.argv[2:])
    else:
        crosses(sys.argv[1])
    done()
