#!/usr/bin/env bash
# What natprobe measures only when asked: hairpins, lifetimes, the path; and what it makes of two reports.
source "${BASH_SOURCE[0]%/*}/words.sh"

[[ ${PINHOLE_BIN:-} ]] || export PINHOLE_BIN=${test%/*/*}/target/release

# further SPEC ASK FIELD=VALUE…: once is enough, each is a matter of seconds or of one packet
further() {
	SPEC="$1 $2" ASK=$2 "$netns" "$1" open --no-verify -- python3 "$test/prober.py" 1 "${@:3}" 2>&1 || bad "natprobe $2 behind $1"
}

further open --hairpin hairpin=null
further full-cone --hairpin hairpin.works=false
further full-cone,hairpin=on --hairpin hairpin.works=true hairpin.source=external
further restricted,hairpin=on,ports=random --hairpin hairpin.works=true hairpin.source=external
further port-restricted,hairpin=on --hairpin hairpin.works=true hairpin.source=external
further symmetric --hairpin hairpin=null

# rejected SAYS FIELD: a firewall that answers strangers
rejected() {
	local said
	# shellcheck disable=SC2016 # for the shell in the lab
	said=$("$netns" open open --no-verify -- bash -c '
		ip netns exec nat-alice nft "table ip pinhole { chain refuse { type filter hook forward priority 0; iifname wan ct state new reject with icmp $0; }; }"
		ip netns exec alice natprobe --json' "$1" 2>&1)
	if [[ $said == *"\"class\":\"firewall\""*"\"unsolicited\":\"$2\""* ]]; then ok "a firewall that says $1: $2"; else bad "a firewall that says $1, not $2: $said"; fi
}
further symmetric-block '' unsolicited=silence
rejected host-unreachable icmp-host-unreachable
rejected admin-prohibited icmp-admin-prohibited
rejected net-unreachable icmp-unreachable

# a pool of addresses, and the control
further restricted,addresses=1 '' 'public_addresses=["203.0.113.17"]' class=restricted
further restricted,addresses=2 '' 'public_addresses=["203.0.113.17","203.0.113.18"]' class=restricted remaps_after_early_inbound=false
further symmetric,addresses=2 '' 'public_addresses=["203.0.113.17","203.0.113.18"]' class=symmetric

further full-cone,timeout=2s '--lifetime 9' lifetime.alive_s=1 lifetime.dead_s=2 lifetime.refreshed_by_outbound=true lifetime.refreshed_by_inbound=false &
further symmetric,timeout=3s '--lifetime 9' lifetime.alive_s=2 lifetime.dead_s=3 lifetime.refreshed_by_outbound=true lifetime.refreshed_by_inbound=false &
# the kernel's own NAT: packets from outside refresh it as well, so that its three seconds begin
# with the last answer, which on a busy machine is a little later than the last question
further masquerade,timeout=3s '--lifetime 9' 'lifetime.alive_s=2|3' 'lifetime.dead_s=3|4' lifetime.refreshed_by_outbound=true lifetime.refreshed_by_inbound=true &
further port-restricted '--lifetime 3' lifetime.alive_s=3 lifetime.dead_s=null lifetime.refreshed_by_outbound=null &
wait

# against A B PATTERN: natprobe behind A, with the report of bob behind B
against() {
	local said
	# shellcheck disable=SC2016 # for the shell in the lab
	said=$("$netns" "$1" "$2" --no-verify -- bash -c '
		ip netns exec bob natprobe --json >/run/bob.json
		ip netns exec alice natprobe --against /run/bob.json' 2>&1)
	if [[ $said == *"A punch to the other host $3"* ]]; then ok "natprobe behind $1 expects of $2: $3"; else bad "natprobe behind $1 against $2: ${said//$'\n'/; }"; fi
}
against restricted symmetric 'connects directly'
against port-restricted symmetric 'connects directly by guessing ports (spray'
against symmetric symmetric 'needs a relay'

further full-cone --path 'path.hops=["192.168.1.1", "203.0.113.254"]' path.complete=true path.public_at_hop=1 path.filter_at_hop=null path.nats_in_series=false
further port-restricted --path path.public_at_hop=1 path.filter_at_hop=1 path.nats_in_series=false
further port-restricted,hairpin=on --path path.public_at_hop=1 path.filter_at_hop=1 path.nats_in_series=false
further masquerade --path path.public_at_hop=1 path.filter_at_hop=1
further basic --path path.public_at_hop=1
further firewall --path path.public_at_hop=null path.filter_at_hop=1
# the carrier lets strangers in, its customer's router does not
further cgnat --path 'path.hops=["192.168.1.1", "100.64.1.1", "203.0.113.254"]' path.public_at_hop=2 path.filter_at_hop=1 path.nats_in_series=true

story port-restricted open path.py

# what hints at a carrier, and what does not
story cgnat open carrier.py carrier
story port-restricted open carrier.py home

# sheet SPEC ASK NUMBER=VERDICT…
sheet() {
	local said pair
	# shellcheck disable=SC2016 # for the shell in the lab
	said=$("$netns" "$1" open --no-verify -- sh -c 'ip netns exec alice natprobe --rfc4787 $0' "$2" 2>&1)
	for pair in "${@:3}"; do
		if grep -Eq "^REQ-${pair%=*} +${pair#*=}" <<<"$said"; then ok "the sheet of $1: REQ-${pair%=*} is ${pair#*=}"; else bad "the sheet of $1: REQ-${pair%=*} is not ${pair#*=}: $(grep "^REQ-${pair%=*} " <<<"$said")"; fi
	done
}
sheet full-cone,hairpin=on '' 1=met 2=met 3='not tested' 4=met 5='not tested' 8=met 9=met 11='not tested' 14='not tested'
sheet masquerade,timeout=3s '--lifetime 6' 1=met 5='NOT MET' 6=met 8='NOT MET' 9='NOT MET' 11='NOT MET'
sheet full-cone,addresses=1 '' 2=met
sheet full-cone,addresses=2 '' 1=met 2='NOT MET'
sheet symmetric '' 1='NOT MET' 2=met 4='NOT MET' 8='NOT MET' 9='not tested'
said=$("$netns" open open --no-verify -- ip netns exec alice natprobe --rfc4787 2>&1)
check 'no sheet where there is no NAT' grep -q 'no NAT' <<<"$said"

further symmetric '--runs 4' determinism.runs=4 'determinism.differing=[]'
# the NAT changes after the first run, whose strangers are twenty
# shellcheck disable=SC2016 # for the shell in the lab
said=$("$netns" full-cone open --no-verify -- bash -c '
	router() { ip netns exec nat-alice nft "$@"; }
	dropped() { [[ $(router list counter ip pinhole strangers) =~ packets\ ([0-9]+) ]] && ((BASH_REMATCH[1] >= $1)); }
	router add counter ip pinhole strangers
	router insert rule ip pinhole late iifname wan ct state new ip saddr "$PINHOLE_S2" udp sport 8849 counter name strangers drop
	ip netns exec alice natprobe --json --runs 5 >/run/runs &
	until dropped 21; do ((SECONDS < 60)) || break; done
	router flush chain ip pinhole late
	wait $!
	cat /run/runs' 2>&1)
check '--runs tells what was not the same every time' grep -q '"determinism":{"runs":5,"differing":\["filtering"\]}' <<<"$said"
# the NAT changes behind natprobe's back, once it has reported
# shellcheck disable=SC2016 # for the shell in the lab
said=$("$netns" full-cone open --no-verify -- bash -c '
	ip netns exec alice natprobe --watch 1 >/run/watched &
	seen() { until grep -q "$1" /run/watched; do ((SECONDS < 60)) || return; sleep 0.05; done; }
	seen full-cone
	ip netns exec nat-alice nft insert rule ip pinhole late iifname wan ct state new ip saddr "$PINHOLE_S2" udp sport 8849 drop
	seen changed
	kill %1
	cat /run/watched')
check '--watch reports a change, when it was, and what has changed' grep -Eq '^[0-9-]+T[0-9:.]+Z: changed: .*filtering' <<<"$said"
# the network goes away, and comes back
# shellcheck disable=SC2016 # for the shell in the lab
said=$("$netns" full-cone open --no-verify -- bash -c '
	seen() { until (($(grep -c "$1" /run/watched) >= $2)); do ((SECONDS < 60)) || return; sleep 0.05; done; }
	route=$(ip -n alice route show default)
	ip netns exec alice natprobe --watch 1 >/run/watched &
	seen full-cone 1
	ip -n alice route del default
	seen "No result: no route" 1
	ip -n alice route add $route
	seen "class  *full-cone" 2
	kill %1
	cat /run/watched')
check '--watch reports that the network is away' grep -q '^No result: no route to 203.0.113.1:8848' <<<"$said"
check 'and that it is back' test "$(grep -c '^class  *full-cone' <<<"$said")" = 2
said=$("$netns" symmetric open --no-verify -- ip netns exec alice natprobe --hairpin 2>&1)
check '--hairpin behind a symmetric NAT says that it was not tested, and why' grep -q '^hairpinning  *not tested  *every destination' <<<"$said"
# shellcheck disable=SC2016 # for the shell in the lab
said=$("$netns" full-cone open --no-verify -- sh -c 'for run in 1 2 3 4 5 6 7 8; do ip netns exec alice natprobe --s1 "$PINHOLE_S1:9" --json; echo "exit $?"; done' 2>&1)
check 'where no server listens, eight runs in a row could not tell' test "$(grep -c '^exit 2$' <<<"$said")" = 8
