#!/usr/bin/env bash
#
# Prints figures, asserts nothing: every prober in turn behind every type of NAT.
#
#   lab/bench-probers.sh [TYPE…]
#
# Ours, and whichever of the peers is installed: stun (stun-client), turnutils_natdiscovery (coturn),
# pystun3 (PyPI), stunclient (stuntman), stun-nat-behaviour (pion), go-stun. All ask our rendezvous,
# one after the other, each from ports of its own.

lab=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
export LC_ALL=C
types=("$@")
((${#types[@]})) || types=(open firewall full-cone restricted port-restricted masquerade address-dependent symmetric udp-blocked)

# inside TYPE: in the lab; one line for each prober, "NAME|SECONDS|VERDICT"
inside() {
	probe natprobe natprobe --json
	probe stun stun "$PINHOLE_SERVER"
	probe natdiscovery turnutils_natdiscovery -m -f -p "$PINHOLE_PORT" "$PINHOLE_S1"
	! python3 -c 'import stun' 2>/dev/null ||
		probe pystun3 python3 -c "import stun; print(stun.get_ip_info(stun_host='$PINHOLE_S1', stun_port=$PINHOLE_PORT))"
	probe stuntman stunclient --mode full "$PINHOLE_S1" "$PINHOLE_PORT"
	probe pion stun-nat-behaviour --server "$PINHOLE_SERVER"
	probe go-stun go-stun -s "$PINHOLE_SERVER"
}

# probe NAME CMD…: on alice's node, if it is installed
probe() {
	local name=$1 said start=${EPOCHREALTIME/./} took
	command -v "$2" >/dev/null || return 0
	said=$(ip netns exec alice timeout 60 "${@:2}" 2>&1)
	took=$((${EPOCHREALTIME/./} - start))
	printf '%s|%d.%03d|%s\n' "$name" $((took / 1000000)) $((took / 1000 % 1000)) "$(verdict "$name" "$said")"
}

# verdict NAME OUTPUT: the verdict in the output of that prober
verdict() {
	case $1 in
	natprobe) python3 -c 'import json, sys; print(json.loads(sys.argv[1])["class"])' "$2" ;;
	stun) sed -n 's/^Primary: \([^,\t]*\(, [A-Z][^,]*\)\?\).*/\1/p' <<<"$2" ;;
	natdiscovery) sed -En 's/.*(NAT with .*)!/\1/p' <<<"$2" | sed 's/NAT with //' | paste -sd';' ;;
	pystun3) sed -n "s/^('\([^']*\)'.*/\1/p" <<<"$2" ;;
	stuntman) sed -En 's/(Behavior test|Nat behavior|Nat filtering): //p' <<<"$2" | paste -sd';' ;;
	*) sed -En 's/.*(NAT[^.]*|endpoint independent|address.*dependent).*/\1/Ip' <<<"$2" | paste -sd';' ;;
	esac
}

if [[ $1 == --inside ]]; then
	inside
	exit 0
fi
[[ ${PINHOLE_BIN:-} ]] || export PINHOLE_BIN=${lab%/*}/target/release
printf '%-21s %-14s %8s  %s\n' TYPE PROBER SECONDS VERDICT
for type in "${types[@]}"; do
	said=$("$lab/netns.sh" "$type" open --no-verify -- bash "$lab/bench-probers.sh" --inside) || exit 2
	while IFS='|' read -r name took verdict; do
		printf '%-21s %-14s %8s  %s\n' "$type" "$name" "$took" "${verdict:-(nothing)}"
	done <<<"$said"
done
