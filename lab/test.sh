#!/usr/bin/env bash
#
# All tests: Rust's, the shell's, and the lab's on the real kernel.
#
#   lab/test.sh            everything; installs what is missing
#   lab/test.sh PATTERN    only the lab's tests whose file name contains PATTERN
#
# Closes with "N passed, N failed"; exit 1 if anything failed, 2 if the tests could not run.

set -o pipefail
lab=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
cd "$lab/.." || exit 2

die() { echo "test.sh: $*" >&2; exit 2; }
install=1
source lab/lib/needs.sh
PATH=$PATH:$HOME/.cargo/bin:/usr/sbin:/sbin

# stage WHAT CMD…: its output only if it fails
stage() {
	local said
	echo "— $1" >&2
	if said=$("${@:2}" 2>&1); then echo "ok    $1"; else printf '%s\n' "$said" "FAIL  $1"; fi
}

crates() {
	has cargo || die 'there is no cargo: install Rust (https://rustup.rs)'
	stage 'cargo fmt' cargo fmt --all --check
	stage 'cargo clippy' cargo clippy --quiet --workspace --all-targets -- -D warnings
	if cargo nextest --version >/dev/null 2>&1; then
		stage 'cargo nextest' cargo nextest run --workspace
	else
		stage 'cargo test' cargo test --quiet --workspace
	fi
}

shell() { stage shellcheck shellcheck -S warning -x lab/*.sh lab/lib/*.sh lab/test/*.sh; }

# labs PATTERN: two files at once, each file's lines together
labs() {
	local file
	[[ ${PINHOLE_BIN:-} ]] || lab/netns.sh open open --no-verify -- true || die 'no lab comes up; lab/netns.sh doctor says why'
	printf '%s\n' lab/test/[0-9]*"$1"*.sh | xargs -P 2 -I{} sh -c 'said=$(bash "$1" 2>&1); printf "%s\n" "— $1" "$said"' sh {}
}

report() {
	local line passed=0 failed=0
	while IFS= read -r line; do
		case $line in
		'ok  '*) ((++passed)) ;;
		'FAIL  '*) ((++failed)) ;;
		esac
		printf '%s\n' "$line"
	done
	printf '%d passed, %d failed\n' $passed $failed
	((failed == 0 && passed > 0))
}

packages building
has python3 || install python3-minimal
has shellcheck || install shellcheck
has ping || install iputils-ping

if [[ ${1-} ]]; then
	compgen -G "lab/test/[0-9]*$1*.sh" >/dev/null || die "no test's name contains \"$1\""
	labs "$1"
else
	crates
	shell
	labs ''
fi | report
