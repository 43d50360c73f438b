#!/usr/bin/env bash
#
# Prints figures, asserts nothing: what it costs to look, and whether anything is missed.
#
#   lab/bench-trace.sh [ROUNDS]
#
# The time that punch takes from its start to a path, in labs with --trace and without, in turn: medians, and the median
# of the ratios of each pair. Then a spray of 4,000 packets and a file of 200 MB by chat in a traced lab: how many of the
# frames that the interfaces of each node counted were seen, and the gaps that the trace tells of.

lab=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
export PINHOLE_BIN=${PINHOLE_BIN:-${lab%/*}/target/release} NATTRACE_STATISTICS=1
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT

# connect OPTION…: ms from the start of punch to a path
connect() {
	"$lab/netns.sh" port-restricted port-restricted --no-verify "$@" -- bash -c '
		exec {ready}< <(PINHOLE_NAME=bob exec ip netns exec bob punch --from alice --yes --ready /dev/fd/3 3>&1 >/dev/null 2>&1)
		read -r -u "$ready"
		PINHOLE_NAME=alice ip netns exec alice punch --peer bob --yes --report /run/alice.json >/dev/null 2>&1
		cat /run/alice.json' 2>/dev/null | sed -E 's/.*"total_ms":([0-9.]+).*/\1/'
}
median() { sort -n | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }

without=() with=() ratios=()
for ((i = 0; i < ${1:-15}; i++)); do
	without+=("$(connect)")
	with+=("$(connect --trace "$tmp/t.json")")
	ratios+=("$(awk "BEGIN { print ${with[-1]} / ${without[-1]} }")")
done
echo "punch, start to path, without a trace, ms   $(printf '%s\n' "${without[@]}" | median)"
echo "with one, ms                                $(printf '%s\n' "${with[@]}" | median)"
echo "with / without, median of pairs             $(printf '%s\n' "${ratios[@]}" | median)"

for load in 'spray 4000' 'file 200'; do
	echo "$load:"
	read -ra words <<<"$load"
	"$lab/netns.sh" full-cone full-cone --no-verify --trace "$tmp/t.json" -- python3 "$lab/test/bench-trace.py" "${words[@]}" 2>&1 | sed 's/^/  /'
	python3 - "$tmp/t.json" <<'P'
import json
import os
import sys

trace = json.load(open(sys.argv[1]))
print(f"  {len(trace['journeys'])} journeys, {sum(len(j['sightings']) for j in trace['journeys'])} sightings,",
      f"{sum(j['end']['how'] == 'unknown' for j in trace['journeys'])} unknown,",
      f"gaps: {[(gap['node'], gap['source'], gap['lost']) for gap in trace['gaps']] or 'none'},",
      f"{os.path.getsize(sys.argv[1]) >> 20} MiB of JSON")
P
done
