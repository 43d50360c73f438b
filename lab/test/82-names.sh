#!/usr/bin/env bash
# Names, with real processes: reserved ones, new keys, and the proof of work for a new name.
source "${BASH_SOURCE[0]%/*}/words.sh"

[[ ${PINHOLE_BIN:-} ]] || export PINHOLE_BIN=${test%/*/*}/target/release

story port-restricted restricted names.py new_key
story port-restricted restricted names.py killed
story full-cone restricted names.py punch
story full-cone restricted names.py reserved
story full-cone restricted names.py reload
story full-cone full-cone names.py work
story full-cone open server-name.py
