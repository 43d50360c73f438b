#!/usr/bin/env bash
# Our server and the clients of others, our prober and the servers of others.
source "${BASH_SOURCE[0]%/*}/words.sh"
source "${test%/*}/lib/needs.sh"

die() { bad "$*"; exit 1; }
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
[[ ${PINHOLE_BIN:-} ]] || export PINHOLE_BIN=${test%/*/*}/target/release
PATH=$PATH:/usr/sbin

install=1 missing=()
has stun || missing+=(stun-client)
has stund || missing+=(stun-server)
has turnutils_natdiscovery && has turnserver || missing+=(coturn)
python3 -m pip --version >/dev/null 2>&1 || missing+=(python3-pip)
install "${missing[@]}"
python3 -m pip install --quiet --disable-pip-version-check --target "$tmp/py" pystun3==2.0.0 2>/dev/null || die 'cannot install pystun3'

# What each client should say, as a pattern; - where that client is wrong itself, whatever the
# server does: natdiscovery takes open for a NAT unless told its address, pystun3 takes open for a
# cone and a firewall for a NAT, and masquerade for symmetric since its filtering tests spoil it;
# stun has one word for all dependent mappings, and natdiscovery overwrites OTHER-ADDRESS.
clients() {
	local type classic modern python
	while IFS='|' read -r type classic modern python; do
		one_type "$type" "$classic" "$modern" "$python" >"$tmp/$type.said" &
	done <<'TABLE'
open|Open|-|-
firewall|Firewall|-|-
basic|Independent Mapping, Independent Filter|EI EI|Full Cone
full-cone|Independent Mapping, Independent Filter|EI EI|Full Cone
restricted|Independent Mapping, Address Dependent Filter|EI A|Restric NAT
port-restricted|Independent Mapping, Port Dependent Filter|EI AP|Restric Port NAT
masquerade|Independent Mapping, Port Dependent Filter|EI AP|-
cgnat|Independent Mapping, Port Dependent Filter|EI AP|Restric Port NAT
symmetric|Dependent Mapping|AP AP|Symmetric NAT
symmetric-sequential|Dependent Mapping|AP AP|Symmetric NAT
symmetric-block|Dependent Mapping|AP AP|Symmetric NAT
address-dependent|Dependent Mapping|-|Symmetric NAT
udp-blocked|Blocked|-|Blocked
TABLE
	wait
	cat "$tmp"/*.said
}

one_type() {
	local said dir=$tmp/$1.d
	mkdir "$dir"
	# shellcheck disable=SC2016 # for the shell in the lab
	"$netns" "$1" open --no-verify -- bash -c '
		ip netns exec alice stun "$PINHOLE_SERVER" >"$1/stun" 2>&1 &
		ip netns exec alice timeout 60 turnutils_natdiscovery -m -f -p "$PINHOLE_PORT" "$PINHOLE_S1" >"$1/turn" 2>&1 &
		PYTHONPATH=$2 ip netns exec alice timeout 60 python3 -c "import stun; print(stun.get_ip_info(stun_host=\"$PINHOLE_S1\", stun_port=$PINHOLE_PORT))" >"$1/py" 2>&1 &
		wait' - "$dir" "$tmp/py" || bad "no lab for $1"
	said=$(grep Primary "$dir/stun")
	judge "stun" "$1" "$2" "Primary: $2" "$said"
	said=$(sed -En 's/.*NAT with (.*) (Mapping|Filtering)!.*/\1/p' "$dir/turn" |
		sed -E 's/Endpoint Independent/EI/; s/Address and Port Dependent/AP/; s/Address Dependent/A/' | tr '\n' ' ')
	judge turnutils_natdiscovery "$1" "$3" "$3" "${said% }"
	judge pystun3 "$1" "$4" "('$4'" "$(<"$dir/py")"
}

# judge CLIENT TYPE WANTED PREFIX SAID
judge() {
	[[ $3 == - ]] && return
	if [[ $5 == "$4"* ]]; then ok "$1 measures $2 through our server as \"$3\""; else bad "$1 with $2: \"$5\", not \"$3\""; fi
}

# servers: natprobe against stund (RFC 3489) and coturn with two addresses, --s1 alone, and
# against two that have one address each, which tell the mapping and nothing else
servers() {
	"$netns" "$1" open --no-verify -- python3 "$test/servers.py" "$1" "${@:2}" 2>&1 || bad "natprobe and the servers of others with $1"
}

clients
servers open open endpoint-independent endpoint-independent
servers full-cone full-cone endpoint-independent endpoint-independent
servers restricted restricted endpoint-independent address-dependent
servers port-restricted port-restricted endpoint-independent address-and-port-dependent
servers address-dependent symmetric address-dependent address-dependent
servers symmetric symmetric address-and-port-dependent address-and-port-dependent
servers masquerade port-restricted endpoint-independent address-and-port-dependent
