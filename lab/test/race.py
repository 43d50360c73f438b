"""bob's packet comes to alice's NAT before alice has sent to bob; argv: kept or remapped."""

import sys

from nodes import S1, Udp, check, done, learn

wanted = sys.argv[1]
alice, bob, server = Udp("alice", port=44000), Udp("bob", port=44000), Udp("server", S1, 7001)
public_alice, public_bob = learn(alice, server), learn(bob, server)

early = bob.send(public_alice)
check("race: the early packet is not let in", not alice.hears(early, server.send(public_alice)))
said = alice.send(public_bob)
seen = bob.hear(said, 0.3) if wanted == "remapped" else bob.hear(said)

if wanted == "kept":
    check("race: alice's answer comes from the public port that bob knows", seen == public_alice, f"{seen}, not {public_alice}")
    check("race: and bob's next packet comes in", alice.hear(bob.send(public_alice)))
else:
    check("control: with bare masquerade it comes from another port, and bob's NAT drops it", seen is None, seen)

opener = Udp("bob", port=44001)
public_opener = learn(opener, server)
opener.send(public_alice_2 := learn(second := Udp("alice", port=44001), server), ttl=2)
seen = None
second.send(public_opener, ttl=2)
said = second.send(public_opener)
seen = opener.hear(said)
check("race: with low-TTL openers, that die in core, it does not matter", seen == public_alice_2, f"{seen}, not {public_alice_2}")
done()
