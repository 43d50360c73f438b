#!/usr/bin/env bash
#
# A release: checks, tests, builds, tries what was built, tags. It sends nothing anywhere.
#
#   packaging/release.sh VERSION            all of it, in this order
#   packaging/release.sh --check VERSION    the checks alone, which take a second
#
# VERSION is what Cargo.toml has. The text of the tag is the changelog's part on VERSION.

set -euo pipefail
cd "${BASH_SOURCE[0]%/*}/.."

die() { echo "release.sh: $*" >&2; exit 2; }
wrong=0
no() { echo "release.sh: $*" >&2; wrong=1; }

# news: what the changelog says about the version, without its heading and the links at the end
news() { awk -v head="## [$version]" 'index($0, head) == 1 { on = 1; next } /^## |^\[/ { on = 0 } on' CHANGELOG.md; }

checks() {
	[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$ ]] || die "\"$version\" is not a version, such as 1.2.3 or 1.2.3-rc.1"
	[[ -z $(git status --porcelain) ]] || no 'there are changes that are not committed (git status)'
	! git rev-parse --quiet --verify "refs/tags/v$version" >/dev/null || no "the tag v$version exists: choose the next version"
	local found
	found=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
	[[ $found == "$version" ]] || no "Cargo.toml has version $found: set it to $version, then run cargo check, which updates Cargo.lock"
	found=$(awk '/^name = / { name = $3 } /^version = / { version = $3 } /^dependencies|^$/ { if (name == "\"natprobe\"" && !done++) print version }' Cargo.lock)
	[[ $found == "\"$version\"" ]] || no "Cargo.lock has version ${found:-none} of natprobe: run cargo check, which updates it"
	found=$(grep -LF "\"Pinhole $version\"" packaging/pages/man/*.1) || true
	[[ ! $found ]] || no "man pages of another version: ${found//$'\n'/ }; write them with PINHOLE_UPDATE_PAGES=1 cargo test --workspace pages"
	grep -qF "| $version |" docs/reference/versions.md || no "docs/reference/versions.md does not name $version"
	grep -qE "^## \[${version//./\\.}\] - [0-9]{4}-[0-9]{2}-[0-9]{2}$" CHANGELOG.md ||
		no "CHANGELOG.md has no heading \"## [$version] - $(date +%F)\""
	[[ $(news) == *[[:alnum:]]* ]] || no "CHANGELOG.md says nothing about $version"
	grep -qF "[$version]: " CHANGELOG.md || no "CHANGELOG.md has no link for [$version] at its end"
	((!wrong)) || exit 1
}

only=
[[ ${1-} != --check ]] || { only=1; shift; }
(($# == 1)) || die 'usage: packaging/release.sh [--check] VERSION'
version=$1
checks
[[ ! $only ]] || exit 0
((EUID == 0)) || die 'the tests install packages in clean systems, and need root'
lab/test.sh
packaging/build.sh
packaging/test.sh
packaging/test-service.sh
[[ -z $(git status --porcelain) ]] || die 'the tests or the build have changed files (git status)'
news | git tag --annotate "v$version" --cleanup=whitespace --file=-
echo "release.sh: v$version is tagged, and in target/package is what belongs to it, with SHA256SUMS. Next:
  git push origin v$version, and upload the files of target/package" >&2
