#!/usr/bin/env bash
# The page of a trace (--trace FILE.html) in headless Chromium, with real clicks and keys.
source "${BASH_SOURCE[0]%/*}/words.sh"
source "${test%/*}/lib/needs.sh"

tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
[[ ${PINHOLE_BIN:-} ]] || export PINHOLE_BIN=${test%/*/*}/target/release
install=1 lab=${test%/*} # what needs.sh wants to know
has chromium || install chromium

check 'a matrix of one pair' "$netns" matrix full-cone --no-verify --html "$tmp/matrix.html"
check 'its packets lie beside its page' test -s "$tmp/matrix.packets/full-cone--full-cone/run-1.html"
python3 "$test/page.py" "$PINHOLE_BIN/nattrace" "$tmp/matrix.html" 2>"$tmp/why" || bad "page.py did not finish: $(tail -n 3 "$tmp/why")"

declined 'what is not a trace is not converted' 'is not a trace. Write one with: lab/netns.sh' nattrace convert "$test/documents.toml" "$tmp/x.html"
declined 'a format that there is not' 'must end with .json, .pcapng, .html or .txt' nattrace convert x.json "$tmp/x.doc"
