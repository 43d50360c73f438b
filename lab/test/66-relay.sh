#!/usr/bin/env bash
# The relay: our client and server with each other, and each with coturn's.
source "${BASH_SOURCE[0]%/*}/words.sh"
lab=${test%/*}
source "$lab/lib/needs.sh"

die() { bad "$*"; exit 1; }
[[ ${PINHOLE_BIN:-} ]] || export PINHOLE_BIN=${test%/*/*}/target/release
PATH=$PATH:/usr/sbin

install=1
has turnutils_uclient && has turnserver || install coturn
if [[ ! -x $PINHOLE_BIN/examples/relay ]]; then
	cd "${test%/*/*}" && owner && "${as[@]}" cargo build --release --quiet --package=pinhole-net --features=peer --example=relay ||
		die 'the TURN client of the tests does not build: cargo build --release --package=pinhole-net --features=peer --example=relay'
fi

story symmetric symmetric relay.py ours
story symmetric open relay.py refusals
story symmetric open relay.py coturn
story symmetric open relay.py uclient
