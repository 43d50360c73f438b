#!/usr/bin/env bash
#
# How exact the links of natlink are, what they carry, and what they add to the bring-up of a lab. argv: the delay in ms
# (default: 50), frames (default: 3000).
#
#   lab/bench-link.sh
#
# natlink shares the machine with the sender, so what it carries in a second is less than what a core of its own allows.

here=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
export PINHOLE_BIN=${PINHOLE_BIN:-${here%/*}/target/release}

# ms N WORD…: the times of N labs with these options, in ms: the least, the median
ms() {
	local start times=()
	for ((i = 0; i < $1; i++)); do
		start=${EPOCHREALTIME/./}
		"$here/netns.sh" open open --no-verify "${@:2}" -- true || return
		times+=($(((${EPOCHREALTIME/./} - start) / 1000)))
	done
	mapfile -t times < <(printf '%s\n' "${times[@]}" | sort -n)
	echo "least ${times[0]}  median ${times[$1 / 2]}"
}

"$here/netns.sh" open open --no-verify --link alice=none -- python3 "$here/test/bench-link.py" "${1:-50}" "${2:-3000}" || exit
echo "bring-up without links of natlink, ms        $(ms 20)"
echo "bring-up with one, ms                        $(ms 20 --link alice=delay:50ms)"
echo "bring-up with all three, ms                  $(ms 20 --delay 50)"
