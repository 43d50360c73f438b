#!/usr/bin/env bash
# The tests are tested: each thing broken here must turn some check red.
source "${BASH_SOURCE[0]%/*}/words.sh"

tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
[[ ${PINHOLE_BIN:-} ]] || export PINHOLE_BIN=${test%/*/*}/target/release

# mutant WHAT FILE SED-EXPRESSION A B STORY ARGUMENT…: in a lab broken so, the story must fail
mutant() {
	local what=$1 file=$2 change=$3 said
	rm -rf "$tmp/lab"
	cp -r "${test%/*}" "$tmp/lab"
	sed -i "$change" "$tmp/lab/$file"
	if cmp -s "$tmp/lab/$file" "${test%/*}/$file"; then
		bad "mutant: $what: nothing was changed"
		return
	fi
	# what must come does not, so it is not waited for as long as elsewhere
	said=$(DEADLINE=3 "$tmp/lab/netns.sh" "$4" "$5" --no-verify -- python3 "$test/$6" "${@:7}" 2>&1)
	if [[ $said == *FAIL* || $said == *'did not hear'* || $said == *AssertionError* ]]; then ok "mutant: $what is noticed"; else bad "mutant: $what goes unnoticed: ${said//$'\n'/; }"; fi
}

E=endpoint-independent A=address-dependent P=address-and-port-dependent
read -ra cones <<<"full-cone $E $E preserve restricted $E $A preserve"

mutant 'a full cone that filters' nat/full-cone.nft 's/filtering\/endpoint-independent/filtering\/address-dependent/' full-cone restricted behaviour.py "${cones[@]}"
mutant 'a restricted cone that does not' nat/filtering/address-dependent.nft '/guard/d' full-cone restricted behaviour.py "${cones[@]}"
mutant 'a port that is not preserved' nat/ports/preserve.nft '/th sport/d' full-cone restricted behaviour.py "${cones[@]}"
mutant 'a mapping that depends on the remote' nat/full-cone.nft 's/mapping\/endpoint-independent/mapping\/address-dependent/; s/preserve/random/' full-cone restricted behaviour.py "${cones[@]}"
mutant 'TCP that nobody guards' nat/napt.nft '/meta l4proto tcp ct state/d' full-cone restricted behaviour.py "${cones[@]}"
mutant 'silence in place of a reset' nat/tcp/rst.nft 's/reject with tcp reset/drop/' port-restricted,tcp=rst firewall,tcp=rst behaviour.py port-restricted,tcp=rst $E $P preserve firewall,tcp=rst none $P -
mutant 'ports that are not sequential' nat/ports/sequential.nft 's/numgen inc/numgen random/' symmetric-sequential open behaviour.py symmetric-sequential $P $P sequential open none $E -
mutant 'a public port for two hosts' nat/ports/preserve.nft 's/meta l4proto . th sport != @taken/meta l4proto { tcp, udp }/' full-cone open collision.py true
mutant 'an unguarded router' nat/filtering/address-and-port-dependent.nft '/guard/d' port-restricted port-restricted race.py kept
mutant 'an input filter that lets in' nat/input/drop.nft 's/ drop$/ accept/' masquerade,input=drop port-restricted race.py kept
mutant 'a router that hears strangers when it maps ports' nat/upnp/napt.nft '/goto stranger/d' port-restricted,upnp=on port-restricted race.py kept
mutant 'a mapped port that lets all ports in' nat/upnp/napt.nft '/ip pinhole rx/d; /meta mark 7/d' port-restricted,upnp=on open mapped.py port-restricted,upnp=on kept
mutant 'a router that maps its own packets' nat/upnp/napt.nft '/fib/d' port-restricted,upnp=on open mapped.py port-restricted,upnp=on kept
mutant 'a mapping that is never refreshed' nat/napt.nft 's/type filter hook postrouting priority srcnat + 10/type nat hook postrouting priority srcnat + 10/' full-cone,timeout=1s full-cone,timeout=1s lifetime.py
mutant 'a mapping that never dies' lib/types.sh 's/timeout 120s\/timeout \${head/timeout 120s\/timeout 9${head/' full-cone,timeout=1s full-cone,timeout=1s lifetime.py
mutant 'a stranger who keeps a flow' nat/napt.nft 's/priority raw/priority -110/' full-cone,timeout=2s open stale.py
mutant 'a flow that outlives its mapping' lib/topology.sh '/map m_in/d' full-cone,timeout=2s open stale.py
mutant 'a hairpin without a filter' nat/filtering/address-and-port-dependent.nft '/opened ip daddr/d' port-restricted,hairpin=on open hairpin.py on no
mutant 'a hairpin with the private source' nat/mapping/endpoint-independent.nft 's/^add rule ip pinhole tx ip saddr \$inside/& oifname $wan/' full-cone,hairpin=on open hairpin.py on yes
mutant 'no hairpin where there should be' nat/hairpin/on.nft '/rx/d' full-cone,hairpin=on open hairpin.py on yes
mutant 'a pool that confuses its addresses' nat/addresses/two.nft '/guard/d' full-cone,addresses=2 open pool.py full-cone,addresses=2 2
mutant 'a pool that draws one address' lib/types.sh 's/numgen inc mod 4 map/numgen inc mod 2 map/' full-cone,addresses=2 open pool.py full-cone,addresses=2 2
mutant 'loss that is not lost' lib/topology.sh 's/counter drop/counter accept/' open full-cone loss.py 30
mutant 'a router that filters its own LAN' lib/topology.sh '/bridge-nf-call/d' port-restricted open peers.py lan
