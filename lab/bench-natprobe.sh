#!/usr/bin/env bash
#
# natprobe behind every type of NAT, over a link: how often the verdict is right, and how long it takes. Prints figures,
# asserts nothing.
#
#   lab/bench-natprobe.sh [RUNS [LINK [TYPE…]]]
#   lab/bench-natprobe.sh 20 delay:50ms,jitter:5ms,loss:3%
#
# LINK is what the link of alice's side does, as for --link: a round trip takes twice its delay. A run is right if
# mapping, filtering and early packets are what the type has; the aim is 3 round trips and 250 ms.

lab=$(cd "${BASH_SOURCE[0]%/*}" && pwd) self=${BASH_SOURCE[0]}
export LC_ALL=C
[[ $self == /* ]] || self=$PWD/$self

# inside RUNS ASKED: in the lab; prints for each run "CODE MILLISECONDS", and what was measured where it is wrong
inside() {
	local run code
	for ((run = 0; run < $1; run++)); do
		ip netns exec alice natprobe --json >/run/report.json 2>/run/report.log
		labreport nat alice "$2" /run/report.json >/run/judged
		code=$?
		python3 - $code <<'P'
import json, sys
try:
    report = json.load(open("/run/report.json"))
except ValueError:
    report = {"elapsed_ms": float("nan"), "verdict": open("/run/report.log").read().strip()}
said = [report.get(key) for key in ("verdict", "mapping", "filtering", "remaps_after_early_inbound")] + [note["text"] for note in report.get("notes", [])]
print(sys.argv[1], round(report["elapsed_ms"]), report.get("rtt_ms"), *(said if sys.argv[1] != "0" else []))
P
	done
}

if [[ $1 == --inside ]]; then
	inside "$2" "$3"
	exit 0
fi
runs=${1:-20} link=${2:-delay:50ms,jitter:5ms,loss:3%}
names=("${@:3}")
((${#names[@]})) || names=(open firewall basic full-cone restricted port-restricted symmetric symmetric-sequential symmetric-block address-dependent masquerade cgnat udp-blocked)
[[ ${PINHOLE_BIN:-} ]] || export PINHOLE_BIN=${lab%/*}/target/release
die() { echo "bench-natprobe.sh: $*" >&2; exit 2; }
source "$lab/lib/types.sh"
source "$lab/lib/verify.sh"
printf '%-21s %-9s %8s %8s %8s\n' "TYPE" "RIGHT" "MEDIAN" "MOST" "RTT"
for type in "${names[@]}"; do
	asked "$type"
	said=$("$lab/netns.sh" "$type" open --no-verify --link "alice=$link" -- bash "$self" --inside "$runs" "$asked") || exit 2
	python3 -c '
import sys
rows = [line.split(" ", 3) for line in sys.stdin.read().splitlines()]
times = sorted(float(row[1]) for row in rows)
trips = sorted(float(row[2]) for row in rows if row[2] != "None")
right = sum(row[0] == "0" for row in rows)
print(f"{sys.argv[1]:<21} {right:>2} of {len(rows):<3} {times[len(times) // 2]:8.0f} {times[-1]:8.0f} {trips[len(trips) // 2] if trips else float(0):8.0f}")
for row in rows:
    if row[0] != "0":
        print("    wrong:", *row[1:])
' "$type" <<<"$said"
done
