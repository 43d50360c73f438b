#!/usr/bin/env bash
#
# Fuzzes the parsers and the state machines, with AddressSanitizer.
#
#   lab/fuzz.sh MINUTES [TARGET…]    run each target (by default all) for MINUTES
#   lab/fuzz.sh keep [TARGET…]       put what was found worth keeping into fuzz/corpus
#   lab/fuzz.sh list                 the targets
#
# As many targets run at once as the machine has cores (FUZZ_JOBS sets another number), at the lowest
# priority. What a run has learned stays in fuzz/target/corpus, and the next run begins with it. A
# finding stays in fuzz/artifacts, with the command that shows it again.
#
# Needs Rust's nightly toolchain and cargo-fuzz:
#   rustup toolchain install nightly --profile minimal
#   cargo install --locked cargo-fuzz
#
# Exit status: 0 nothing found, 1 findings, 2 could not run.

cd "${BASH_SOURCE[0]%/*}/.." || exit 2
export LC_ALL=C

die() { echo "fuzz.sh: $*" >&2; exit 2; }

# The most that the committed corpus of one target may have: files and bytes.
most_files=48 most_bytes=14000

all=()
for file in fuzz/fuzz_targets/*.rs; do
	file=${file##*/}
	all+=("${file%.rs}")
done

what=${1-}
targets=("${@:2}")
((${#targets[@]})) || targets=("${all[@]}")
for target in "${targets[@]}"; do
	[[ " ${all[*]} " == *" $target "* ]] || die "no target \"$target\"; the targets are ${all[*]}"
done
case $what in
list) printf '%s\n' "${all[@]}"; exit ;;
keep) seconds=0 ;;
*)
	[[ $what =~ ^[0-9]+(\.[0-9]+)?$ ]] || die "MINUTES is a number: lab/fuzz.sh MINUTES [TARGET…], lab/fuzz.sh keep [TARGET…] or lab/fuzz.sh list"
	seconds=$(awk -v minutes="$what" 'BEGIN { printf "%d", minutes * 60 + 0.5 }')
	((seconds > 0)) || die "MINUTES is more than 0"
	;;
esac

cargo +nightly --version >/dev/null 2>&1 ||
	die 'there is no nightly Rust: rustup toolchain install nightly --profile minimal'
cargo +nightly fuzz --version >/dev/null 2>&1 ||
	die 'there is no cargo-fuzz: cargo install --locked cargo-fuzz'

# The versions of the workspace; cargo adds those of libFuzzer.
mkdir -p fuzz/target && cp Cargo.lock fuzz/Cargo.lock || exit 2
bin=fuzz/target/x86_64-unknown-linux-gnu/release
bin=${bin/x86_64/$(uname -m)}
echo 'building the targets with AddressSanitizer' >&2
cargo +nightly fuzz build --sanitizer=address >/dev/null 2>fuzz/target/build.log ||
	{ tail -n 40 fuzz/target/build.log >&2; die 'the targets do not build; fuzz/target/build.log has all'; }

# learned TARGET: the folders of its inputs: the one that grows, then the committed one
learned() {
	mkdir -p "fuzz/target/corpus/$1" "fuzz/corpus/$1" "fuzz/artifacts/$1"
	echo "fuzz/target/corpus/$1" "fuzz/corpus/$1"
}

# fuzz TARGET: one run; its log is fuzz/target/logs/TARGET
fuzz() {
	local folders leaks=1
	read -ra folders < <(learned "$1")
	# nattrace does not free what libnftnl would free twice
	[[ $1 != nattrace_message ]] || leaks=0
	nice -n 19 "$bin/$1" -max_total_time="$seconds" -artifact_prefix="fuzz/artifacts/$1/" -print_final_stats=1 \
		-detect_leaks=$leaks -rss_limit_mb=2048 -timeout=25 -max_len=4096 "${folders[@]}" >"fuzz/target/logs/$1" 2>&1
	echo "$?" >"fuzz/target/logs/$1.exit"
}

# row TARGET: its line of the table
row() {
	local log=fuzz/target/logs/$1
	awk -v target="$1" -v code="$(cat "$log.exit")" '
		/ cov: / { for (i = 1; i < NF; i++) { if ($i == "cov:") cov = $(i + 1); if ($i == "corp:") corpus = $(i + 1) } }
		/INITED/ { for (i = 1; i < NF; i++) if ($i == "cov:") first = $(i + 1) }
		/^stat::number_of_executed_units/ { runs = $2 }
		END { printf "%-20s %12d %12d %12d %18s %9s\n", target, runs, cov, cov - first, corpus, code ? "FOUND" : "none" }
	' "$log"
}

# finding TARGET: what was found, and the command that shows it again
finding() {
	local log=fuzz/target/logs/$1 input
	[[ $(cat "$log.exit") != 0 ]] || return 0
	echo "$1: $(grep -m 1 -E 'panicked at|ERROR: |SUMMARY: ' "$log")"
	grep -m 1 -A 1 'panicked at' "$log" | tail -n 1
	input=$(grep -o -m 1 'fuzz/artifacts/[a-z_]*/[a-z]*-[0-9a-f]*' "$log")
	echo "  cargo +nightly fuzz run $1 ${input:-(no input; see $log)}"
	echo "  then keep the input as a case: cp ${input:-INPUT} fuzz/corpus/$1/WHAT-IT-IS; cargo test -p pinhole-fuzzing"
}

# keep TARGET: the smallest set of inputs that covers what all known inputs cover, within the bounds.
# A file whose name is not a hash is a case that once failed, and stays.
keep() {
	local folders fresh=fuzz/target/kept/$1 committed=fuzz/corpus/$1 file files=0 bytes=0 size
	read -ra folders < <(learned "$1")
	rm -rf "$fresh" && mkdir -p "$fresh" || return
	nice -n 19 "$bin/$1" -set_cover_merge=1 -max_len=4096 "$fresh" "${folders[@]}" >"fuzz/target/logs/$1.keep" 2>&1 ||
		{ echo "$1: the inputs could not be merged; see fuzz/target/logs/$1.keep"; return 1; }
	find "$committed" -type f -regextype posix-extended -regex '.*/[0-9a-f]{40}' -delete
	while read -r size file; do
		((files < most_files && bytes + size <= most_bytes)) || continue
		((files += 1, bytes += size))
		cp "$file" "$committed/"
	done < <(find "$fresh" -type f -printf '%s %p\n' | sort -n)
	echo "$1: $files inputs, $bytes bytes"
}

mkdir -p fuzz/target/logs
jobs=${FUZZ_JOBS:-$(nproc)}

# at_once WORD: WORD TARGET for each target, so many at a time
at_once() {
	local target
	for target in "${targets[@]}"; do
		while (($(jobs -rp | wc -l) >= jobs)); do wait -n; done
		"$1" "$target" &
	done
	wait
}

if [[ $what == keep ]]; then
	at_once keep
	du -sb fuzz/corpus | awk '{ print "all: " $1 " bytes" }'
	exit
fi
trap 'kill $(jobs -p) 2>/dev/null' EXIT
at_once fuzz
printf '%-20s %12s %12s %12s %18s %9s\n' target executions coverage 'new' 'corpus' findings
for target in "${targets[@]}"; do row "$target"; done
found=0
for target in "${targets[@]}"; do
	[[ $(cat "fuzz/target/logs/$target.exit") == 0 ]] || found=1
	finding "$target"
done
exit $found
