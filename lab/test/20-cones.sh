#!/usr/bin/env bash
# What makes a cone a true one: port collisions, early packets, pools, refresh and expiry, hairpins.
source "${BASH_SOURCE[0]%/*}/words.sh"

story full-cone open collision.py true
story full-cone,ports=random open collision.py true
story masquerade open collision.py shared

story port-restricted port-restricted race.py kept
story restricted port-restricted race.py kept
story cgnat port-restricted race.py kept
story port-restricted,upnp=on port-restricted,upnp=on race.py kept
story masquerade port-restricted race.py remapped
story masquerade,input=accept port-restricted race.py remapped
story masquerade,input=drop port-restricted race.py kept
story masquerade,input=reject masquerade,input=drop race.py kept

story full-cone open pool.py full-cone 1
story full-cone,addresses=1 open pool.py full-cone,addresses=1 1
story full-cone,addresses=2 open pool.py full-cone,addresses=2 2
story full-cone,addresses=2,ports=random open pool.py full-cone,addresses=2,ports=random 2
story full-cone,addresses=2,ports=sequential,hairpin=on open pool.py full-cone,addresses=2,ports=sequential,hairpin=on 2
story full-cone,addresses=2,ports=block open collision.py true
story port-restricted,addresses=2 port-restricted,addresses=2 race.py kept

story full-cone,timeout=1s full-cone,ports=random,timeout=1s lifetime.py
story full-cone,timeout=2s open stale.py
story port-restricted,timeout=2s open stale.py

story full-cone open hairpin.py off no
story full-cone,hairpin=on open hairpin.py on yes
story restricted,hairpin=on,ports=random open hairpin.py on no
story port-restricted,hairpin=on open hairpin.py on no
story full-cone,hairpin=on,addresses=2 open hairpin.py on yes

# The filter waits for the address that the server saw: what one address makes work, a pool may spoil.
# (Without a measurement before it, so that the address that is drawn next is the same every time.)
story restricted symmetric,addresses=1 peers.py pool direct
story restricted symmetric,addresses=2 peers.py pool failed
