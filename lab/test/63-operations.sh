#!/usr/bin/env bash
# What the operator of a rendezvous has: metrics, health, names that outlive a restart,
# a file of options, and a table of what is going on.
source "${BASH_SOURCE[0]%/*}/words.sh"

[[ ${PINHOLE_BIN:-} ]] || export PINHOLE_BIN=${test%/*/*}/target/release

story full-cone full-cone metrics.py
story full-cone full-cone configuration.py
story full-cone full-cone status.py
