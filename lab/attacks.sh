#!/usr/bin/env bash
#
# Attacks a rendezvous beside an honest client, and prints what the client notices: how often it got what it asked
# for, in what time, and how that compares with a run without an attack.
#
#   lab/attacks.sh [SECONDS]      of each attack; 10 unless given
#
# lab/test/79-strangers.sh is the short form, which asserts that the client gets everything.

lab=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
export PINHOLE_BIN=${PINHOLE_BIN:-${lab%/*}/target/release} PYTHONDONTWRITEBYTECODE=1

(cd "$lab/.." && cargo build --release --quiet --package=pinhole-net --features=peer --example=strangers &&
	cargo build --release --quiet --package=rendezvous --package=punch --package=chat) || exit 2
"$lab/netns.sh" full-cone full-cone --no-verify -- python3 "$lab/test/strangers.py" "${1:-10}" figures
