"""What miniupnpd's mappings do in the lab's routers (upnp=on), asked for by NAT-PMP and without our own client.

bob has no NAT. argv: alice's type, and whether its mappings are the remote's alone (address-and-port-dependent).
"""

import json
import os
import socket
import struct
import subprocess
import sys
import time

from nodes import S1, S2, Udp, check, done, enter, learn

spec, alone = sys.argv[1], sys.argv[2] == "alone"
public = S1.rsplit(".", 1)[0] + ".17"


def ask(node, inner, lifetime, outer=0):
    """NAT-PMP's mapping request (RFC 6886 §3.3) from a node; the outer port and the lifetime."""
    enter(node)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.settimeout(3)
        asker.connect(("192.168.1.1", 5351))
        asker.send(struct.pack("!BBHHHI", 0, 1, 0, inner, outer, lifetime))
        _, _, result, _, _, outer, lifetime = struct.unpack("!BBHIHHI", asker.recv(100))
    assert result == 0, f"NAT-PMP says {result}"
    return outer, lifetime


def table():
    command = ["ip", "netns", "exec", "nat-alice", f"{os.environ['PINHOLE_BIN']}/nattrace", "table", "--json"]
    return json.loads(subprocess.check_output(command))


own = [mapping for mapping in table().get("mappings", []) if not mapping["inside"].startswith(("192.168.1.2:", "192.168.1.3:"))]
check(f"{spec}: the router's own packets are nobody's mappings", own == [], own)

inside, other = Udp("alice", port=45000), Udp("alice2", port=45000)
stranger = Udp("server", S2, 7001)
outer, lifetime = ask("alice", 45000, 600, 45000)
check(f"{spec}: the port is granted as it was asked for", (outer, lifetime) == (45000, 600), (outer, lifetime))
said = stranger.send((public, outer))
check(f"{spec}: a stranger comes in by a mapped port", inside.hear(said) == (S2, 7001))
seen = stranger.hear(inside.send((S2, 7001)))
check(f"{spec}: the answer leaves from it", seen == (public, outer), seen)
patient = Udp("server", S2, 7005)
inside.hear(patient.send((public, outer)))
time.sleep(1.5)  # longer than conntrack remembers where the maps do
seen = patient.hear(inside.send((S2, 7005)))
check(f"{spec}: and so does a late one", seen == (public, outer), seen)

second, _ = ask("alice2", 45000, 600, 45000)
check(f"{spec}: the port that one host has, another does not get", second != outer, second)
check(f"{spec}: but one of its own", other.hear(stranger.send((public, second))) == (S2, 7001))

# What is not mapped is filtered as ever. The packet that must come in goes by the mapped port.
if "masquerade" not in spec:
    quiet = Udp("alice", port=46000)
    closed = learn(quiet, Udp("server", S1, 7003))
    stranger.send((public, 46001))
    said = stranger.send(closed)
    inside.hear(stranger.send((public, outer)))
    came = quiet.hear(said, 0.05)
    check(f"{spec}: another port of that host is as the type has it", bool(came) == ("full-cone" in spec), came)
    counts = {counter["name"]: counter["packets"] for counter in table()["counters"]}
    count = (counts["unmapped"], counts["filtered"])
    check(f"{spec}: what was dropped is counted by its reason", count == (1, 0 if came else 1), count)

# Outwards miniupnpd has no rule: the type's own mapping decides, and keeps the port only if it happens to.
fresh = Udp("server", S1, 7004)
left = learn(inside, fresh)
check(f"{spec}: towards somebody else it leaves from {'another port' if alone else 'it, too'}", (left[1] == outer) != alone, left)
# Then conntrack has this pair of endpoints already, and Linux gives that peer another source port inwards.
came = inside.hear(fresh.send((public, outer)))
check(f"{spec}: who comes in by it then, comes from {'another' if alone else 'its own'} port", came and (came == (S1, 7004)) != alone, came)
back = fresh.hear(inside.send(came))
check(f"{spec}: and is answered from it", back == (public, outer), back)

if "full-cone" not in spec: # which lets everybody in as long as its own mapping of that port lives
    ask("alice", 45000, 0)
    said = Udp("bob").send((public, outer)) # nobody has sent to bob
    other.hear(stranger.send((public, second)))
    came = inside.hear(said, 0.05)
    check(f"{spec}: a mapping given back lets nobody in", not came, came)
brief = Udp("alice", port=47000)
short, _ = ask("alice", 47000, 2)
came = brief.hear(Udp("server", S2, 0).send((public, short)))
check(f"{spec}: a mapping for two seconds lets in", came, came)
end = time.monotonic() + 8
while brief.hear(Udp("server", S2, 0).send((public, short)), 0.05) and time.monotonic() < end:
    pass
check(f"{spec}: and after them nobody", time.monotonic() < end)
done()
