#!/usr/bin/env bash
# A report becomes a fixture: rebuilt by --profile, the NAT measures as it did.
source "${BASH_SOURCE[0]%/*}/words.sh"

tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
[[ ${PINHOLE_BIN:-} ]] || export PINHOLE_BIN=${test%/*/*}/target/release

# alike REPORT REPORT: print what is not the same in both. Not tested is not another result. A timeout that is also a
# tested silence may be over just before that test or just after it.
alike() {
	python3 - "$@" <<'P'
import json, sys
a, b = (json.load(open(name)) for name in sys.argv[1:])
for path in ("class", "nat", "mapping", "filtering", "public_addresses", "remaps_after_early_inbound", "unsolicited",
             "allocation.policy", "hairpin.works", "lifetime.dead_s", "path.nats_in_series"):
    one, other = a, b
    for key in path.split("."):
        one, other = (one or {}).get(key), (other or {}).get(key)
    untested = path in ("remaps_after_early_inbound", "unsolicited") and None in (one, other)
    near = path == "lifetime.dead_s" and None not in (one, other) and abs(one - other) <= 1
    if one != other and not untested and not near:
        print(f"{path}: {one} became {other}")
P
}

# rebuilt SPEC ASK: measured, rebuilt, measured again
rebuilt() {
	local file=$tmp/$1.json again=$tmp/$1.again said
	# shellcheck disable=SC2016,SC2086 # for the shell in the lab; several words of ASK
	{
		"$netns" "$1" open --no-verify -- ip netns exec alice natprobe --json $2 >"$file"
		said=$("$netns" --profile "$file" open --no-verify -- ip netns exec alice natprobe --json $2 2>&1 >"$again")
	}
	said+=$(alike "$file" "$again" 2>&1)
	if [[ ! $said ]]; then
		ok "the report of $1 is rebuilt as it was"
	else
		bad "the report of $1: $said"
	fi
}

started=0
for spec in open firewall full-cone restricted,ports=sequential port-restricted,hairpin=on symmetric \
	symmetric-sequential symmetric-block address-dependent masquerade,timeout=3s cgnat udp-blocked \
	full-cone,timeout=3s,ports=random restricted,addresses=2 full-cone,ports=random,mapping=address-dependent,filtering=address-and-port-dependent; do
	rebuilt "$spec" '--hairpin --path --lifetime 5' &
	((++started % 5)) || wait # five at once: they mostly wait
done
wait

"$netns" full-cone open --no-verify -- ip netns exec alice natprobe --json >"$tmp/cone.json"
check 'the demonstration takes a report, too' "$netns" --profile "$tmp/cone.json" restricted
sed 's/"filtering":"[a-z-]*"/"filtering":null/' "$tmp/cone.json" >"$tmp/half.json"
refused 'a report with an axis untested is refused' 'filtering untested' --profile "$tmp/half.json" open
echo '{}' >"$tmp/none.json"
refused 'what is no report is refused' 'is not a report of natprobe' --profile "$tmp/none.json" open
refused 'a missing report is refused' 'cannot read' --profile "$tmp/gone.json" open
refused 'masquerade has no other mapping' 'has no mapping that can be overridden' masquerade,mapping=address-dependent open
refused 'a filtering that is none is refused' 'filtering is' full-cone,filtering=open open
