#!/usr/bin/env bash
# What the operator of a rendezvous has: metrics, health, and names that outlive a restart.
source "${BASH_SOURCE[0]%/*}/words.sh"

[[ ${PINHOLE_BIN:-} ]] || export PINHOLE_BIN=${test%/*/*}/target/release

story full-cone full-cone metrics.py
