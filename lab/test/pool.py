"""How many public addresses the mappings of one full cone have; argv: type, 1 or 2.

A pool that pairs nobody gives one host mappings on all its addresses, and still keeps each mapping.
"""

import sys

from nodes import S1, S2, Udp, check, done, learn

spec, count = sys.argv[1], int(sys.argv[2])
first, second = (S1.rsplit(".", 1)[0] + end for end in (".17", ".18"))
servers = [Udp("server", ip, port) for ip in (S1, S2) for port in (7001, 7002)]

# the same private ports twice, so that the NAT has to tell the hosts apart
inside = [Udp(host, port=port) for port in range(44000, 44006) for host in ("alice", "alice2")]
public = [learn(udp, servers[0]) for udp in inside]
wanted = {first, second} if count == 2 else {first}
for host in ("alice", "alice2"):
    seen = {at[0] for udp, at in zip(inside, public) if udp.node == host}
    check(f"{spec}: the mappings of {host} are on {count} public address{'es' if count == 2 else ''}", seen == wanted, seen)
check(f"{spec}: no two mappings share a public port", len({at[1] for at in public}) == len(public), public)
kept = [{learn(udp, server) for server in servers} == {at} for udp, at in zip(inside, public)]
check(f"{spec}: each mapping keeps its address and port for every destination", all(kept), kept)

stranger = Udp("server", S2, 7003)
astray = []
for udp, (ip, port) in zip(inside, public):
    said = stranger.send((second if ip == first else first, port)) if count == 2 else b""
    astray.append(udp.hears(said, stranger.send((ip, port))))
check(f"{spec}: a stranger reaches each by its own address, and by no other", not any(astray), astray)
done()
