"""A peer that goes on sending keeps nothing of a mapping that has expired: its port is another host's then; the lab's timeout is 2 s."""

import time

from nodes import S1, S2, Udp, check, done, learn

first, second = Udp("server", S1, 5000), Udp("server", S2, 5000)
alice, alice2 = Udp("alice", port=4100), Udp("alice2", port=4100)
public = learn(alice, first)

# the time that the mapping lives, the second that conntrack does, and half of one
end = time.monotonic() + 3.5
while time.monotonic() < end:
    first.send(public)
    time.sleep(0.1)

other = learn(alice2, second)
check("stale: the port of an expired mapping goes to who asks next", other == public, other)
again = learn(alice, first)
check("stale: and its old owner gets another, towards the peer that went on sending, too", again != other, again)
check("stale: each has one port towards everybody", (learn(alice2, first), learn(alice, second)) == (other, again))
check("stale: and hears what is sent to it", alice.hear(first.send(again)) and alice2.hear(first.send(other)))
done()
