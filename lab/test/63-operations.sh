#!/usr/bin/env bash
# What the operator of a rendezvous has: metrics, health, names that outlive a restart,
# a file of options, a table of what is going on, and
# sockets that another process has bound.
source "${BASH_SOURCE[0]%/*}/words.sh"

[[ ${PINHOLE_BIN:-} ]] || export PINHOLE_BIN=${test%/*/*}/target/release

story full-cone full-cone metrics.py
story full-cone full-cone configuration.py
story full-cone full-cone status.py
story full-cone full-cone activation.py
