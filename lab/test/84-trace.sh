#!/usr/bin/env bash
# --trace: what became of each packet, and why. Each end has a scenario that produces it, and a twin that must not.
source "${BASH_SOURCE[0]%/*}/words.sh"

tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
[[ ${PINHOLE_BIN:-} ]] || export PINHOLE_BIN=${test%/*/*}/target/release
a=203.0.113.17 b=203.0.113.33 s=203.0.113.1

# ends WHAT A B STEPS CONDITION…: of these packets (STEPS: see packets.py) the trace must say so (see trace.py)
ends() {
	local steps said
	read -ra steps <<<"$4"
	if ! said=$("$netns" "$2" "$3" "${options[@]}" --no-verify --trace "$tmp/t.json" -- python3 "$test/packets.py" "${steps[@]}" 2>&1); then
		bad "$1: ${said//$'\n'/; }"
		return
	fi
	check "$1" python3 "$test/trace.py" "$tmp/t.json" "${@:5}"
}
options=()

from_bob='from=bob,protocol=udp' filtered="filtered at nat-alice: alice has sent from $a:4000 only to"
ends 'a packet to an open host is delivered' open open "bob:5000 alice:4000>203.0.113.34:5000 bob:5000?" \
	'from=alice,to=bob,how=delivered,text=delivered to a socket of bob' no,how=dropped no,how=unknown
ends 'one to a port without a socket has no listener' open open "alice:4000>203.0.113.34:5000" \
	'from=alice,how=no-listener,node=bob,text~UDP port 5000' 'protocol=icmp,from=bob,what~port unreachable' no,how=delivered,from=alice
ends 'a filter by port names whom it would have let in' port-restricted open "server:6000 alice:4000>$s:6000 server:6000? bob:5000>$a:4000" \
	"$from_bob,how=dropped,node=nat-alice,reason=FILTER_PORT,text=$filtered $s:6000"
ends 'and not where the remote has been sent to' port-restricted open "bob:5000 alice:4000>203.0.113.34:5000 bob:5000? bob:5000>$a:4000 alice:4000?" \
	"$from_bob,how=delivered,node=alice" no,how=dropped
ends 'a filter by address names the address' restricted open "server:6000 alice:4000>$s:6000 server:6000? bob:5000>$a:4000" \
	"$from_bob,how=dropped,node=nat-alice,reason=FILTER_ADDR,text=$filtered $s"
ends 'and lets other ports of it in' restricted open "bob:5000 alice:4000>203.0.113.34:5000 bob:5000? bob:5001>$a:4000 alice:4000?" \
	"$from_bob,how=delivered,node=alice" no,how=dropped
ends 'a port that nobody has used has no mapping' full-cone open "bob:5000>$a:4000" \
	"$from_bob,how=dropped,node=nat-alice,reason=NO_MAPPING,text=no mapping at nat-alice: nothing has been sent through it"
ends 'one that somebody has used has one' full-cone open "server:6000 alice:4000>$s:6000 server:6000? bob:5000>$a:4000 alice:4000?" \
	"$from_bob,how=delivered,node=alice" no,how=dropped
ends 'a mapping that expired says when it was used' full-cone,timeout=1s open "server:6000 alice:4000>$s:6000 server:6000? 1.5 bob:5000>$a:4000" \
	"$from_bob,how=dropped,node=nat-alice,reason=MAPPING_EXPIRED,text~alice last sent from it 1."
ends 'a symmetric NAT names the port that it uses towards the sender' symmetric open \
	"server:6000 alice:4000>$s:6000 server:6000? alice:4000>203.0.113.34:5000 bob:5000>$a:4000" \
	"from=alice,to=bob" "$from_bob,node=nat-alice,how=dropped"
ends 'a bare masquerade refuses by ICMP' masquerade open "server:6000 alice:4000>$s:6000 server:6000? bob:5000>$a:4000" \
	"$from_bob,how=refused,node=nat-alice,reason=FILTER_PORT,text~$filtered $s:6000" "$from_bob,text~answers with \"port unreachable\""
ends 'and lets in the answer of the remote itself' masquerade open "bob:5000 alice:4000>203.0.113.34:5000 bob:5000? bob:5000>$a:4000 alice:4000?" \
	"$from_bob,how=delivered,node=alice" no,how=refused
ends 'a blocked UDP' udp-blocked open "alice:4000>203.0.113.34:5000" 'from=alice,how=dropped,node=nat-alice,reason=UDP_BLOCKED'
ends 'and a TCP that the same router lets out' udp-blocked open 'alice>>203.0.113.34:5000=bob/10' \
	'protocol=tcp,from=alice,what=TCP SYN,how=delivered' no,reason=UDP_BLOCKED
ends 'an address in the LAN that no host has' full-cone open 'alice:4000>192.168.1.77:5000' \
	'from=alice,how=unknown,node=alice,reason=NO_NEIGHBOUR,text~192.168.1.77'
ends 'and one that a host has' full-cone open 'alice2:5000 alice:4000>192.168.1.3:5000 alice2:5000?' \
	'from=alice,to=alice2,how=delivered' no,reason=NO_NEIGHBOUR no,how=unknown
ends 'a hairpin that is not made' full-cone open "alice2:4001 alice2:4001>$s:6000 alice:4000>$a:4001" \
	'from=alice,how=dropped,node=nat-alice,reason=HAIRPIN_UNSUPPORTED'
ends 'a hairpin that is made' full-cone,hairpin=on open "alice2:4001 server:6000 alice2:4001>$s:6000 server:6000? alice:4000>$a:4001 alice2:4001?" \
	'from=alice,to=alice2,how=delivered' no,reason=HAIRPIN_UNSUPPORTED
ends 'a TTL that runs out, and where' open open "alice:4000>203.0.113.34:5000/2" \
	"from=alice,how=ttl-exceeded,node=core,text~tells 203.0.113.18" 'protocol=icmp,from=core,to=alice'
ends 'one that suffices' open open "bob:5000 alice:4000>203.0.113.34:5000/4 bob:5000?" 'from=alice,how=delivered' no,how=ttl-exceeded
ends 'two NATs in series' cgnat open "server:6000 alice:4000>$s:6000 server:6000?" 'from=alice,to=server,how=delivered' no,how=unknown
options=(--loss 100)
ends 'a loss in the core' open open "alice:4000>203.0.113.34:5000" 'from=alice,how=lost,node=core,text~--loss' no,how=dropped
options=(--link alice=loss:100%)
ends 'a loss on a link' open open "alice:4000>203.0.113.34:5000" 'from=alice,how=lost,node=nat-alice,reason=loss,text~link of alice'
options=(--delay 20)
ends 'a link that only delays' full-cone open "bob:5000 alice:4000>203.0.113.34:5000 bob:5000?" 'from=alice,to=bob,how=delivered' no,how=lost no,how=unknown
options=()

# own DIRECTION: a firewall of bob's own
own='table inet own { chain c { type filter hook DIRECTION priority 0; udp dport 5000 drop; }; }'
for direction in input output; do
	exits 0 "a lab with a firewall of its own for $direction" full-cone open --no-verify --trace "$tmp/t.json" -- bash -c \
		'node=bob; [[ '$direction' == input ]] || node=alice; ip netns exec $node nft -f - <<<"'"${own/DIRECTION/$direction}"'" && exec python3 "$0" bob:5000 "alice:4000>203.0.113.34:5000"' "$test/packets.py"
	check 'and it is named' python3 "$test/trace.py" "$tmp/t.json" "from=alice,how=dropped,reason=LOCAL_FIREWALL,node=$([[ $direction == input ]] && echo bob || echo alice)"
done

# TCP, in super-frames, also over a link that has none
for option in '' alice=delay:1ms; do
	options=(${option:+--link "$option"})
	ends "a megabyte by TCP${option:+ over $option}" port-restricted open 'alice>>203.0.113.34:5000=bob/1000000' \
		'protocol=tcp,from=alice,what=TCP SYN,how=delivered' 'protocol=tcp,what~TCP data,from=alice,to=bob,how=delivered' \
		no,protocol=tcp,how=unknown no,how=dropped no,how=lost
done
options=()
ends 'a reset says that nobody listens' full-cone open 'alice>>203.0.113.34:5000' \
	'protocol=tcp,from=alice,what=TCP SYN,how=no-listener,node=bob' 'protocol=tcp,from=bob,what=TCP RST'

exits 0 'the main job is traced' port-restricted restricted --trace "$tmp/t.json"
check 'and nothing is unknown in it but packets to private addresses' python3 - "$tmp/t.json" <<'P'
import json
import sys
trace = json.load(open(sys.argv[1]))
unknown = [j for j in trace["journeys"] if j["end"]["how"] == "unknown" and "192.168." not in j["sightings"][-1]["dst"]]
assert not unknown, [j["end"]["text"] for j in unknown]
assert not trace["gaps"], trace["gaps"]
tables = {tables["node"] for tables in trace["tables"]}
assert tables == {"nat-alice", "nat-bob"}, tables
last = [t for t in trace["tables"] if t["node"] == "nat-alice"][-1]
assert any("203.0.113.33" in permit for m in last["mappings"] for permit in m["permits"]), last
P

# apart: what each node has seen by itself, joined later
check 'each node watches by itself' "$netns" port-restricted full-cone --no-verify -- bash "$test/apart.sh" "$tmp/seen" \
	alice nat-alice core nat-bob bob -- python3 "$test/packets.py" "alice:4000>203.0.113.33:5000"
check 'and what they saw is joined' "$PINHOLE_BIN/nattrace" join "$tmp/seen/"{alice,nat-alice,core,nat-bob,bob}.json --trace "$tmp/t.json" --peers alice,bob
check 'to one journey' python3 "$test/trace.py" "$tmp/t.json" "from=alice,to=nat-bob,how=dropped,reason=NO_MAPPING" cause=PEER_NEVER_SENT
declined 'to join without a file to write' 'writes nothing without --trace' nattrace join "$tmp/seen/"{alice,bob}.json
printf '{}' >"$tmp/none.json"
declined 'a file that is no record' 'is not a record of nattrace watch' nattrace join "$tmp/none.json" --trace "$tmp/t.json"

refused 'a trace in a format that there is not' 'ends with .json, .pcapng, .html or .txt' open open --trace x.gif
refused 'a trace where the lab has its own folder' 'a /run of its own' open open --trace /run/x.json
refused 'one that cannot be written, before anything runs' 'cannot write /nowhere/x.json' open open --no-verify --trace /nowhere/x.json -- true
refused 'one file for several runs' '--trace is for one run' open open --runs 2 --trace "$tmp/t.json" -- true

# a lab that stays writes when it ends
name=trace-$$
trap '"$netns" down --name $name 2>/dev/null; rm -rf "$tmp"' EXIT
exits 0 'a lab that stays is traced' up port-restricted open --no-verify --name $name --trace "$tmp/stays.json" --trace "$tmp/stays.txt" --pcap "$tmp/stays"
check 'and a packet passes' "$netns" exec alice --name $name -- ping -c1 -W5 203.0.113.34
exits 0 'it ends' down --name $name
check 'and has written what became of each packet' python3 "$test/trace.py" "$tmp/stays.json" protocol=icmp,from=alice,to=bob,how=delivered
check 'as a ladder, too' grep -q 'bob' "$tmp/stays.txt"
check 'and the captures are whole' bash -c '[[ $(tshark -r "$1/alice.pcapng" -Y icmp 2>/dev/null) && ! $(tshark -r "$1/core.pcapng" 2>&1 >/dev/null | grep -v "^Running") ]]' x "$tmp/stays"
mkdir "$tmp/gone"
exits 0 'another one' up open open --no-verify --name $name --trace "$tmp/gone/t.json"
rm -rf "$tmp/gone"
said=$("$netns" down --name $name 2>&1)
check "whose trace cannot be written says so at its end: $said" test $? = 2
check 'and names the file' grep -q "was not written to $tmp/gone/t.json" <<<"$said"

# a kernel that refuses the rules which report packets
cp -r "${netns%/*}" "$tmp/lab" && echo 'no such statement' >>"$tmp/lab/lib/watch.nft"
said=$("$tmp/lab/netns.sh" open open --no-verify 2>&1)
check 'without reports the main job says why it shows no steps' grep -q '^The steps are not shown, since this kernel refuses .*: .*syntax error' <<<"$said"
check 'and has its answer' grep -q 'direct' <<<"$said"
