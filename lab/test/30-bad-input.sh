#!/usr/bin/env bash
# Nonsense is refused with the reason, before anything is started.
source "${BASH_SOURCE[0]%/*}/words.sh"

refused 'an unknown type' 'no NAT type "donut"' donut open
refused 'an unknown type on the other side' 'no NAT type "donut"' open donut
refused 'a path for a type' 'no NAT type' ../nat/open open
refused 'a piece for a type' 'no NAT type "napt"' napt open
refused 'two types for one' 'no NAT type "full-cone restricted"' 'full-cone restricted' open
refused 'one type' 'two NAT types' open
refused 'three types, and no command' '3 sides need a command' open open open
refused 'nothing at all' 'NAT laboratory'
refused 'an unknown override' 'no override "speed"' full-cone,speed=9 open
refused 'an empty override' 'no override ""' full-cone, open
refused 'an override without a value' 'ports is' full-cone,ports open
refused 'an unknown port policy' 'ports is preserve' full-cone,ports=odd open
refused 'a policy twice' 'given twice' full-cone,ports=random,ports=block open
refused 'hairpin=maybe' 'hairpin is on or off' full-cone,hairpin=maybe open
refused 'a pool of three' 'addresses is 1 or 2' full-cone,addresses=3 open
refused 'a pool without a NAT' 'there is no NAT' open,addresses=2 open
refused 'a pool behind a firewall' 'there is no NAT' firewall,addresses=2 open
refused 'a pool with basic NAT' 'an address of its own' basic,addresses=2 open
refused 'a pool with masquerade' "the interface's first address" masquerade,addresses=2 open
refused 'a pool of a carrier' 'RFC 6888' cgnat,addresses=2 open
refused 'a pool without UDP' 'no UDP gets through' udp-blocked,addresses=2 open
refused 'upnp=maybe' 'upnp is on or off' full-cone,upnp=maybe open
refused 'a mapped port without a NAT' 'there is no NAT' open,upnp=on open
refused 'a mapped port behind a firewall' 'there is no NAT' firewall,upnp=on open
refused 'a mapped port with basic NAT' 'comes in to every port' basic,upnp=on open
refused 'a mapped port before a carrier' "the carrier's private ones" open cgnat,upnp=on
refused 'a mapped port without UDP' 'no UDP gets through' udp-blocked,upnp=on open
refused 'a mapped port of a pool' 'symmetric,upnp=on,addresses=2: miniupnpd handles one' symmetric,upnp=on,addresses=2 open
refused 'a timeout without a unit' 'timeout is in seconds' full-cone,timeout=20 open
refused 'a timeout of nothing' 'timeout is in seconds' full-cone,timeout=0s open
refused 'ports without a NAT' 'there is no NAT' open,ports=random open
refused 'ports behind a firewall' 'there is no NAT' firewall,ports=random open
refused 'ports with basic NAT' 'keeps every port by definition' basic,ports=random open
refused 'ports with masquerade' "the kernel's own" masquerade,ports=random open
refused 'a hairpin without UDP' 'no UDP gets through' udp-blocked,hairpin=on open
refused 'tcp=maybe' 'tcp is rst or silence' full-cone,tcp=maybe open
refused 'tcp without a NAT' 'the host itself answers' open,tcp=rst open
refused 'tcp with basic NAT' 'the host itself answers' basic,tcp=silence open
refused 'tcp with masquerade' 'the kernel as it is, which resets' masquerade,tcp=silence open
refused 'tcp without UDP' 'nobody is introduced' udp-blocked,tcp=rst open
refused 'an input filter of no masquerade' 'only masquerade takes input' port-restricted,input=drop open
refused 'input=maybe' 'input is accept, drop or reject' masquerade,input=maybe open
refused 'tcp twice' 'given twice' full-cone,tcp=rst,tcp=rst open
refused 'an unknown option' 'no option --fast' open open --fast
refused 'an option without its value' '--loss needs a value' open open --loss
refused 'a loss of 101' 'percentage' open open --loss 101
refused 'a loss of 100.5' 'percentage' open open --loss 100.5
refused 'a negative loss' 'percentage' open open --loss -1
refused 'a delay in words' 'milliseconds' open open --delay long
refused 'a prefix that is no /24' 'a /24' open open --prefix 203.0.113.0/25
refused 'a prefix with a host part' 'a /24' open open --prefix 203.0.113.7/24
refused 'a prefix out of range' 'a /24' open open --prefix 203.0.300.0/24
refused "the LANs' own prefix" 'is taken' open open --prefix 192.168.1.0/24
refused 'a name with a slash' '--name is' up open open --name ../x
refused 'no command after --' 'no command' open open --
refused 'a node of no lab' 'no lab' exec alice --name never-was -- true
refused 'exec without a command' 'exec needs a command' exec alice
refused 'a type in the matrix' 'no NAT type "donut"' matrix donut
for format in json markdown junit html; do
	refused "a matrix for a $format file that cannot be" 'cannot write /nonexistent/x; the matrix has not been started' matrix open --$format /nonexistent/x
	refused "--$format without a file" "--$format needs a file name" matrix open --$format
	refused "--$format with a type for a file" "\"full-cone,timeout=9s\" is a NAT type; write --$format FILE full-cone,timeout=9s" matrix --$format full-cone,timeout=9s
done
refused '--html of a lab that is no matrix' '--html does not apply' open open --html x
for option in --both --strict '--runs 2' '--timeout 9' '--output x'; do
	# shellcheck disable=SC2086
	refused "$option without a command" "${option% *} is for a command, which follows --" matrix open $option
done
refused 'a folder for packets that a lab does not see' 'a lab has a /run of its own' open open --pcap /run/x --no-verify -- true
refused 'no runs' '--runs is a number from 1 to 999, not "0"' open open --runs 0 -- true
refused 'no jobs' '--jobs is a number from 1 to 999, not "x"' matrix open --jobs x
refused 'a timeout in words' '--timeout is in seconds, 1 to 99999, not "soon"' open open --timeout soon -- true
refused 'a folder that a lab does not see' 'a lab has a /run of its own' open open --output /run/x --no-verify -- true
refused 'a folder that cannot be' 'cannot write to the folder /proc/x' matrix open --output /proc/x --no-verify -- true
refused '--runs of a lab that stays' '--runs does not apply to up' up open open --runs 2 -- true
refused 'one type to expect something of' 'expect needs two NAT types' expect open
refused 'an unknown type to expect something of' 'no NAT type "donut"' expect open donut
refused '--watch where nothing is watched' '--watch does not apply' open open --watch
refused '--all where one lab is meant' '--all does not apply' open open --all
refused '--name of a lab that does not stay' '--name does not apply to a lab that does not stay' open open --name x
refused '--loss of a lab that stands' '--loss does not apply to exec' exec alice --loss 1 -- true
refused '--prefix of a list' '--prefix does not apply to list' list --prefix 198.18.7.0/24
refused 'a command for a verb that runs none' 'status takes no command' status -- true
PINHOLE_BIN=/nowhere refused 'a PINHOLE_BIN without tools' 'no rendezvous' open open --no-verify -- true
some=$(mktemp -d) && trap 'rm -rf "$some"' EXIT
cp /bin/true "$some/rendezvous"
PINHOLE_BIN=$some refused 'a PINHOLE_BIN with some of them' 'no natprobe' open open --no-verify -- true
for tool in natprobe punch nattrace natlink; do cp /bin/true "$some/$tool"; done
PINHOLE_BIN=$some refused 'a PINHOLE_BIN without a judge' 'no labreport' open open --no-verify -- true
PINHOLE_BIN=$some refused 'the same where only JSON takes one' 'no labreport' list --json

[[ ${PINHOLE_BIN:-} ]] || export PINHOLE_BIN=${test%/*/*}/target/release
cp "$PINHOLE_BIN/labreport" "$some"
PINHOLE_BIN=$some refused 'a matrix whose labs do not come up' '1 lab did not come up' matrix open
declined 'a type without its words' 'is not KEY=VALUE' labreport nat alice full-cone /dev/null
declined 'cells that are none' 'this is not a cell of a matrix' labreport matrix <(echo '{"a":"open"}')
declined 'a file descriptor that is not open' '--ready /dev/fd/77: cannot write there' punch --server 127.0.0.1 --name x --ready /dev/fd/77
declined 'addresses of two families' '--alt-ip ::1 and --ip 127.0.0.1 are of different families' rendezvous --ip 127.0.0.1 --alt-ip ::1
declined 'and the other way round' 'are of different families' rendezvous --ip ::1 --alt-ip 127.0.0.1
declined 'an unspecified address and a second one' '--ip 0.0.0.0 takes every address' rendezvous --alt-ip 127.0.0.2
declined 'an unspecified second address' '--alt-ip 0.0.0.0 takes every address' rendezvous --ip 127.0.0.2 --alt-ip 0.0.0.0
declined 'the same in IPv6' '--ip :: takes every address' rendezvous --ip :: --alt-ip ::1
declined 'one address twice' 'behaviour discovery needs two' rendezvous --ip 127.0.0.1 --alt-ip 127.0.0.1
declined 'one port twice' 'behaviour discovery needs two' rendezvous --ip 127.0.0.1 --port 9000 --alt-port 9000
declined 'a file of reserved names that is not there' '--reserve /nonexistent/x: ' rendezvous --reserve /nonexistent/x
printf '# names\nalice abc\n' >"$some/reserved"
declined 'a reserved name without a key' "--reserve $some/reserved: line 2: the key of alice is not 64 hex digits" rendezvous --reserve "$some/reserved"
help=$("$PINHOLE_BIN/rendezvous" --help)
check "--json is not one of the relay's options" grep -q -e --json <<<"${help%%$'\n'Relay*}"
