#!/usr/bin/env bash
# The keys of the rendezvous and of peers: given, trusted on first use, changed, wrong.
source "${BASH_SOURCE[0]%/*}/words.sh"

[[ ${PINHOLE_BIN:-} ]] || export PINHOLE_BIN=${test%/*/*}/target/release

story full-cone restricted keys.py
