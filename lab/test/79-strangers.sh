#!/usr/bin/env bash
# What an honest client of the rendezvous notices of attackers: nothing, in what it gets.
source "${BASH_SOURCE[0]%/*}/words.sh"
lab=${test%/*}
source "$lab/lib/needs.sh"

die() { bad "$*"; exit 1; }
[[ ${PINHOLE_BIN:-} ]] || export PINHOLE_BIN=${test%/*/*}/target/release

if [[ ! -x $PINHOLE_BIN/examples/strangers ]]; then
	cd "${test%/*/*}" && owner && "${as[@]}" cargo build --release --quiet --package=pinhole-net --features=peer --example=strangers ||
		die 'the attackers do not build: cargo build --release --package=pinhole-net --features=peer --example=strangers'
fi

story full-cone full-cone strangers.py 2
