#!/usr/bin/env bash
# punch, natprobe and rendezvous between the nodes: as asked, under loss, and when they should fail.
source "${BASH_SOURCE[0]%/*}/words.sh"

[[ ${PINHOLE_BIN:-} ]] || export PINHOLE_BIN=${test%/*/*}/target/release

story port-restricted open peers.py lan
story full-cone restricted peers.py trace
story full-cone open peers.py refusals
story udp-blocked open peers.py blocked
story restricted full-cone peers.py servers
story full-cone full-cone peers.py garbage
options=(--same-lan)
story port-restricted port-restricted peers.py same_lan
options=(--loss 10)
story port-restricted restricted peers.py loss
options=(--loss 30)
story masquerade full-cone peers.py loss
