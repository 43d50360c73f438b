#!/usr/bin/env bash
# nattrace show: a trace as a ladder, and as a capture that tshark reads.
source "${BASH_SOURCE[0]%/*}/words.sh"
source "${test%/*}/lib/needs.sh"

die() { bad "$*"; exit 1; }
install=1 lab=${test%/*} # what needs.sh wants to know
has tshark || install tshark
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
[[ ${PINHOLE_BIN:-} ]] || export PINHOLE_BIN=${test%/*/*}/target/release
show=("$PINHOLE_BIN/nattrace" show "$tmp/t.json")

# shows TEXT OPTION…: it is in the ladder, of ASCII, in which spaces and lanes are as one space
shows() {
	local said
	said=$("${show[@]}" --ascii "${@:2}") || return
	said=$(tr -s ' |\n' ' ' <<<"$said")
	[[ $said == *"$1"* ]] || { echo "no \"$1\" in: ${said:0:3000}"; return 1; }
}

exits 0 'a pair is traced, in three formats' port-restricted restricted --trace "$tmp/t.json" --trace "$tmp/t.txt" --trace "$tmp/direct.pcapng"
check 'a first packet says what it changes' shows 'nat-alice now lets in bob port'
check 'with the translation' shows 'nat-alice changes the source to 203.0.113.17:'
check 'and that it was to end' shows 'x as an opener should: its TTL ran out at core'
check 'and who said so' shows 'ICMP time exceeded in transit, about the packet above'
check 'packets that end alike are counted' shows ', all x FILTER_ADDR'
check 'a filtered packet is explained' shows 'x FILTER_ADDR: filtered at nat-bob: bob has sent from 203.0.113.33:'
# without PATTERN OPTION…: the ladder is written, and no line of it has this
without() {
	"${show[@]}" "${@:2}" >"$tmp/ladder" && [[ -s $tmp/ladder ]] || { echo 'nothing was written'; return 1; }
	! grep -nE "$1" "$tmp/ladder"
}
for width in 60 80 100; do
	LC_ALL=C.UTF-8 check "no line is longer than $width" without ".{$((width + 1)),}" --width $width
done
LC_ALL=C.UTF-8 check 'nor at first' without '.{101,}'
check 'there are no escape codes in a pipe' without $'\e'
LC_ALL=C check 'and with --ascii only ASCII' without '[^ -~]' --ascii --all
check 'with --all each packet has a line' python3 - "$tmp/t.json" "$("${show[@]}" --all | grep -cE '^ *[0-9]+\.[0-9] .*[●◀▶✗]')" <<'P'
import json
import sys
assert len(json.load(open(sys.argv[1]))["journeys"]) == int(sys.argv[2]), sys.argv[2]
P
check 'a trace comes from a pipe as well' bash -c '"$1" show - <"$2" | grep -q "● sent"' x "$PINHOLE_BIN/nattrace" "$tmp/t.json"
declined 'a file that is no trace' 'is not a trace. Write one with: ' nattrace show "$test/words.sh"
declined 'one that there is not' 'cannot read the trace /nowhere.json' nattrace show /nowhere.json
sed 's/"schema":1/"schema":9/' "$tmp/t.json" >"$tmp/later.json"
declined 'one of a later version' 'use a later version' nattrace show "$tmp/later.json"

# captured FILTER OPTION…: what tshark prints of the packets that the filter lets through; it must not complain
captured() {
	tshark -r "$tmp/t.pcapng" -Y "$1" "${@:2}" 2>"$tmp/said"
	sed -i '/^Running as user/d' "$tmp/said"
	[[ ! -s $tmp/said ]] || cat "$tmp/said"
}
# has TEXT FILTER OPTION…
has_text() { local said; said=$(captured "${@:2}"); [[ $said == *"$1"* && ! -s $tmp/said ]] || { echo "no \"$1\" in: ${said:0:600}"; return 1; }; }
check 'the text is the same ladder' cmp "$tmp/t.txt" <("${show[@]}")
check 'and the capture is one with whole packets' bash -c '[[ ! $(tshark -r "$1" -Y "frame.len != frame.cap_len" 2>&1 | grep -v "^Running") && $(tshark -r "$1" -Y stun 2>/dev/null) ]]' x "$tmp/direct.pcapng"
check 'it is written as a capture' "$PINHOLE_BIN/nattrace" convert "$tmp/t.json" "$tmp/t.pcapng"
comment=(-T fields -e frame.interface_name -e frame.comment)
check 'tshark reads it without a warning' has_text 'Binding Request' stun
check 'comments have the translation' has_text 'nat-alice translates the source: 192.168.1.2:' 'frame.interface_name == "nat-alice wan"' "${comment[@]}"
check 'and the end' has_text 'ended at nat-bob: FILTER_ADDR: filtered at nat-bob' 'frame.comment contains "ended at"' "${comment[@]}"
check 'addresses have names' has_text 'nat-bob' 'ip.dst == 203.0.113.33' -N n -T fields -e ip.dst_host
check 'each sighting is there, in the order of time' python3 - "$tmp/t.json" "$(captured frame -T fields -e frame.time_epoch | sort -c && captured frame -T fields -e frame.number | wc -l)" <<'P'
import json
import sys
sightings = sum(len(journey["sightings"]) for journey in json.load(open(sys.argv[1]))["journeys"])
assert sightings == int(sys.argv[2]), (sightings, sys.argv[2])
P
# a quotation in an ICMP error is as the kernel has quoted it
wrong='!icmp && (ip.checksum.status == "Bad" || (frame.len == frame.cap_len && (udp.checksum.status == "Bad" || tcp.checksum.status == "Bad")))'
check 'no checksum is wrong' bash -c '[[ ! $1 ]] || { echo "$1"; false; }' x \
	"$(captured "$wrong" -o ip.check_checksum:TRUE -o udp.check_checksum:TRUE -o tcp.check_checksum:TRUE | head -3)"
