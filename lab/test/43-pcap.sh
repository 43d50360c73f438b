#!/usr/bin/env bash
# --pcap: every packet of every node, with its interface, as an ordinary user too.
source "${BASH_SOURCE[0]%/*}/words.sh"

tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
chmod 777 "$tmp"
[[ ${PINHOLE_BIN:-} ]] || export PINHOLE_BIN=${test%/*/*}/target/release

# pinged FOLDER WANTED…: these lines, node and its interfaces with their ICMP packets, are in the captures
pinged() {
	local said line
	said=$(python3 "$test/captures.py" "$1") || return
	for line in "${@:2}"; do grep -qx "$line" <<<"$said" || { echo "no \"$line\" in: $said"; return 1; }; done
}
ping=(ip netns exec alice ping -qc5 -i0.01 203.0.113.1)

exits 0 'a lab with captures' full-cone cgnat --pcap "$tmp/p" --no-verify -- "${ping[@]}"
check 'each packet is there, of each interface that it passed' pinged "$tmp/p" 'alice eth0=10' 'server eth0=10' 'core.* alice=10.*' 'nat-alice.* wan=10.*'
check 'a node without packets has a file, too' test -s "$tmp/p/isp-bob.pcapng"
check 'the NAT is in the addresses' python3 - "$tmp/p/nat-alice.pcapng" <<'P'
import sys
data = open(sys.argv[1], "rb").read()
before, after = bytes([192, 168, 1, 2, 203, 0, 113, 1]), bytes([203, 0, 113, 17, 203, 0, 113, 1])
assert before in data and after in data
P
exits 7 'the exit code is that of the command' open open --pcap "$tmp/q" --no-verify -- sh -c 'exit 7'
exits 0 'a command may leave something behind' open open --pcap "$tmp/q" --no-verify -- sh -c 'sleep 1000 & true'
exits 0 'a matrix' matrix open --no-verify --pcap "$tmp/m" --output "$tmp/o" -- "${ping[@]}"
check 'has a folder for each run' pinged "$tmp/m/open--open/run-1" 'alice eth0=10'
name=pcap-$$
exits 0 'a lab that stays' up open open --name $name --pcap "$tmp/u" --no-verify
exits 0 'in which alice pings' exec alice --name $name -- ping -qc5 -i0.01 203.0.113.1
check 'is captured while it is up' until_it pinged "$tmp/u" 'alice eth0=10'
exits 0 'and ends' down --name $name

# as an ordinary user, from a copy that they may read
mkdir "$tmp/bin" && cp "$PINHOLE_BIN"/{rendezvous,natprobe,punch,nattrace,natlink,labreport} "$tmp/bin"
cp -r "${netns%/*}" "$tmp/lab" && chmod -R a+rX "$tmp/bin" "$tmp/lab"
nobody=()
((EUID)) || nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)
check 'an ordinary user captures' "${nobody[@]}" env -C "$tmp" PINHOLE_BIN="$tmp/bin" HOME=/nonexistent "$tmp/lab/netns.sh" open full-cone --pcap mine --no-verify -- "${ping[@]}"
check 'everything, too' pinged "$tmp/mine" 'alice eth0=10' 'server eth0=10'
