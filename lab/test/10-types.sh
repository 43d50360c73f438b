#!/usr/bin/env bash
# Every type does what its name says, measured on the real kernel and not by our own prober.
# The expectations stand here once more, so that a type's head cannot be wrong unnoticed.
source "${BASH_SOURCE[0]%/*}/words.sh"

E=endpoint-independent A=address-dependent P=address-and-port-dependent

# prove TYPE MAPPING FILTERING PORTS, then the same for bob's side
prove() { story "$1" "$5" behaviour.py "$@"; }

prove open none $E - firewall none $P -
prove firewall none $P - open none $E -
prove basic $E $E preserve cgnat $E $P block
prove full-cone $E $E preserve restricted $E $A preserve
prove port-restricted $E $P preserve symmetric $P $P random
prove symmetric-sequential $P $P sequential symmetric-block $P $P block
prove address-dependent $A $A random masquerade $E $P preserve
prove cgnat $E $P block basic $E $E preserve
prove udp-blocked - - - udp-blocked - - -

prove full-cone,ports=random $E $E random full-cone,ports=sequential $E $E sequential
prove restricted,ports=block $E $A block symmetric,ports=preserve $P $P preserve
prove address-dependent,ports=preserve $A $A preserve cgnat,ports=random,timeout=9s $E $P random
prove port-restricted,addresses=2 $E $P preserve symmetric,addresses=2 $P $P random
prove port-restricted,upnp=on $E $P preserve symmetric,upnp=on $P $P random
prove address-dependent,upnp=on $A $A random masquerade,upnp=on $E $P preserve
prove port-restricted,tcp=rst $E $P preserve restricted,tcp=rst $E $A preserve
prove masquerade,input=drop $E $P preserve masquerade,input=reject $E $P preserve
prove firewall,tcp=rst none $P - cgnat,tcp=rst $E $P block
prove symmetric,tcp=rst,hairpin=on $P $P random address-dependent,tcp=silence $A $A random

heads=$("$netns" list --json)
for type in "full-cone $E $E" "restricted $E $A" "port-restricted $E $P" "symmetric $P $P" "address-dependent $A $A" \
	"symmetric-sequential $P $P" "symmetric-block $P $P" "masquerade $E $P" "cgnat $E $P" "basic $E $E"; do
	read -r name mapping filtering <<<"$type"
	if [[ $heads =~ \"type\":\"$name\",\"class\":\"[a-z-]+\",\"mapping\":\"$mapping\",\"filtering\":\"$filtering\" ]]; then
		ok "list says the same of $name"
	else
		bad "list says otherwise of $name"
	fi
done
