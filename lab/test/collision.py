"""alice and alice2 send from one source port to one destination; argv: true or shared.

A true cone gives each a public port of its own and keeps it for every destination. Bare
masquerade, the control, lets both use one public port as long as the destinations differ.
"""

import sys

from nodes import S1, S2, Udp, check, done, learn

one, two = Udp("alice", port=43000), Udp("alice2", port=43000)
servers = [Udp("server", ip, port) for ip in (S1, S2) for port in (7001, 7002)]

first = learn(one, servers[0])
second = learn(two, servers[1])
if sys.argv[1] == "shared":
    check("control: masquerade shares one public port between two hosts", first == second, f"{first} and {second}")
    done()

check("collision: two hosts with one source port get two public ports", first != second, f"both {first}")
for inside, public in ((one, first), (two, second)):
    seen = {learn(inside, server) for server in servers}
    check(f"collision: {inside.node} keeps its public port for every destination", seen == {public}, f"{seen}, was {public}")

stranger = Udp("server", S2, 7003)
for inside, public in ((one, first), (two, second)):
    check(f"collision: a stranger reaches {inside.node} by its public port", inside.hear(stranger.send(public)))
done()
