#!/usr/bin/env bash
# Why two hosts have no path: each cause has a scenario that produces it, and a twin that differs in one thing and must
# not. The packets are not Pinhole's.
source "${BASH_SOURCE[0]%/*}/words.sh"

tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
[[ ${PINHOLE_BIN:-} ]] || export PINHOLE_BIN=${test%/*/*}/target/release
a=203.0.113.17 b=203.0.113.33 s=203.0.113.1

# cause WHAT A B STEPS CODE [WORD…]: these packets (STEPS: see packets.py) have this cause (WORD: see trace.py)
options=()
cause() {
	local steps said
	read -rd "" -a steps <<<"$4"
	if ! said=$("$netns" "$2" "$3" "${options[@]}" --no-verify --trace "$tmp/t.json" -- python3 "$test/packets.py" "${steps[@]}" 2>&1); then
		bad "$1: ${said//$'\n'/; }"
		return
	fi
	check "$1" python3 "$test/trace.py" "$tmp/t.json" "cause=$5" "${@:6}"
}
# both hosts have told the server their addresses, which it tells them, and then they send there
told="server:6000 alice:4000>$s:6000 server:6000?alice bob:5000>$s:6000 server:6000?bob"
both='alice:4000>bob bob:5000>alice alice:4000>bob' met='alice:4000>bob bob:5000>alice alice:4000? alice:4000>bob bob:5000?'

cause 'a path has no cause' full-cone restricted "$told $met" none
cause 'UDP is blocked' udp-blocked full-cone "alice:4000>$s:6000 alice:4000>$b:5000 bob:5000>$a:4000" UDP_BLOCKED 'cause~blocked at nat-alice'
cause 'and its twin, where only nothing was sent before' full-cone full-cone "alice:4000>$b:5000 bob:5000>$a:4000 alice:4000? alice:4000>$b:5000 bob:5000?" none
cause 'the peer never sends' port-restricted port-restricted "$told alice:4000>bob" PEER_NEVER_SENT \
	'cause~bob sent nothing to alice: filtered at nat-bob'
cause 'and its twin, which sends' port-restricted port-restricted "$told $met" none
cause 'a filter by address' restricted basic "$told alice:4000>$b:5000 bob:5000>alice" FILTER_ADDR \
	"cause~alice has sent from $a:4000 only to $s, $b"
cause 'and its twin, which lets the address in' restricted basic "$told $met" none
cause 'a filter by port' port-restricted port-restricted "$told alice:4000>bob bob:5001>alice" FILTER_PORT "cause~only to $s:6000, $b:5000"
cause 'and its twin, which filters by address' restricted restricted "$told alice:4000>bob bob:5001>alice alice:4000? alice:4000>$b:5001 bob:5001?" none
cause 'a symmetric NAT' symmetric port-restricted "$told $both" SYMMETRIC_REMAP \
	"cause~bob sends to $a:" "cause~but alice's packets to bob leave from $a:" 'cause~filtered at nat-alice'
cause 'and its twin, behind which ports stay' restricted port-restricted "$told $met" none
cause 'two symmetric NATs' symmetric symmetric "$told $both" SYM_SYM 'cause~; and alice sends to'
cause 'and its twin, where one filters nothing' symmetric full-cone "$told alice:4000>bob bob:5000?again bob:5000>again alice:4000?" none
cause 'ports are guessed' symmetric port-restricted "$told $(for p in {20001..20040}; do echo "bob:5000>$a:$p"; done) $both" BUDGET_EXHAUSTED \
	'cause~bob tried 41 ports of alice'
cause 'an early packet that remaps' masquerade port-restricted "$told bob:5000>alice alice:4000>bob bob:5000>alice" DYNAMIC_REMAP \
	"cause~since bob's packet came before alice's first one"
cause 'and its twin, where the packet is not early' masquerade port-restricted "$told $met" none
cause 'a pool of addresses' restricted,addresses=2,mapping=address-dependent,ports=random port-restricted \
	"server:6000 alice:4000>$s:6000 server:6000?alice alice:4009>$s:6000 server:6000? bob:5000>$s:6000 server:6000?bob $both" MULTI_IP_POOL \
	"cause~but alice's packets to bob leave from"
cause 'and its twin, which keeps the address of a socket' restricted,addresses=2 port-restricted \
	"server:6000 alice:4000>$s:6000 server:6000?alice alice:4009>$s:6000 server:6000? bob:5000>$s:6000 server:6000?bob $met" none
cause 'a mapping that expired' full-cone,timeout=1s open "$told 1.5 bob:5000>alice alice:4001>203.0.113.34:5000" MAPPING_EXPIRED \
	'cause~alice last sent from it 1.'
cause 'and its twin, which is kept alive' full-cone,timeout=30s open "$told 1.5 $met" none
cause 'a TTL that is too low' open open 'alice:4000>203.0.113.34:5000/2 bob:5000>203.0.113.18:4000/2' TTL_TOO_LOW 'cause~at core'
cause 'and its twin, which suffices' open open 'bob:5000 alice:4000>203.0.113.34:5000/4 bob:5000? bob:5000>203.0.113.18:4000/4 alice:4000?' none
cause 'a port that is closed' full-cone full-cone "$told alice:4000>$b:7000 bob:5000>$a:7000" NO_MAPPING
cause 'a router that refuses' masquerade masquerade "alice:4000>$b:5000 bob:5001>$a:4001" ICMP_REFUSED 'cause~itself answers'
cause 'and its twin, after packets that did not come there' masquerade masquerade "$told alice:4000>bob/2 bob:5000>alice/2 $met" none
cause 'no socket' open open 'alice:4000>203.0.113.34:5000 bob:5001>203.0.113.18:4001' ICMP_REFUSED 'cause~no socket of'
cause 'one direction alone' full-cone port-restricted "$told bob:5000>alice alice:4000? alice:4001>bob" ONE_WAY \
	"cause~bob's packets come to alice, and none comes back: filtered at nat-bob"
cause 'and its twin, from the socket that was asked' full-cone port-restricted "$told bob:5000>alice alice:4000? alice:4000>bob bob:5000?" none

# a firewall of bob's own
own() {
	local said
	said=$("$netns" full-cone full-cone --no-verify --trace "$tmp/t.json" -- bash -c \
		'ip netns exec bob nft -f - <<<"$1"; exec python3 "${@:2}"' sh "$1" "$test/packets.py" "alice:4000>$b:5000" "bob:5000>$a:4000" "alice:4000>$b:5000" 2>&1) ||
		echo "$said"
}
check 'a firewall of its own' own 'table inet own { chain c { type filter hook input priority 0; udp dport 5000 drop; }; }'
check 'is named' python3 "$test/trace.py" "$tmp/t.json" cause=LOCAL_FIREWALL 'cause~dropped by a rule of bob itself'
check 'and its twin, which drops another port' own 'table inet own { chain c { type filter hook input priority 0; udp dport 5001 drop; }; }'
check 'has no cause' python3 "$test/trace.py" "$tmp/t.json" cause=none

options=(--same-lan)
cause 'a private address that is another host, too' port-restricted port-restricted \
	'alice2:5000 alice:4000>192.168.1.3:5000 alice2:5000? bob:5000>192.168.1.2:4000 alice:4000>192.168.1.3:5000 alice2:5000?' LAN_FALSE_MATCH 'cause~came to alice2'
options=()
cause 'no loss' open open 'bob:5000 alice:4000>203.0.113.34:5000 bob:5000>203.0.113.18:4000' none
options=(--loss 100)
cause 'and its twin, where all is lost' open open 'alice:4000>203.0.113.34:5000 bob:5000>203.0.113.18:4000' LOST 'cause~--loss'
options=()

# two hosts behind one NAT, which are alice and alice2 here
inner="server:6000 alice:4000>$s:6000 server:6000? alice2:4001>$s:6000 server:6000?"
hairpin() {
	local steps
	read -rd "" -a steps <<<"$inner $3"
	check "$1" "$netns" "$2" open --no-verify -- bash "$test/apart.sh" "$tmp/seen" alice alice2 nat-alice core -- \
		python3 "$test/packets.py" "${steps[@]}"
	check 'and what they saw is joined' "$PINHOLE_BIN/nattrace" join "$tmp/seen/"{alice,alice2,nat-alice,core}.json --trace "$tmp/t.json" --peers alice,alice2
	check "has ${4%% *}" python3 "$test/trace.py" "$tmp/t.json" "cause=$4" "${@:5}"
}
hairpin 'two hosts that use their public addresses' full-cone "alice:4000>$a:4001 alice2:4001>$a:4000" HAIRPIN_UNSUPPORTED 'cause~at nat-alice'
hairpin 'and the twin, whose NAT sends them back' full-cone,hairpin=on "alice:4000>$a:4001 alice2:4001? alice2:4001>$a:4000 alice:4000?" none

# what punch itself says, where no packet shows it
check 'a peer that is not there' "$netns" full-cone full-cone --no-verify --trace "$tmp/t.json" -- \
	bash -c '! PINHOLE_NAME=alice ip netns exec alice punch --peer bob --report /run/alice.json 2>/dev/null'
check 'is told with what punch said' python3 "$test/trace.py" "$tmp/t.json" cause=PEER_OFFLINE 'cause~not registered'
exits 0 'the main job between two that are' full-cone restricted --no-verify --trace "$tmp/t.json"
check 'has no cause' python3 "$test/trace.py" "$tmp/t.json" cause=none
check 'a peer that takes another key for ours' "$netns" full-cone full-cone --no-verify --trace "$tmp/t.json" -- python3 "$test/auth.py" mismatch
check 'is told with what punch said' python3 "$test/trace.py" "$tmp/t.json" cause=AUTH_MISMATCH 'cause~key'
check 'and its twin, which knows ours' "$netns" full-cone full-cone --no-verify --trace "$tmp/t.json" -- python3 "$test/auth.py" knows
check 'has no cause' python3 "$test/trace.py" "$tmp/t.json" cause=none
