#!/usr/bin/env bash
# A lab is private, leaves nothing, and hands on what its command says.
source "${BASH_SOURCE[0]%/*}/words.sh"

tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
chmod 755 "$tmp"

exits 7 "the command's exit code is the lab's" open open --no-verify -- sh -c 'exit 7'
exits 0 'the environment tells where things are' open open --no-verify -- \
	sh -c 'test "$PINHOLE_S1" = 203.0.113.1 && test "$PINHOLE_S2" = 203.0.113.2 && test "$PINHOLE_PORT" = 8848 &&
		test "$PINHOLE_SERVER" = 203.0.113.1:8848 && test -x "$PINHOLE_BIN/rendezvous" && test -d "$PINHOLE_HOME" &&
		test "$(command -v rendezvous)" = "$PINHOLE_BIN/rendezvous"'
said=$("$netns" udp-blocked full-cone --no-verify 2>&1 >/dev/null)
check 'a wait of more than a second says for what, and how long' test "$said" = 'netns.sh: no path yet; alice and bob try for up to 6 s'
said=$("$netns" open open --delay 400 -- true 2>&1)
check 'so does a long measurement' grep -q '^netns.sh: natprobe measures the NATs, for about four round trips$' <<<"$said"
said=$(echo word | "$netns" open open --no-verify -- cat)
check 'stdin and stdout are those of the command' test "$said" = word
mkdir "$tmp/a folder"
check 'it runs in the folder that it is called from' env -C "$tmp/a folder" "$netns" open open --no-verify -- sh -c "test \"\$(pwd)\" = '$tmp/a folder'"
rmdir "$tmp/a folder"
exits 0 'the server has both addresses, under any prefix' open open --prefix 198.18.7.0/24 --no-verify -- \
	sh -c 'ip netns exec alice ping -qc1 -W2 198.18.7.1 && ip netns exec bob ping -qc1 -W2 198.18.7.2'
exits 0 'a packet with TTL 2 dies in core, and its sender is told' full-cone cgnat --no-verify -- \
	sh -c 'ip netns exec alice ping -c1 -W2 -t2 203.0.113.1 | grep -q "From 203.0.113.254.*Time to live exceeded"'
exits 0 'with a carrier it takes a TTL of 3' full-cone cgnat --no-verify -- \
	sh -c 'ip netns exec bob ping -c1 -W2 -t3 203.0.113.1 | grep -q "From 203.0.113.254.*Time to live exceeded"'

# No packet waits for ARP: the only neighbours that a node has are those that the lab has told it.
for pair in 'open cgnat 8' 'full-cone basic 7'; do
	read -r a b nodes <<<"$pair"
	# shellcheck disable=SC2016 # for the shell in the lab
	said=$("$netns" "$a" "$b" --no-verify -- sh -c '
		for node in alice alice2 bob; do ip netns exec $node ping -qc1 -W9 "$PINHOLE_S1" && ip netns exec $node ping -qc1 -W9 "$PINHOLE_S2"; done >/dev/null
		address() { ip -n $1 -o -4 addr show eth0 | sed "s|.*inet ||; s|/.*||"; }
		ip netns exec alice ping -qc1 -W9 "$(address alice2)" >/dev/null && ip netns exec alice2 ping -qc1 -W9 "$(address alice)" >/dev/null || echo "alice and alice2 do not reach each other"
		cd /run/netns && for node in *; do ip -n $node -4 neigh | sed "s/^/$node: /"; done' 2>&1)
	check "the neighbours of each node are known from the start: $a × $b" test "$(sed -n 's/:.* PERMANENT *$//p' <<<"$said" | sort -u | wc -l) $(grep -vc ' PERMANENT *$' <<<"$said")" = "$nodes 0"
done

# a host whose kernel has no IPv6, and one with other settings, which a new namespace inherits
cp -r "${netns%/*}" "$tmp/host"
mkdir "$tmp/host/shims"
# shellcheck disable=SC2016 # for the shell that takes the place of ip
printf '%s\n' '#!/bin/sh' 'PATH=${PATH#*/host/shims:}' 'case "$*" in *-batch*) ;; *) exec ip "$@" ;; esac' 'said=$(cat)' \
	'case $said in *addrgenmode*) echo "RTNETLINK answers: Operation not supported" >&2; exit 2 ;; esac' \
	'printf "%s\n" "$said" | exec ip "$@"' >"$tmp/host/shims/ip" && chmod +x "$tmp/host/shims/ip"
sed -i 's|/proc/net/if_inet6|/nonexistent|' "$tmp/host/lib/topology.sh"
unsixed() { PINHOLE_BIN=${PINHOLE_BIN:-${test%/*/*}/target/release} PATH=$tmp/host/shims:$PATH python3 "$test/without-ipv6.py" "$@"; }
check 'the main job on a kernel without IPv6' unsixed "$tmp/host/netns.sh" full-cone restricted
check 'control: such a kernel refuses what the lab says where there is IPv6' test "$(unsixed "$netns" open open --no-verify -- true 2>&1 | grep -c 'RTNETLINK.*not supported')" -gt 0
for setting in rp_filter arp_ignore arp_announce arp_filter; do sed -i "s/\($setting\)=0/\1=1/" "$tmp/host/lib/topology.sh"; done
# shellcheck disable=SC2016 # for the shell in the lab
said=$(PINHOLE_BIN=${PINHOLE_BIN:-${test%/*/*}/target/release} "$tmp/host/netns.sh" open cgnat --no-verify -- sh -c '
	cd /run/netns && for node in *; do
		ip netns exec $node sh -c "cd /proc/sys/net/ipv4/conf && for i in *; do [ \$i = lo ] || cat \$i/rp_filter \$i/arp_ignore \$i/arp_announce \$i/arp_filter | tr -d \"\\n\"; done; echo \" $node\""
	done' 2>&1)
check 'what the lab relies on is set in each node, where the host has it otherwise' test "$(grep -Ec '^(1111)+ ' <<<"$said")" = 8
check 'and in nothing but nodes' test "$(wc -l <<<"$said")" = 8
rm -r "$tmp/host"

# a link that comes late, as it does on a busy machine; what it is given before is lost
cp -r "${netns%/*}" "$tmp/late"
sed -i 's/^\tcarried$/\tip -n bob link set eth0 down; (sleep 0.5; ip -n bob link set eth0 up) \&\n&/' "$tmp/late/lib/topology.sh"
check 'a link that comes late is made' grep -q 'bob link set eth0 down' "$tmp/late/lib/topology.sh"
check 'a lab waits for its links' env PINHOLE_BIN="${PINHOLE_BIN:-${test%/*/*}/target/release}" "$tmp/late/netns.sh" open open --no-verify -- \
	sh -c 'ip -n nat-bob -o link show lan | grep "state UP"'
rm -r "$tmp/late"

story full-cone full-cone same-lan.py apart
said=$("$netns" full-cone full-cone --same-lan --no-verify -- python3 "$test/same-lan.py" same 2>&1) || bad "same-lan did not succeed"
echo "$said"
for percent in 0 30 100; do
	said=$("$netns" open full-cone --loss $percent --no-verify -- python3 "$test/loss.py" $percent 2>&1) || bad "loss did not succeed"
	echo "$said"
done
# the least of five, because a busy machine adds to each
exits 0 '--delay 30: a round trip takes twice that' open open --delay 30 --no-verify -- \
	sh -c 'ip netns exec alice ping -qc5 -i0.2 203.0.113.1 | grep -Eq "= ([6-9][0-9]|1[01][0-9])\."'

# two at once, with the same names inside
mkfifo "$tmp/hold"
"$netns" open open --no-verify -- sh -c 'echo up; read -r _; true' <"$tmp/hold" >"$tmp/said" 2>&1 &
exec {hold}>"$tmp/hold"
check 'one lab is up' until_it grep -qs up "$tmp/said"
exits 0 'another comes up beside it, with the same names' open open --no-verify -- ip netns exec alice true
exec {hold}>&-
wait $!
check 'and the first ends well' test $? = 0

# killed in the middle
mounts=$(sort </proc/self/mountinfo) names=$(ls /run/netns 2>/dev/null)
for signal in KILL TERM HUP; do
	for whom in script 'first process inside'; do
		[[ $signal == KILL || $whom == script ]] || continue
		: >"$tmp/said"
		TMPDIR=$tmp "$netns" full-cone restricted --no-verify -- sh -c 'echo up; exec sleep 1000' >"$tmp/said" 2>/dev/null &
		script=$!
		until_it grep -qs up "$tmp/said" || bad 'the lab to kill did not come up'
		family=$(family "$script") victim=$script
		[[ $whom == script ]] || victim=$(for pid in $family; do grep -q '^NSpid:.*\s1$' "/proc/$pid/status" && echo "$pid"; done)
		kill -$signal "$victim"
		wait "$script" 2>/dev/null
		check "kill -$signal of the $whom: all $(wc -w <<<"$family") processes are gone" until_it gone $family
	done
done
"$netns" matrix udp-blocked full-cone >"$tmp/said" 2>&1 &
script=$!
until_it eval "(( \$(family $script | wc -w) > 5 ))" || bad 'the matrix to kill did not start'
family=$(family "$script")
{ kill -KILL "$script"; wait "$script"; } 2>/dev/null
check "kill -KILL of a matrix: all $(wc -w <<<"$family") processes are gone" until_it gone $family
check 'no mount is left' test "$mounts" = "$(sort </proc/self/mountinfo)"
check 'no named namespace is left' test "$names" = "$(ls /run/netns 2>/dev/null)"
check 'no file is left' test "$(ls "$tmp")" = "hold
said"

# as an ordinary user, in a folder and from a copy that they may read
bin=${PINHOLE_BIN:-${test%/*/*}/target/release}
mkdir "$tmp/bin" && cp "$bin"/{rendezvous,natprobe,punch,nattrace,natlink,labreport} "$tmp/bin" 2>/dev/null
cp -r "${netns%/*}" "$tmp/lab" && chmod -R a+rX "$tmp"
nobody=()
((EUID)) || nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)
user() { "${nobody[@]}" env -C "$tmp" PINHOLE_BIN="$tmp/bin" HOME=/nonexistent XDG_RUNTIME_DIR= "$tmp/lab/netns.sh" "$@"; }
check 'an ordinary user has a lab' user full-cone firewall,timeout=7s --no-verify -- \
	sh -c 'test $(ip netns exec nat-bob cat /proc/sys/net/netfilter/nf_conntrack_udp_timeout) = 7 && ip netns exec alice ping -qc1 -W2 203.0.113.1'
check 'an ordinary user has a lab that stays' user up full-cone open --name by-nobody --no-verify --link alice=4g,loss:0
check 'and a shell in it' user exec alice --name by-nobody -- ping -qc1 -W2 203.0.113.1
check 'and its end' user down --name by-nobody

# a host that refuses them namespaces
denied() { env -C "$tmp" PINHOLE_BIN="$tmp/bin" HOME=/nonexistent XDG_RUNTIME_DIR= python3 "$test/without-namespaces.py" "$tmp/lab/netns.sh" "$@"; }
for words in 'open open' 'open open --no-verify -- true' 'up open open --name denied' 'matrix open' doctor; do
	# shellcheck disable=SC2086
	said=$(denied $words 2>&1)
	code=$?
	if [[ $code == 2 && $said == *'allows no user namespaces; type: sudo sysctl user.max_user_namespaces='* && $said != *': line '* ]]; then
		ok "$words without user namespaces: exit 2, and what to do on this host"
	else
		bad "$words without user namespaces: exit $code, ${said//$'\n'/; }"
	fi
done

# a variable that names a folder which is not there, as after su
user() { "${nobody[@]}" env -C "$tmp" PINHOLE_BIN="$tmp/bin" HOME=/nonexistent XDG_RUNTIME_DIR="$tmp/never" "$tmp/lab/netns.sh" "$@"; }
check 'a lab without a runtime folder' user up open open --name by-nobody --no-verify
check 'is found' user exec alice --name by-nobody -- true
check 'and ends' user down --name by-nobody

# where the folder of their labs would be
mkdir "$tmp/run"
((EUID)) || chown 65534:65534 "$tmp/run"
user() { "${nobody[@]}" env -C "$tmp" PINHOLE_BIN="$tmp/bin" HOME=/nonexistent XDG_RUNTIME_DIR="$tmp/run" "$tmp/lab/netns.sh" "$@"; }
user status >/dev/null 2>&1
check 'status makes no folder' rmdir "$tmp/run"
mkdir "$tmp/run"
((EUID)) || chown 65534:65534 "$tmp/run"
check 'a lab for its leftovers' user up open open --no-verify
check 'has a folder' test -d "$tmp"/run/pinhole-*
check 'ends' user down
check 'and leaves nothing behind' rmdir "$tmp/run"
if ((EUID == 0)); then
	exits 0 "a lab of root's" up open open --name of-root-$$ --no-verify
	check 'status tells another user how to see it' grep -q 'use sudo to see the labs of root' <<<"$(user status 2>&1)"
	said=$(user exec alice --name of-root-$$ -- true 2>&1)
	check 'and so does exec' grep -q "no lab \"of-root-$$\".*sudo" <<<"$said"
	exits 0 'which ends, too' down --name of-root-$$
fi
