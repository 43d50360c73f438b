#!/usr/bin/env bash
# More than two sides, NATs in series, several hosts behind one router; and the names by which nodes find each other.
source "${BASH_SOURCE[0]%/*}/words.sh"

tmp=$(mktemp -d) lab3=test-$$-three
trap 'rm -rf "$tmp"; "$netns" down --name $lab3 2>/dev/null' EXIT

# reach FROM TO…: ping by name, from a node
reach='reach() { from=$1; shift; for to; do ip netns exec $from ping -qc1 -W9 $to >/dev/null || echo "$from does not reach $to"; done; }'

said=$("$netns" open restricted,hosts=3 symmetric+full-cone+cgnat dave=open,hosts=2 -- sh -c "$reach"'
	reach alice alice2 dave dave2 server server2
	reach bob bob2 bob3 alice dave2 server nat-bob
	reach carol alice alice2 dave2 server nat-carol isp-carol isp2-carol' 2>&1)
check 'four sides are measured as they were asked' test "$(grep -c '^\(alice\|bob\|carol\|dave\) .*asked.*measured' <<<"$said")" = 4
check "each host reaches by name what has a public address: ${said##*filtering}" sh -c '! grep -q "does not reach" "$1"' sh <(echo "$said")
for depth in 'full-cone+masquerade port-restricted' 'address-dependent+cgnat symmetric'; do
	read -r type class <<<"$depth"
	check "in series, the strictest decides: $type" grep -q "^alice .*measured $class " <<<"$("$netns" "$type" open -- true 2>&1)"
done

sixteen=('open,hosts=4')
for ((i = 1; i < 15; i++)); do sixteen+=(port-restricted); done
said=$("$netns" "${sixteen[@]}" open,hosts=4 --no-verify -- sh -c "$reach"'
	for from in alice bob heidi rupert sybil sybil4; do reach $from alice alice4 sybil sybil4 server; done
	ip netns exec bob getent hosts rupert' 2>&1)
check 'sixteen sides' test "$said" = "$(printf '%-15s %s' 203.0.113.241 rupert)"
refused 'but not seventeen' '16 sides at most' "${sixteen[@]}" open open
refused 'a third side without a command' '3 sides need a command' open open open
refused 'a side that is skipped' 'the type of bob is missing' open carol=open
refused 'a side that is given twice' 'given twice' alice=open alice=cgnat
refused 'a series with an end missing' 'missing beside a +' full-cone+ open
refused 'a firewall in series' 'has none to give' firewall+cgnat open
refused 'a pool behind a carrier' 'only the last router' full-cone,addresses=2+cgnat open
refused 'nine routers in series' '8 at most' "$(printf 'full-cone+%.0s' 1 2 3 4 5 6 7 8)full-cone" open
refused 'ten hosts' 'from 1 to 9' open,hosts=10 open
refused 'three hosts behind basic' '2 hosts' open basic,hosts=3

# Names, and an /etc of its own. The machine's files stay as they are.
before=$(cat /etc/hosts /etc/hostname /etc/resolv.conf 2>/dev/null; hostname)
said=$("$netns" port-restricted cgnat --no-verify -- sh -c '
	for node in alice bob nat-bob isp-bob server; do
		for name in alice alice2 bob server nat-bob; do ip netns exec $node getent hosts $name | sed "s/  */ /; s/^/$node: /"; done
		echo "$node is $(ip netns exec $node hostname) and $(ip netns exec $node cat /etc/hostname)"
		ip netns exec $node sh -c "echo 192.0.2.1 of-$node >>/etc/hosts"
	done
	echo "lab is $(hostname)"
	echo 192.0.2.2 of-lab >>/etc/hosts && echo mine >/etc/resolv.conf && mkdir /etc/of-lab
	ip netns exec alice getent hosts of-alice of-bob of-lab' 2>&1)
for line in 'alice: 192.168.1.2 alice' 'alice: 192.168.1.3 alice2' 'alice: 203.0.113.33 bob' 'alice: 203.0.113.1 server' 'alice is alice and alice' \
	'bob: 203.0.113.17 alice' 'bob: 192.168.2.2 bob' 'bob: 192.168.2.1 nat-bob' 'nat-bob: 192.168.2.2 bob' 'isp-bob: 100.64.2.2 bob' \
	'server: 203.0.113.33 bob' 'server: 203.0.113.1 server' 'server is server and server' 'lab is lab'; do
	check "names: $line" grep -qxF "$line" <<<"$said"
done
check 'what a node writes into /etc/hosts is its own' test "$(tail -1 <<<"$said" | tr -s ' ')" = '192.0.2.1 of-alice'
check "and the machine's files are as before" test "$before" = "$(cat /etc/hosts /etc/hostname /etc/resolv.conf 2>/dev/null; hostname)"
check 'and its folders' test ! -e /etc/of-lab

exits 0 'a lab of three sides that stays' up open full-cone carol=open --name $lab3 --no-verify
check 'is listed with the third' grep -q 'further sides: open' <<<"$("$netns" status)"
check 'whose host is reached by name' "$netns" exec bob --name $lab3 -- ping -qc1 -W9 carol
check 'and has a hostname' test "$("$netns" exec carol --name $lab3 -- hostname)" = carol
