"""alice2 sends to alice's public address; argv: on or off, and whether strangers are let in."""

import sys

from nodes import S1, Udp, check, done, learn

wanted, strangers = sys.argv[1], sys.argv[2]
one, two, server = Udp("alice", port=46000), Udp("alice2", port=46001), Udp("server", S1, 7001)
first, second = learn(one, server), learn(two, server)

said = two.send(first)
heard = None if one.hears(said, server.send(first)) is False else True
if wanted == "off":
    check("hairpin=off: the public address leads nowhere from inside", not heard)
    done()

if strangers == "yes":
    check("hairpin=on: it leads to alice", heard)
else:
    check("hairpin=on: the filter keeps a stranger out, from inside too", not heard)
check("hairpin=on: alice's packet comes from her public address", (seen := two.hear(one.send(second))) == first, f"{seen}, not {first}")
check("hairpin=on: and alice2's from hers", (seen := one.hear(two.send(first))) == second, f"{seen}, not {second}")
seen = learn(one, server)
check("hairpin=on: alice keeps her public port for the server", seen == first, f"{seen}, was {first}")
new = Udp("alice2", port=46002)
if strangers == "yes":
    check("hairpin=on: from a port that had no mapping too", (seen := one.hear(new.send(first))) == learn(new, server), seen)
done()
