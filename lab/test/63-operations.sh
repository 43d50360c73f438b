#!/usr/bin/env bash
# What the operator of a rendezvous has: metrics, health, names that outlive a restart, and a file of options.
source "${BASH_SOURCE[0]%/*}/words.sh"

[[ ${PINHOLE_BIN:-} ]] || export PINHOLE_BIN=${test%/*/*}/target/release

story full-cone full-cone metrics.py
story full-cone full-cone configuration.py
