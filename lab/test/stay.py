"""punch for longer than a hole: signs of life, ports of the router, coturn; argv: which story."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time

from chats import reboot as forget
from nodes import S1, check, done, enter, until
from peers import line, meet, start
from relay import ROOM, serve


class Watch:
    """punch --watch, whose lines are read as they come, with a deadline."""

    def __init__(self, node, *words, keepalive="0.5"):
        self.process = start(node, "punch", "--name", node, "--watch", "--json", "--quick", "--keepalive", keepalive, *words)
        self.lines = queue.Queue()

    def follow(self):
        """From here on nobody else reads what it says."""
        for stream in (self.process.stdout, self.process.stderr):
            threading.Thread(target=lambda stream=stream: [self.lines.put(said) for said in stream], daemon=True).start()
        return self

    def until(self, event, deadline=60, **wanted):
        """The next of these events, or None."""
        end = time.monotonic() + deadline
        while (left := end - time.monotonic()) > 0:
            try:
                said = self.lines.get(timeout=left)
            except queue.Empty:
                return None
            if said.startswith("{") and (heard := json.loads(said)).get("event") == event:
                if all(heard.get(key) == value for key, value in wanted.items()):
                    return heard
        return None

    def stop(self):
        """Ctrl-C: its exit code, and its report."""
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(timeout=60)
        while "\"result\"" not in (said := self.lines.get(timeout=60)):
            pass
        return code, json.loads(said)


def watched(**options):
    bob = Watch("bob", "--from", "alice", **options)
    line(bob.process, "registered as")
    bob.follow()
    alice = Watch("alice", "--peer", "bob", **options).follow()
    check("they are connected", alice.until("connected") and bob.until("connected"))
    return alice, bob


def reboot():
    alice, bob = watched()
    before = time.monotonic()
    forget("nat-bob")
    lost, again = alice.until("lost"), alice.until("connected")
    took = time.monotonic() - before
    check("a NAT that reboots: the lost path is told, and punched anew", lost and again, (lost, again))
    check("within seconds", took < 8, took)
    check("bob is there as well", bob.until("connected"))
    code, said = alice.stop()
    check("Ctrl-C: exit 0, connected", code == 0 and said["result"] == "direct", said)
    bob.stop()


def reboot_relayed():
    alice, bob = watched()
    forget("nat-alice")
    again = alice.until("connected", deadline=60)
    check("a relayed path comes back after the caller's NAT has rebooted", again and again["relayed"], again)
    for peer in (alice, bob):
        peer.stop()


def improves():
    """Nothing passes between the homes at first: the path is relayed, and a direct one is tried for again."""
    net = S1.rsplit(".", 1)[0]
    ways = [(f"{net}.16/28", f"{net}.32/28"), (f"{net}.32/28", f"{net}.16/28")]
    drops = "".join(f"ip saddr {a} ip daddr {b} drop; " for a, b in ways)
    enter("core")
    wall = f"table ip wall {{ chain packets {{ type filter hook forward priority 0; {drops} }}; }}"
    subprocess.run(["nft", "-f", "-"], input=wall, check=True, text=True)
    alice, bob = watched()
    # Both are introduced, again when their NATs are measured, and then to improve the path.
    again = until(lambda: open("/run/rendezvous.log").read().count("introduced alice to bob") >= 4, 60)
    check("a relayed path is improved on at growing intervals", again)
    enter("core")
    subprocess.check_call(["nft", "delete", "table", "ip", "wall"])
    for peer in (alice, bob):
        told = peer.until("connected")
        check("the next path that is told is the direct one", told and not told["relayed"], told)
    code, said = alice.stop()
    check("Ctrl-C: exit 0, direct", code == 0 and said["result"] == "direct", said)
    bob.stop()


def roam():
    """The address of one of them is changed, and her default route goes with it. The caller's, and the callee's."""
    peers = dict(zip(("alice", "bob"), watched()))
    for node, other in (("alice", "bob"), ("bob", "alice")):
        enter(node)
        listed = json.loads(subprocess.check_output(["ip", "-j", "-4", "address", "show", "eth0"]))[0]["addr_info"][0]
        routes = json.loads(subprocess.check_output(["ip", "-j", "route", "show", "default"]))
        before, length, gateway = listed["local"], listed["prefixlen"], routes[0]["gateway"]
        now = before.rsplit(".", 1)[0] + ".77"
        began = time.monotonic()
        for words in (["address", "flush", "dev", "eth0", "scope", "global"], ["address", "add", f"{now}/{length}", "dev", "eth0"], ["route", "replace", "default", "via", gateway]):
            subprocess.check_call(["ip", *words])
        told = peers[node].until("roamed", **{"from": now})
        check(f"{node}'s new address is told", told)
        again = peers[node].until("connected", relayed=False)
        took = time.monotonic() - began
        print(f"info  {node} was connected again {took:.2f} s after the new address", flush=True)
        check(f"{node} is connected again, directly", again)
        check(f"{other} follows", peers[other].until("connected"))
    code, said = peers["alice"].stop()
    check("Ctrl-C: exit 0, connected", code == 0 and said["result"] == "direct", said)
    peers["bob"].stop()


def mapped():
    (code, one, log), other = meet("alice", "bob", "--direct-only")
    # a port that is there before the call is a candidate as any other, so that plain probes go to it
    unguessed = all(r["strategy"] in ("plain", "port-mapping") and r["guess"] is None for r in (one, other))
    check("a port of the router spares the guessing", code == 0 and one["result"] == "direct" and unguessed, (one, other, log))
    (code, one, log), _ = meet("alice", "bob", "--direct-only", "--no-port-mapping", "--budget", "0")
    check("control: without it there is no path", code == 1, (one, log))
    enter("nat-alice")
    rules = subprocess.run(["nft", "list", "table", "inet", "miniupnpd"], capture_output=True, text=True).stdout
    check("and it is given back", "dnat" not in rules, rules)


def roams():
    """alice's host moves behind another router. By silence, that would be noticed after minutes."""
    alice, bob = watched(keepalive="60")
    begin = time.monotonic()
    subprocess.run(["lab", "roam", "alice", "bob"], check=True)
    check("alice is back from her new address", alice.until("registered") and alice.until("connected"))
    print(f"info  back after {time.monotonic() - begin:.1f} s")
    check("and bob knows", bob.until("connected"))
    check("alice ends well", alice.stop()[0] == 0)
    check("and bob", bob.stop()[0] == 0)


def turn():
    os.makedirs(ROOM, exist_ok=True)
    coturn = serve(3478, "turnserver", "-n", "-L", S1, "-p", "3478", "--no-cli", "--no-tls", "--no-dtls", "--lt-cred-mech",
                   "--user", "somebody:secret", "--realm", "pinhole.test", f"--pidfile={ROOM}/turn.pid", f"--userdb={ROOM}/turn.db", "--log-file=stdout")
    use = ("--turn", f"somebody:secret@{S1}")
    (code, one, log), other = meet("alice", "bob", *use)
    check("another TURN server serves as well", code == 0 and one["result"] == other["result"] == "relay", (one, other, log))
    check("and packets do go through it", one["path"]["loss"] < 0.5 and one["path"]["direct"] is False, one["path"])
    (code, one, log), _ = meet("alice", "bob", "--turn", f"somebody:wrong@{S1}")
    check("with a wrong password there is no path, and the cause is the relay's refusal, with its code",
          code == 1 and one["cause"]["code"] == "RELAY_REFUSED" and "refused: 401" in one["cause"]["text"], (one, log))
    warned = log.find(f"no relayed address from {S1}:3478: ")
    check("and it is said when it happens, before the attempt is over", 0 < warned and "401" in log[warned:].split("\n")[0], log)
    coturn.terminate()
    coturn.wait()


def worth():
    (code, one, log), other = meet("alice", "bob")
    path = one["path"] or {}
    check("the path is measured, by both", code == 0 and path and other["path"], (one, other))
    check("it is direct: alice's router, core, bob's router", path.get("direct") is True and path.get("hops") == 3, path)
    check("nothing is lost", path.get("loss") == 0 and path["sent"]["packets"] == path["received"]["packets"] == 64, path)
    (code, one, log), other = meet("alice", "bob", "--relay-only")
    check("a relayed one is found out", code == 0 and one["path"]["direct"] is False and one["path"]["hops"] is None, (one, log))


if __name__ == "__main__":
    globals()[sys.argv[1]]()
    done()
