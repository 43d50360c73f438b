"""alice sends to the private address that bob has in the lab's --same-lan; argv: same or apart."""

import sys

from nodes import Udp, check, done

neighbour, bob, alice = Udp("alice2", port=47000), Udp("bob", port=47000), Udp("alice")
said = alice.send(("192.168.1.3", 47000))
check("alice's neighbour hears what is for 192.168.1.3", neighbour.hear(said))
try:
    Udp("bob", "192.168.1.3")
    has_it = True
except OSError:
    has_it = False
if sys.argv[1] == "same":
    check("--same-lan: bob, who has that address too, does not", has_it and bob.hear(said, 0.1) is None)
else:
    check("control: without --same-lan bob has another address", not has_it)
done()
