#!/usr/bin/env bash
# punch stays connected, has ports opened by the router, and relays by a server of others.
source "${BASH_SOURCE[0]%/*}/words.sh"
source "${test%/*}/lib/needs.sh"

die() { bad "$*"; exit 1; }
[[ ${PINHOLE_BIN:-} ]] || export PINHOLE_BIN=${test%/*/*}/target/release
PATH=$PATH:/usr/sbin

install=1
has turnserver || install coturn

# (a NAT that keeps ports is mended by the next sign of life)
story port-restricted restricted,ports=random stay.py reboot
story port-restricted restricted stay.py roams
story symmetric symmetric stay.py reboot_relayed
story port-restricted restricted stay.py improves
story port-restricted restricted stay.py roam
story symmetric,upnp=on symmetric stay.py mapped
story port-restricted symmetric,upnp=on stay.py mapped
story symmetric symmetric stay.py turn
story full-cone port-restricted stay.py worth
