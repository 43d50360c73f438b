#!/usr/bin/env bash
#
# Prints figures, asserts nothing: does a spray on the real kernel behave as its formula says?
#
#   lab/bench-spray.sh [RUNS [OTHER]]     default 200 and 100
#
# RUNS of port-restricted × symmetric: alice seeks, and her report says which guess hit; their mean
# beside (P + 1) / (k + 1). OTHER of symmetric × port-restricted: how many connect. Each in a fresh
# lab, four at once. With "exhaustive" for RUNS: OTHER runs (default 10) of symmetric × symmetric.

lab=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
self=$lab/${BASH_SOURCE[0]##*/}
export LC_ALL=C

# inside a lab: bob waits, alice calls and prints her report
if [[ ${PINHOLE_S1-} ]]; then
	read -ra spend <<<"$SPEND"
	exec {ready}< <(PINHOLE_NAME=bob exec ip netns exec bob punch --from alice "${spend[@]}" --json --ready /dev/fd/3 3>&1 >/dev/null 2>&1)
	read -rt 10 -u "$ready"
	PINHOLE_NAME=alice ip netns exec alice punch --peer bob "${spend[@]}" --json 2>/dev/null
	exit
fi

# runs N A B: the reports of N labs
runs() {
	# shellcheck disable=SC2016
	seq "$1" | xargs -P "$abreast" -I{} "$lab/netns.sh" "$2" "$3" --no-verify -- "$self"
}

# told: how many connected, and which guesses hit
told() {
	python3 -c '
import json, statistics, sys
reports = [json.loads(line) for line in sys.stdin]
direct = [r for r in reports if r["result"] == "direct"]
print(f"{len(direct)} of {len(reports)} direct, " + ", ".join(
    f"{what} median {statistics.median(r[key] for r in direct):.0f}, most {max(r[key] for r in direct):.0f}"
    for what, key in (("ms", "elapsed_ms"), ("probes of alice", "probes_sent"))))
for r in reports:
    if r["result"] != "direct":
        print("not direct:", r["result"], r["cause"])
seekers = [r for r in direct if r["strategy"] == "spray" and r["plan"]["sockets"] == 0]
guesses = [r["guess"] for r in seekers if r["guess"]]
if guesses:
    k = seekers[0]["plan"]["peer_sockets"]
    formula = 64513 / (k + 1)
    mean = statistics.mean(guesses)
    error = statistics.stdev(guesses) / len(guesses) ** 0.5
    print(f"guess that hit, of {len(guesses)}: mean {mean:.0f} ± {error:.0f}, formula {formula:.0f}, ratio {mean / formula:.2f}")'
}

abreast=4
if [[ ${1-} == exhaustive ]]; then
	export SPEND='--exhaustive --yes --direct-only --timeout 60'
	abreast=1
	echo 'symmetric × symmetric, exhaustive:'
	runs "${2:-10}" symmetric,size=262144 symmetric,size=262144 | told
	exit
fi
export SPEND='--budget 4000 --max-pps 4000 --yes --direct-only'
echo 'port-restricted × symmetric:'
runs "${1:-200}" port-restricted symmetric | told
echo 'symmetric × port-restricted:'
runs "${2:-100}" symmetric port-restricted | told
