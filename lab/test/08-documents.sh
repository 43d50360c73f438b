#!/usr/bin/env bash
# The commands of every page do what the page says, and print what it shows. documents.py says how this is tested.
source "${BASH_SOURCE[0]%/*}/words.sh"

root=${test%/*/*}
[[ ${PINHOLE_BIN:-} ]] || export PINHOLE_BIN=$root/target/release
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
python3 "$test/documents.py" "$root" >"$tmp/said" 2>&1 || echo 'FAIL  documents.py did not finish' >>"$tmp/said" &

# control: pages that are wrong are found; meanwhile, since the pages mostly wait
mkdir "$tmp/crates" && cp -r "$root"/*.md "$root/docs" "$root/lab" "$tmp" && cp "$root"/crates/*.md "$tmp/crates"
page=docs/how-to/find-your-nat.md
wrong() { # WHAT PATTERN EDIT PAGE: the edited page fails, with this
	cp "$root/$4" "$tmp/$4" && sed -i "$3" "$tmp/$4"
	local said
	said=$(python3 "$tmp/lab/test/documents.py" "$tmp" "$4")
	cp "$root/$4" "$tmp/$4"
	if [[ $said == *"FAIL  "*$2* ]]; then ok "control: it is found: $1"; else bad "control: it is not found: $1: ${said//$'\n'/; }"; fi
}
wrong 'another verdict than is printed' "no 'class                 full-cone" 's/^class .*port-restricted  /class                 full-cone  /' $page
wrong 'a line too few' "no 'public addresses" '/^ports   /d' $page
wrong 'an option that there is not' 'exit 2, not 0' 's/^natprobe --server 203.0.113.1$/& --no-such/' $page
wrong 'output of no command' 'no command is above this output' 's/^```sh$/```/' $page
wrong 'a field that there is not' 'there is no .kind' 's/"class": "restricted"/"kind": "restricted"/' docs/reference/json.md
wrong 'an entry for a block that there is not' 'no block of docs/how-to/find-your-nat.md begins with' 's/^natprobe --server/probe/' $page
wrong 'a dialogue that goes another way' 'a dialogue' 's/^12:03 bob: hi alice/12:03 bob: hello alice/' docs/how-to/chat.md

wait
cat "$tmp/said"
