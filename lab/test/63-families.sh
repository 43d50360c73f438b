#!/usr/bin/env bash
# A rendezvous on every address of its host, of both families, while addresses come and go.
source "${BASH_SOURCE[0]%/*}/words.sh"

[[ ${PINHOLE_BIN:-} ]] || export PINHOLE_BIN=${test%/*/*}/target/release

story open open families.py
