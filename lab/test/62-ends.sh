#!/usr/bin/env bash
# How the tools end: where nobody reads, when nobody comes, when they are told to, and when another runs already.
source "${BASH_SOURCE[0]%/*}/words.sh"

[[ ${PINHOLE_BIN:-} ]] || export PINHOLE_BIN=${test%/*/*}/target/release

story full-cone open ends.py unheard
story full-cone open ends.py unwritten
story full-cone open ends.py full
story full-cone open ends.py twice
story full-cone open ends.py signals
story port-restricted open ends.py patience
story port-restricted open ends.py far
story full-cone open ends.py this_host
