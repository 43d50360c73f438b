#!/usr/bin/env bash
#
# All tests: Rust's, the shell's, and the lab's on the real kernel.
#
#   lab/test.sh            everything; installs what is missing
#   lab/test.sh PATTERN    only the lab's tests whose file name contains PATTERN
#
# With sudo, the lab's tests run as root and cargo as the user behind it, so that target/ stays theirs.
# Closes with "N passed, N failed"; exit 1 if anything failed, 2 if the tests, or some, could not run.

lab=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
cd "$lab/.." || exit 2

die() { echo "test.sh: $*" >&2; exit 2; }
install=1
source lab/lib/needs.sh || exit 2
PATH=$PATH:/usr/sbin:/sbin

# halt WHY: no further tests; report says so and exits 2
halt() { printf 'HALT  %s\n' "$*"; exit; }

# stage WHAT CMD…: its output only if it fails
stage() {
	local start=$SECONDS
	if "${@:2}" >"$tmp/stage" 2>&1; then
		echo "ok    $1" >"$tmp/stage"
	else
		echo "FAIL  $1" >>"$tmp/stage"
	fi
	shown "$tmp/stage" "$1" $((SECONDS - start))
}

# shown FILE WHAT SECONDS: print the file, whose lines are not mixed with those of others that run meanwhile
shown() {
	# shellcheck disable=SC2016 # for the other shell
	flock "$tmp/lock" sh -c 'printf "— %s, %s s\n" "$2" "$3"; cat "$1"' sh "$@"
}

# rust: what cargo's stages need
rust() {
	local part why missing want
	want=$(rust_for_all)
	lacking building
	owner || die "$why"
	for part in fmt clippy; do
		"${as[@]}" cargo $part --version >/dev/null 2>&1 || die "there is no cargo $part: rustup component add ${part/fmt/rustfmt}"
	done
}

# oldest RUST TOOL…: the oldest Rust that these tools take, as they say, builds them. Where rustup does not have it and
# does not get it, a line says that this was not tested.
oldest() {
	local have packages=("${@:2}")
	packages=("${packages[@]/#/--package=}")
	have=$("${as[@]}" cargo --version | cut -d' ' -f2)
	[[ $have != "$1".* ]] || return 0 # everything else here tests it
	if "${as[@]}" rustup run "$1" cargo --version >/dev/null 2>&1 ||
		"${as[@]}" timeout 120 rustup toolchain install "$1" --profile minimal --no-self-update >/dev/null 2>&1; then
		stage "cargo check with Rust $1: ${*:2}" "${as[@]}" "RUSTUP_TOOLCHAIN=$1" cargo check --quiet "${packages[@]}"
	else
		echo "note  not tested: Rust $1, the oldest for ${*:2}: rustup does not get it, and cargo $have is here"
	fi
}

# crates: beside the lab's tests, which do not wait for it
crates() {
	renice -n 19 -p "$BASHPID" >/dev/null
	trap - INT # which bash ignores in the background
	oldest "$(rust_for_lab)" "${tools[@]}"
	oldest "$(rust_for_all)" chat
	stage 'cargo fmt' "${as[@]}" cargo fmt --all --check
	stage 'cargo clippy' "${as[@]}" cargo clippy --quiet --workspace --all-targets -- -D warnings
	stage 'cargo test --doc' "${as[@]}" cargo test --quiet --workspace --doc
	! "${as[@]}" unshare --user --map-root-user --net true 2>/dev/null || { tested "${as[@]}"; return; }
	# some tests make namespaces: as root, then, in folders of its own
	((EUID == 0)) || halt 'no private namespaces, which some tests of the crates need: run this with sudo'
	local apart
	apart=$(mktemp -d) && trap 'rm -rf "$apart"' EXIT
	tested env "PATH=$home/.cargo/bin:$PATH" "RUSTUP_HOME=${RUSTUP_HOME:-$home/.rustup}" \
		"CARGO_HOME=$apart/home" "CARGO_TARGET_DIR=$apart/target"
}

# tested ENV…: the crates' tests, with these words before cargo
tested() {
	if "$@" cargo nextest --version >/dev/null 2>&1; then
		stage 'cargo nextest' "$@" cargo nextest run --workspace
	else
		stage 'cargo test' "$@" cargo test --quiet --workspace
	fi
}

shell() { stage shellcheck shellcheck -S warning -x lab/*.sh lab/lib/*.sh lab/test/*.sh lab/bin/*; }

# labs FILE…: two files a core at once, because they mostly wait
labs() {
	lab/netns.sh open open --no-verify -- true || halt 'no lab comes up; lab/netns.sh doctor says why'
	# the lab builds what it needs itself, and these are not among it
	if [[ ! ${PINHOLE_BIN-} ]]; then
		owner && "${as[@]}" cargo build --release --quiet --package=chat || halt 'chat does not build'
		"${as[@]}" cargo build --release --quiet --package=pinhole-net --features=gateway --example=lease || halt 'the lease does not build'
	fi
	export tmp
	export -f shown
	# shellcheck disable=SC2016 # for the other shell
	printf '%s\n' "$@" | xargs -P $((2 * $(nproc))) -I{} bash -c '
		file=$tmp/${1##*/}
		bash "$1" >"$file" 2>&1
		shown "$file" "$1" $SECONDS' - {}
}

report() {
	local line passed=0 failed=0 halted=
	while IFS= read -r line; do
		case $line in
		'ok  '*) ((++passed)) ;;
		'FAIL  '*) ((++failed)) ;;
		'HALT  '*) halted=${line#HALT  }; continue ;;
		esac
		printf '%s\n' "$line"
	done
	((passed + failed > 0)) || halted=${halted:-nothing was tested}
	printf '%d passed, %d failed%s\n' $passed $failed "${halted:+, and not all could run: $halted}"
	[[ ! $halted ]] || exit 2
	((failed == 0))
}

# those that take a minute and more come first, or the last of them would run alone
long=(lab/test/{80-chat,72-prober,90-mutants,76-profile,67-punch,60-tools,74-further,78-port-mapping}.sh)
files=()
for file in "${long[@]}" lab/test/[0-9]*.sh; do
	[[ ! -e $file || ${file##*/} != *"${1-}"* || " ${files[*]} " == *" $file "* ]] || files+=("$file")
done
[[ ${1-} != -* ]] || die "there are no options; $0 [PATTERN]"
(($# < 2)) || die "one pattern, or none: $0 [PATTERN]"
((${#files[@]})) || die "no test's name contains \"$1\"; there are $(cd lab/test && echo [0-9]*.sh)"

[[ ${1-} ]] || rust # before anything is installed
packages building
has python3 && python3 -c 'import ctypes, json' 2>/dev/null || install python3 # python3-minimal lacks them
[[ ${1-} ]] || has shellcheck || install shellcheck
has ping || install iputils-ping
has conntrack || install conntrack
python3 -c 'import jsonschema' 2>/dev/null || install python3-jsonschema

tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT || die 'cannot make a temporary folder'
{
	[[ ${1-} ]] || { crates; shell; } &
	(labs "${files[@]}")
	wait
} | report
