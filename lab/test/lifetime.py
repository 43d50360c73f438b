"""A mapping lives as long as there is traffic from inside, then dies; the lab's timeout is 1 s.

The one place where time itself is what is tested: refreshed for 2.5 s, then polled until it is gone.
"""

import time

from nodes import S1, S2, Udp, check, done, learn

server, stranger = Udp("server", S1, 7001), Udp("server", S2, 7002)
sides = [Udp(node, port=45000) for node in ("alice", "bob")]
publics = [learn(inside, server) for inside in sides]
seen = [set(), set()]

end = time.monotonic() + 2.5
while time.monotonic() < end:
    for ports, inside in zip(seen, sides):
        ports.add(learn(inside, server))
    time.sleep(0.1)
for inside, public, ports in zip(sides, publics, seen):
    check(f"refresh: {inside.node}'s mapping outlives its timeout while {inside.node} sends", ports == {public}, ports)
    check("refresh: a stranger still comes in", inside.hear(stranger.send(public)))

quiet = time.monotonic()
gone = {}
while len(gone) < 2 and time.monotonic() - quiet < 5:
    for inside, public in zip(sides, publics):
        if inside.node not in gone and not inside.hear(stranger.send(public), 0.1):
            gone[inside.node] = time.monotonic() - quiet
for inside in sides:
    life = gone.get(inside.node, 9)
    check(f"expiry: packets from outside do not keep it, {inside.node}'s is gone in 0.7 to 3 s", 0.7 < life < 3, f"{life:.1f} s")
done()
