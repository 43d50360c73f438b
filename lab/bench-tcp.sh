#!/usr/bin/env bash
#
# Prints figures, asserts nothing: how often does punch --tcp connect where both NATs reset an early SYN, and forget
# their mapping for a reset?
#
#   lab/bench-tcp.sh [RUNS [MS]]     default 100 attempts, and 20 ms on the way from one side to the other
#
# Each in a fresh lab, two at once.

lab=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
self=$lab/${BASH_SOURCE[0]##*/}
ms=${2:-20}

# inside a lab: bob waits, alice calls and prints her report
if [[ ${PINHOLE_S1-} ]]; then
	exec {ready}< <(PINHOLE_NAME=bob exec ip netns exec bob punch --tcp --json --ready /dev/fd/3 3>&1 >/dev/null 2>&1)
	read -rt 60 -u "$ready"
	PINHOLE_NAME=alice ip netns exec alice punch --tcp --peer bob --json 2>/dev/null
	exit
fi

# shellcheck disable=SC2016
seq "${1:-100}" | xargs -P 2 -I{} "$lab/netns.sh" firewall,tcp=rst firewall,tcp=rst --delay "$ms" --no-verify -- "$self" | python3 -c '
import collections, json, statistics, sys
reports = [json.loads(line) for line in sys.stdin]
direct = [r for r in reports if r["result"] == "direct"]
print(f"{len(direct)} of {len(reports)} direct")
if direct:
    median = statistics.median(r["elapsed_ms"] for r in direct)
    print(f"median {median:.0f} ms")
for cause, count in collections.Counter(r["cause"]["code"] for r in reports if r["cause"]).items():
    print(f"{count} {cause}")'
