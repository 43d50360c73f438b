#!/usr/bin/env bash
# punch --tcp: what connects and what does not, with stray SYNs reset or met with silence.
source "${BASH_SOURCE[0]%/*}/words.sh"

[[ ${PINHOLE_BIN:-} ]] || export PINHOLE_BIN=${test%/*/*}/target/release

for tcp in silence rst; do
	story "full-cone,tcp=$tcp" "full-cone,tcp=$tcp" tcp.py connects
	story "restricted,tcp=$tcp" "port-restricted,tcp=$tcp" tcp.py connects
	story "port-restricted,tcp=$tcp" "port-restricted,tcp=$tcp" tcp.py connects
	story open "port-restricted,tcp=$tcp" tcp.py connects
	story "symmetric,tcp=$tcp" "restricted,tcp=$tcp" tcp.py connects
	story "cgnat,tcp=$tcp" "port-restricted,tcp=$tcp" tcp.py connects
	story "symmetric,tcp=$tcp" "port-restricted,tcp=$tcp" tcp.py fails SYMMETRIC_REMAP
	story "symmetric,tcp=$tcp" "symmetric,tcp=$tcp" tcp.py fails SYM_SYM
done
story masquerade port-restricted tcp.py connects
# Two routers that reset each other's SYN do not let a connection come about; with an input filter that drops, they do.
story masquerade masquerade tcp.py fails TCP_REFUSED
story masquerade,input=drop masquerade,input=drop tcp.py connects
# One side's SYN is reset and closes what conntrack alone has opened: it takes a second.
story firewall,tcp=rst firewall tcp.py naive
story firewall,tcp=rst firewall tcp.py connects
story port-restricted,tcp=rst port-restricted,tcp=rst tcp.py refused
story port-restricted open tcp.py lan
story full-cone open tcp.py one_sided
story port-restricted symmetric tcp.py stranger
story full-cone open tcp.py server
options=(--loss 10)
story port-restricted port-restricted tcp.py connects
story restricted,tcp=rst port-restricted,tcp=rst tcp.py connects
