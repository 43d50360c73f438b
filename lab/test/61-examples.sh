#!/usr/bin/env bash
# Each example that a tool's --help shows is run.
source "${BASH_SOURCE[0]%/*}/words.sh"
source "${test%/*}/lib/needs.sh"

[[ ${PINHOLE_BIN:-} ]] || export PINHOLE_BIN=${test%/*/*}/target/release
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
die() { bad "$*"; exit 1; }
install=1 me=61-examples.sh
has jq || install jq

ln -s "${netns%/*}" "$tmp/lab"
# a lifetime that can be measured in seconds
"$netns" full-cone,timeout=4s restricted --no-verify -- python3 "$test/examples.py" lab "$tmp" || bad 'examples.py did not finish in the lab'
"$netns" open open --no-verify -- sh -c "ip netns exec alice natprobe --json >'$tmp/open.json'" || bad 'open is not measured'
"$netns" matrix open --no-verify --json "$tmp/cells.json" >/dev/null || bad 'no matrix'
PINHOLE_S1='' PINHOLE_S2='' python3 "$test/examples.py" outside "$tmp" || bad 'examples.py did not finish'
