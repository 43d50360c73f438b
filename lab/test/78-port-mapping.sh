#!/usr/bin/env bash
# A gateway that maps ports for who asks: what the lab's does, and that natprobe finds one and asks for nothing else.
source "${BASH_SOURCE[0]%/*}/words.sh"
source "${test%/*}/lib/needs.sh"

die() { bad "$*"; exit 1; }
[[ ${PINHOLE_BIN:-} ]] || export PINHOLE_BIN=${test%/*/*}/target/release
PATH=$PATH:/usr/sbin

install=1
has miniupnpd || install miniupnpd-nftables # the daemon alone: Debian has the service in another package

# mapped TYPE alone|kept: whether each remote has a mapping of its own, or all of them one that is kept
mapped() { story "$1,upnp=on" open mapped.py "$1,upnp=on" "$2"; }

mapped full-cone kept
mapped port-restricted kept
mapped masquerade kept
mapped symmetric alone
mapped address-dependent,hairpin=on alone

# found A B: natprobe must find all three protocols on either side
found() {
	local said who
	for who in alice bob; do
		said=$("$netns" "$1,upnp=on" "$2,upnp=on" --no-verify -- ip netns exec $who sh -c 'natprobe --s1 $PINHOLE_S1 --s2 $PINHOLE_S2 --port-mapping' 2>&1)
		if [[ $said =~ 'port mapping'\ +'UPnP-IGD, NAT-PMP, PCP'\ +203.0.113.(17|33)', the address that the server saw' ]]; then
			ok "natprobe finds miniupnpd in $who's router, $1 × $2"
		else
			bad "natprobe behind $1 × $2 in $who: ${said//$'\n'/; }"
		fi
	done
}
found port-restricted masquerade
found symmetric restricted

# leased TYPE PROTOCOL: our own client, and what it leaves behind
leased() { story "$1,upnp=on" open lease.py "$1,upnp=on" "$2"; }

leased port-restricted pcp
leased port-restricted nat-pmp
leased port-restricted upnp-igd
leased symmetric any
story port-restricted open lease-nobody.py
story port-restricted,upnp=on restricted own-packets.py

# Left to itself, miniupnpd takes the documentation's networks for private ones, where it maps nothing.
options=(--prefix 11.22.33.0/24)
story full-cone open port-mapping.py
