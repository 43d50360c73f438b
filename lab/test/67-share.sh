#!/usr/bin/env bash
# punch --share: two hosts tell each other what became of every packet, without root and without a vantage point in between.
source "${BASH_SOURCE[0]%/*}/words.sh"

[[ ${PINHOLE_BIN:-} ]] || export PINHOLE_BIN=${test%/*/*}/target/release

story port-restricted port-restricted share.py meets
story symmetric symmetric share.py fails
story port-restricted port-restricted share.py one_way
story port-restricted port-restricted share.py refused
story port-restricted port-restricted share.py own_gateway
story port-restricted port-restricted share.py own_firewall output
story port-restricted port-restricted share.py own_firewall input
story open port-restricted share.py on_a_router
story port-restricted port-restricted share.py killed
story port-restricted port-restricted share.py interrupted
story port-restricted port-restricted share.py alone
story port-restricted port-restricted share.py stranger
story port-restricted port-restricted share.py eavesdropper
