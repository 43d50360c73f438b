#!/usr/bin/env bash
# The package: made from the tools of this run, installed, used and purged in a copy-on-write view of this system.
# packaging/test.sh does the same on clean systems; a release runs that.
source "${BASH_SOURCE[0]%/*}/words.sh"

[[ ${PINHOLE_BIN:-} ]] || export PINHOLE_BIN=${test%/*/*}/target/release
root=${test%/*/*}
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
export PINHOLE_PACKAGES=$tmp/package
source "$root/lab/lib/needs.sh"
die() { bad "$*"; exit 1; }
lab=$root/lab
owner || die "$why" # cargo's, whose view of Cargo.lock the SBOM is

check 'shellcheck of packaging' shellcheck -S warning "$root"/packaging/*.sh "$root"/packaging/deb/p*
if ((EUID)); then
	echo 'note  the package was not built and tried: that needs root'
else
	check 'the package is built' "$root/packaging/build.sh" "$(uname -m)"
	"$root/packaging/test.sh" --here || bad 'packaging/test.sh --here did not succeed'
fi

check 'the SBOM lists what chat links, with checksums, and no dependency of a build script alone' "${as[@]}" python3 - "$root" <<'P'
import json, subprocess, sys
bom = json.loads(subprocess.check_output([sys.executable, f"{sys.argv[1]}/packaging/sbom.py"]))
parts = {part["name"]: part for part in bom["components"]}
assert bom["bomFormat"] == "CycloneDX" and {"chat", "quinn", "ring", "libnftnl"} <= set(parts), sorted(parts)
assert len(parts["ring"]["hashes"][0]["content"]) == 64, parts["ring"]
assert not {"cc", "serde_derive", "proptest", "clap_mangen"} & set(parts), sorted(parts)
references = {part["bom-ref"] for part in bom["components"]} | {"pinhole"}
assert all({edge["ref"], *edge["dependsOn"]} <= references for edge in bom["dependencies"])
P

# release.sh --check, on a copy that is ready for a release, and then has one fault after the other
git() { command git -C "$tmp/copy" -c user.name=test -c user.email=test@localhost "$@"; }
ready() {
	rm -rf "$tmp/copy"
	mkdir "$tmp/copy" && cp -r "$root"/{Cargo.toml,Cargo.lock,CHANGELOG.md,packaging,docs} "$tmp/copy"
	sed -i "s/^## \[Unreleased\]/## [$version] - 2026-01-02/; s/^\[Unreleased\]:/[$version]:/" "$tmp/copy/CHANGELOG.md"
	git init --quiet && git add --all && git commit --quiet --message 'A copy'
}
# fault WHAT PATTERN COMMAND: after COMMAND, in the copy, the check must say PATTERN
fault() {
	local said
	ready
	(cd "$tmp/copy" && eval "$3" && { [[ $1 == *'not committed'* ]] || git commit --quiet --all --message fault || true; }) >/dev/null
	if said=$("$tmp/copy/packaging/release.sh" --check "$version" 2>&1); then
		bad "a release is refused: $1: it was not"
	elif [[ $said == *"$2"* && $(wc -l <<<"$said") == 1 ]]; then
		ok "a release is refused: $1"
	else
		bad "a release is refused: $1: ${said//$'\n'/; }"
	fi
}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$root/Cargo.toml")
ready
check 'a release of a tree that is ready passes its checks' "$tmp/copy/packaging/release.sh" --check "$version"
fault 'a change that is not committed' 'not committed' 'echo >>CHANGELOG.md'
fault 'a tag that exists' 'exists: choose the next' "git tag v$version"
fault 'another version in Cargo.toml' 'Cargo.toml has version 9.9.9' "sed -i 's/^version = .*/version = \"9.9.9\"/' Cargo.toml"
fault 'another version in Cargo.lock' 'Cargo.lock has version' "sed -i '/^name = \"natprobe\"/{n; s/= .*/= \"9.9.9\"/}' Cargo.lock"
fault 'a man page of another version' 'chat.1' "sed -i 's/Pinhole [0-9.]*/Pinhole 9.9.9/' packaging/pages/man/chat.1"
fault 'another version on the page about versions' 'versions.md does not name' "sed -i 's/| $version |/| 9.9.9 |/' docs/reference/versions.md"
fault 'a changelog without the date' 'has no heading' "sed -i 's/ - 2026-01-02//' CHANGELOG.md"
fault 'a changelog without a link' 'has no link' "sed -i '/^\[$version\]: /d' CHANGELOG.md"
