#!/usr/bin/env bash
# natprobe sees every type and override as what it is: 20 runs of 20, with and without loss.
source "${BASH_SOURCE[0]%/*}/words.sh"

[[ ${PINHOLE_BIN:-} ]] || export PINHOLE_BIN=${test%/*/*}/target/release

# prober SPEC OPTION… -- FIELD=VALUE…
probed() {
	local spec=$1 options=()
	shift
	while [[ $1 != -- ]]; do options+=("$1") && shift; done
	SPEC=$spec "$netns" "$spec" open --no-verify "${options[@]}" -- python3 "$test/prober.py" 20 "${@:2}" 2>&1 ||
		bad "natprobe behind $spec ${options[*]}"
}

# kind SPEC CLASS MAPPING FILTERING PORTS REMAPS UNSOLICITED: both ways
kind() {
	local facts=(class="$2" mapping="$3" filtering="$4" remaps_after_early_inbound="$6")
	[[ $7 == - ]] || facts+=(unsolicited="$7")
	[[ $5 == - ]] || facts+=(allocation.policy="$5")
	probed "$1" -- "${facts[@]}" nat="$([[ $5 == - ]] && echo false || echo true)"
	LOSSY=1 probed "$1" --loss 10 -- "${facts[@]}"
}

ei=endpoint-independent ad=address-dependent ap=address-and-port-dependent
kind open open $ei $ei - false delivered
kind firewall firewall $ei $ap - false silence
kind basic full-cone $ei $ei preserving false delivered
kind full-cone full-cone $ei $ei preserving false delivered
kind full-cone,ports=random full-cone $ei $ei random false delivered
kind full-cone,ports=block full-cone $ei $ei block false delivered
kind restricted restricted $ei $ad preserving false silence
kind restricted,ports=sequential restricted $ei $ad sequential false silence
kind port-restricted port-restricted $ei $ap preserving false silence
kind port-restricted,hairpin=on,timeout=20s port-restricted $ei $ap preserving false silence
kind symmetric symmetric $ap $ap random null silence
kind symmetric-sequential symmetric $ap $ap sequential null silence
# so many runs share the ports of a block, and what comes back is then of ended ones
kind symmetric-block symmetric $ap $ap block null -
kind address-dependent symmetric $ad $ad random null silence
kind masquerade port-restricted $ei $ap preserving true icmp-port-unreachable
kind cgnat port-restricted $ei $ap block false silence
