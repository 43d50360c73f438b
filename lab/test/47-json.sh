#!/usr/bin/env bash
# What every tool prints with --json, in every mode, is as the schemas in docs/schemas describe it.
source "${BASH_SOURCE[0]%/*}/words.sh"

[[ ${PINHOLE_BIN:-} ]] || export PINHOLE_BIN=${test%/*/*}/target/release
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT

# described SCHEMA WHAT: what is on stdin is as this schema says
described() {
	local said
	if said=$(python3 "$test/schemas.py" "$1" 2>&1); then ok "$2 is as $1.json describes it"; else bad "$2: $said"; fi
}

# control: a field that is not described, one that is missing, a type that is another, a wrong word
for wrong in '"where": "here"' '"version": 1' '"labs": null' '"labs": [{"name": "x"}]' '"schema": 2'; do
	python3 -c 'import json, sys; o = json.loads(sys.argv[1]) | json.loads("{%s}" % sys.argv[2]); print(json.dumps(o))' \
		'{"schema": 1, "tool": "labreport", "version": "0.1.0", "time": "2026-01-01T00:00:00.000000Z", "labs": []}' "$wrong" >"$tmp/wrong"
	if python3 "$test/schemas.py" labs "$tmp/wrong" 2>/dev/null; then bad "control: it passes: $wrong"; else ok "control: it is found: $wrong"; fi
done
if python3 "$test/schemas.py" labs /dev/null 2>/dev/null; then bad 'control: an empty file passes'; else ok 'control: an empty file is found'; fi
check 'the page names every field of the schemas' python3 "$test/schemas.py" --page

"$netns" list --json | described types 'list'
"$netns" doctor --json | described checks 'doctor'
"$netns" expect port-restricted symmetric --json | described expect 'expect, of a guess'
"$netns" expect open symmetric --json | described expect 'expect, of no guess'
"$netns" port-restricted symmetric --json 2>/dev/null | described pair 'a pair'
"$netns" udp-blocked open --json --no-verify 2>/dev/null | described pair 'a pair that fails'
"$netns" port-restricted symmetric --trace "$tmp/trace.json" >/dev/null 2>&1
described trace 'a trace of a pair' <"$tmp/trace.json"
"$netns" udp-blocked open --no-verify --trace "$tmp/trace.json" >/dev/null 2>&1
described trace 'a trace of a pair that fails' <"$tmp/trace.json"
"$netns" matrix open udp-blocked --json - 2>/dev/null | described matrix 'a matrix'
"$netns" matrix open --json - -- false 2>/dev/null | described matrix 'a matrix of a command'
"$netns" matrix open --json - --runs 2 --timeout 1 -- sleep 5 2>/dev/null | described matrix 'a matrix of runs without an end'
"$netns" up full-cone symmetric --name "json-$$" --json >"$tmp/up" 2>/dev/null
"$netns" status --json | described labs 'status'
"$netns" down --name "json-$$" >/dev/null
head -n 1 "$tmp/up" | described lab 'up'
tail -n +2 "$tmp/up" | described side 'what up measures'

story port-restricted,hairpin=on symmetric reports.py natprobe
story port-restricted symmetric reports.py punch
story port-restricted restricted,ports=random reports.py watch
options=(--link alice=loss:20%)
story restricted full-cone reports.py others
options=()
story full-cone restricted reports.py server
