#!/usr/bin/env bash
# What makes a cone a true one: port collisions, early packets, refresh and expiry, hairpins.
source "${BASH_SOURCE[0]%/*}/words.sh"

story full-cone open collision.py true
story full-cone,ports=random open collision.py true
story masquerade open collision.py shared

story port-restricted port-restricted race.py kept
story restricted port-restricted race.py kept
story cgnat port-restricted race.py kept
story masquerade port-restricted race.py remapped

story full-cone,timeout=1s full-cone,ports=random,timeout=1s lifetime.py

story full-cone open hairpin.py off no
story full-cone,hairpin=on open hairpin.py on yes
story restricted,hairpin=on,ports=random open hairpin.py on no
story port-restricted,hairpin=on open hairpin.py on no
