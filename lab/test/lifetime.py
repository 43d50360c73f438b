"""A mapping lives as long as there is traffic from inside, then dies; the lab's timeout is 1 s.

The one place where time itself is what is tested: refreshed for 2.5 s, then polled until it is gone.
"""

import time

from nodes import S1, S2, Udp, check, done, learn

for node in ("alice", "bob"):
    inside, server, stranger = Udp(node, port=45000), Udp("server", S1, 7001), Udp("server", S2, 7002)
    public = learn(inside, server)
    end = time.monotonic() + 2.5
    ports = set()
    while time.monotonic() < end:
        ports.add(learn(inside, server))
        time.sleep(0.1)
    check(f"refresh: {node}'s mapping outlives its timeout while {node} sends", ports == {public}, ports)
    check(f"refresh: a stranger still comes in", inside.hear(stranger.send(public)))

    quiet = time.monotonic()
    while inside.hear(stranger.send(public), 0.1):
        if time.monotonic() - quiet > 5:
            break
    quiet = time.monotonic() - quiet
    check(f"expiry: packets from outside do not keep it, it is gone in 0.7 to 3 s", 0.7 < quiet < 3, f"{quiet:.1f} s")
done()
