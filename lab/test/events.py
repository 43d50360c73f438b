"""Things that happen to a lab while sockets of programs are open in it. argv: what happens.

Alice's socket in the LAN, the server's outside. Before and after, the server says from where alice's packets come, and
whether its answers reach her.
"""

import re
import socket
import subprocess
import sys
import threading

from nodes import DEADLINE, S1, S2, Udp, check, done, enter, until


def run(node, *words):
    return subprocess.run(["ip", "netns", "exec", node, *words], capture_output=True, text=True)


def lab(*words):
    ran = subprocess.run(["lab", *words], capture_output=True, text=True)
    check(f"lab {' '.join(words)}", ran.returncode == 0, ran.stderr + ran.stdout)
    return ran.stdout


def named(node, name):
    """The address that a name has in a node."""
    return (run(node, "getent", "hosts", name).stdout.split() or [None])[0]


def pings(node, name):
    return until(lambda: run(node, "ping", "-qc1", "-W1", name).returncode == 0)


def default_route(node):
    return run(node, "ip", "-4", "route", "show", "default").stdout.strip().replace(" linkdown", "")


server = Udp("server", S1)
other = Udp("server", S2)


def crosses(inside, outside=server):
    """Send until it is there: the address that the server sees, with the answer back inside."""
    def once():
        said = inside.send((outside.socket.getsockname()[0], outside.port))
        seen = outside.hear(said, 0.5)
        return seen and inside.hear(outside.send(seen), 0.5) and seen
    return until(once)


def reboot():
    alice = Udp("alice")
    seen = crosses(alice)
    assert alice.hear(server.send(seen)), "an answer comes in"
    lab("reboot", "nat-alice")
    said = server.send(seen)
    # what comes after it, by another mapping of the same router, has arrived
    later = Udp("alice2")
    assert crosses(later)
    check("a packet to a mapping from before does not come in", alice.hear(said, 0.05) is None)
    check("a packet from inside makes a new one", crosses(alice))


def nat():
    alice = Udp("alice")
    first, second = crosses(alice), crosses(alice, other)
    check("before: one mapping for all destinations", first == second, f"{first} {second}")
    lab("nat", "alice", "symmetric,timeout=70s")
    first, second = crosses(alice), crosses(alice, other)
    kept = run("nat-alice", "cat", "/proc/sys/net/netfilter/nf_conntrack_udp_timeout").stdout.strip()
    check("the kernel's timer is the type's", kept == "70", kept)
    check("symmetric: one for each", first and second and first[1] != second[1], f"{first} {second}")
    check("under the same address", first[0] == second[0] == named("bob", "alice"), f"{first} {second}")
    lab("nat", "alice", "full-cone,timeout=1s")
    seen = crosses(alice)
    check("full-cone: all come in", alice.hear(other.send(seen), DEADLINE))

    def gone():
        said = other.send(seen)
        return alice.hear(said, 0.3) is None
    check("and the timeout is the new one's", until(gone))


def renumber():
    """Each side gets another public address; who has talked to it has to be told."""
    for who in ("alice", "bob"):
        host = Udp(who)
        old = crosses(host)[0]
        assert old == named("server", who), f"{who} comes from {old} and is called {named('server', who)}"
        seen = {old}
        for _ in range(3):
            lab("renumber", who)
            if host.socket.getsockname()[0] != "0.0.0.0":
                host = Udp(who)
            new = crosses(host)
            check(f"{who} has another address now", new and new[0] != old, f"{old}, then {new}")
            check("and its name says which", new[0] == named("server", who), f"{new} {named('server', who)}")
            check("packets from outside are answered by its router or itself", new and host.hear(server.send(new), DEADLINE))
            old = new[0]
        check(f"{who} reaches the server", pings(who, "server"))


def roam():
    bob = Udp("bob")
    bobs = crosses(bob)
    alice = Udp("alice")
    before = crosses(alice)
    old = named("alice", "alice")
    lab("roam", "alice", "bob")
    after = crosses(alice)
    check("the same socket comes from bob's router now", after and after[0] == bobs[0] != before[0], f"{before} {after} {bobs}")
    check("the host has another address", named("alice", "alice") != old, old)
    check("which is in bob's LAN", named("bob", "alice") == named("alice", "alice"), named("bob", "alice"))
    check("bob reaches it there", pings("bob", "alice"))
    check("bob is where he was", crosses(bob)[0] == bobs[0])
    check("alice2 stays, and reaches the server", pings("alice2", "server"))
    check("elsewhere, alice has the address of bob's router", named("server", "alice") == bobs[0], named("server", "alice"))
    lab("roam", "alice", "alice")
    back = crosses(alice)
    check("and back again", back and back[0] == named("server", "alice") != bobs[0], f"{back}")
    check("to where alice2 is", pings("alice2", "alice"))


def down():
    alice = Udp("alice")
    seen = crosses(alice)
    for link, node, device in (("alice", "nat-alice", "wan"), ("alice:eth0", "alice", "eth0"), ("nat-alice:wan", "nat-alice", "wan")):
        routes = [default_route(n) for n in ("alice", "nat-alice")]
        lab("down", link)
        # Older kernels handle a change of carrier a moment later.
        shown = lambda: run(node, "ip", "-o", "link", "show", device).stdout
        check(f"{link} down: {node} sees no carrier", until(lambda: "NO-CARRIER" in shown()), shown())
        check("and keeps its default route", routes == [default_route(n) for n in ("alice", "nat-alice")])
        check("ping gets no answer", run("alice", "ping", "-qc1", "-W1", "server").returncode == 1)
        lab("up", link)
        check(f"{link} up: the same socket gets through, by the same mapping", crosses(alice) == seen)
        check("ping too", pings("alice", "server"))
        check("the default route is as it was", routes == [default_route(n) for n in ("alice", "nat-alice")])
    lab("link", "server", "down")
    check("the server's cable", run("bob", "ping", "-qc1", "-W1", "server").returncode == 1)
    lab("link", "server", "up")
    check("and it is back", pings("bob", "server") and pings("alice", "server"))


def link():
    def round_trip():
        found = re.findall(r"time=([\d.]+)", run("alice", "ping", "-c3", "-i0.2", "server").stdout)
        return min(map(float, found), default=0)
    lab("link", "alice", "delay:40ms", "loss:0")
    slow = round_trip()
    check("a round trip takes twice the delay", slow >= 80, slow)
    lab("link", "alice", "none")
    check("and no longer when it is none", until(lambda: 0 < round_trip() < 40))


def flood():
    alice = Udp("alice")
    sources, stop = set(), threading.Event()
    enter("server")
    discard = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    discard.bind((S2, 9))
    discard.settimeout(0.2)

    def listen():
        while not stop.is_set():
            try:
                sources.add(discard.recvfrom(100)[1])
            except TimeoutError:
                pass
    thread = threading.Thread(target=listen)
    thread.start()
    said = lab("flood", "alice", "200", "2")
    until(lambda: len(sources) >= 390, 5)
    stop.set()
    thread.join()
    check("it says what it did", re.match(r"400 mappings in \d+ ms$", said), said)
    # two sockets may have had one port in turn
    check("so many mappings are made", len(sources) >= 390, len(sources))
    check("by alice's router", {ip for ip, _ in sources} == {named("server", "alice")}, {ip for ip, _ in sources})
    check("in the time that it was given", int(said.split()[-2]) >= 1990, said)
    check("and alice gets through", crosses(alice))
    check("the host that does it has a name", named("alice", "flood-alice"))
    lab("flood", "bob", "50", "1")
    check("on the other side, too", named("bob2", "flood-bob"))


globals()[sys.argv[1]]()
done()
