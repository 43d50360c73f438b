#!/usr/bin/env bash
#
# Prints figures, asserts nothing.
#
#   lab/bench.sh [ROUNDS]
#   lab/bench.sh path [ROUNDS]      only the times to a path, at the end below
#
# A whole lab, without measurement and with a command that does nothing, against two bare costs in
# ip's batch mode: seven namespaces, six links and a masquerade rule on two routers; and the same
# with addresses, routes and forwarding. They run in turn, so that other load on the machine affects all alike.
#
# The time to a path is that from the start of alice's program: punch (bob waits), and peers of others, in turn as well.
# Those start at the same time in alice and bob, and end when they have a path: agent.py of the tests, which punches
# plainly, aioice where Python has it, and "is" where examples/test.sh has built it.

lab=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
only=''
[[ ${1-} != path ]] || { only=path; shift; }
rounds=${1:-40}
export LC_ALL=C

made='
	mount -t tmpfs bare /run
	ip -batch - <<-END
		netns add alice
		netns add alice2
		netns add bob
		netns add nat-alice
		netns add nat-bob
		netns add core
		netns add server
		link add eth0 netns alice type veth peer name lan netns nat-alice
		link add eth0 netns alice2 type veth peer name lan2 netns nat-alice
		link add eth0 netns bob type veth peer name lan netns nat-bob
		link add wan netns nat-alice type veth peer name alice netns core
		link add wan netns nat-bob type veth peer name bob netns core
		link add eth0 netns server type veth peer name server netns core
	END
	for router in nat-alice nat-bob; do
		nsenter --net=/run/netns/$router nft "table ip bare { chain out { type nat hook postrouting priority 100; oifname wan masquerade; }; }" &
	done'
configured='
	for node in alice alice2 bob server; do
		ip -n $node -batch - <<-END &
			link set lo up
			link set eth0 up
			addr add 192.168.1.2/24 dev eth0
			route add default via 192.168.1.1
		END
	done
	for node in "nat-alice lan" "nat-alice lan2" "nat-bob lan" "core alice" "core bob" "core server"; do
		echo "link set ${node#* } up" >>/run/${node% *}
		echo "addr add 192.168.1.1/24 dev ${node#* }" >>/run/${node% *}
	done
	for node in nat-alice nat-bob core; do
		nsenter --net=/run/netns/$node sh -c "echo 1 >/proc/sys/net/ipv4/ip_forward; ip -batch /run/$node" &
	done'

# apart SCRIPT: run it by a shell in namespaces like a lab's
apart() {
	local user=()
	((EUID == 0)) || user=(--user --map-root-user)
	unshare "${user[@]}" --mount --pid --net --fork --kill-child --mount-proc bash -c "$1"$'\nwait'
}

full() { "$lab/netns.sh" full-cone restricted --no-verify -- true; }

# taken NAME CMD…: how long it took, in ms, appended to NAME's list
taken() {
	local start=${EPOCHREALTIME/./} end
	"${@:2}" >/dev/null || exit
	end=${EPOCHREALTIME/./}
	echo "$(((end - start) / 10))" >>"$tmp/$1"
}

# told NAME: least, median and most
told() {
	sort -n "$tmp/$1" | awk -v name="$1" '{ t[NR] = $1 / 100 }
		END { printf "%-28s least %7.1f   median %7.1f   most %7.1f ms\n", name, t[1], t[int((NR + 1) / 2)], t[NR] }'
}

# peer NAME CMD…: the time from alice's start to the end of the program, in ms, appended to NAME's list
peer() {
	# shellcheck disable=SC2016 # for the shell in the lab
	"$lab/netns.sh" port-restricted port-restricted --no-verify --both -- bash -c 'start=${EPOCHREALTIME/./}
		"$@" >&2 || exit
		[[ $PINHOLE_ROLE == bob ]] || echo "took $(((${EPOCHREALTIME/./} - start) / 10))"' sh "${@:2}" 2>/dev/null |
		sed -n 's/.*took //p' >>"$tmp/$1"
}

# ours NAME: the same of punch, from its report
ours() {
	"$lab/netns.sh" port-restricted port-restricted --no-verify --json 2>/dev/null |
		python3 -c 'import json, sys; print(int(json.load(sys.stdin)["punch"]["total_ms"] * 100))' >>"$tmp/$1"
}

# paths ROUNDS
paths() {
	local i what names=(punch agent.py)
	! python3 -c 'import aioice' 2>/dev/null || names+=(aioice)
	[[ ! -x ${lab%/*}/target/examples/release/ice-peer ]] || names+=(is)
	for ((i = 0; i < $1; i++)); do
		for what in "${names[@]}"; do
			case $what in
			punch) ours "to a path: $what" ;;
			agent.py) peer "to a path: $what" python3 "$lab/test/agent.py" ;;
			aioice) peer "to a path: $what" python3 "${lab%/*}/examples/aioice/peer.py" ;;
			is) peer "to a path: $what" "${lab%/*}/target/examples/release/ice-peer" ;;
			esac
		done
	done
	for what in "${names[@]}"; do told "to a path: $what"; done
}

tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
full || exit
[[ ! $only ]] || { paths "$rounds"; exit; }
for ((i = 0; i < rounds; i++)); do
	taken bare apart "$made"
	taken configured apart "$made$configured"
	taken lab full
done
for what in bare configured lab; do told $what; done
for what in bare configured; do
	paste <(sort -n "$tmp/$what") <(sort -n "$tmp/lab") | awk -v name="lab / $what" '{ b[NR] = $1; l[NR] = $2 }
		END { m = int((NR + 1) / 2); printf "%-28s least %7.2f   median %7.2f\n", name, l[1] / b[1], l[m] / b[m] }'
done

for ((i = 0; i < 5; i++)); do taken 'main job, with its trace' "$lab/netns.sh" full-cone restricted; done
told 'main job, with its trace'
for ((i = 0; i < 3; i++)); do
	taken 'a spray, with its trace' "$lab/netns.sh" symmetric port-restricted
	taken 'the same with --json' "$lab/netns.sh" symmetric port-restricted --json
done
told 'a spray, with its trace'
told 'the same with --json'
for ((i = 0; i < 3; i++)); do taken 'matrix 4 × 4' "$lab/netns.sh" matrix full-cone restricted port-restricted symmetric; done
told 'matrix 4 × 4'
"$lab/netns.sh" port-restricted port-restricted --no-verify -- sh -c '
	for i in 1 2 3 4 5; do ip netns exec alice natprobe --s1 $PINHOLE_S1 --s2 $PINHOLE_S2 --json; done' |
	python3 -c 'import json, sys; [print(json.loads(line)["elapsed_ms"]) for line in sys.stdin]' | sort -n | awk '{ t[NR] = $1 } END { printf "%-28s least %7.1f   median %7.1f   most %7.1f ms\n", "natprobe, port-restricted", t[1], t[int((NR + 1) / 2)], t[NR] }'

paths 5
