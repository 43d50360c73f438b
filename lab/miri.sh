#!/usr/bin/env bash
#
# Runs the unit tests of the crates that need neither the system nor C under Miri, which reports undefined behaviour.
#
#   lab/miri.sh [CRATE…]
#
# Our own code there has no unsafe block; what is checked is the code of other projects that it calls, on
# the paths that our tests take. Property tests run few cases, because Miri is some hundred times slower.
#
# Not under Miri:
#   nattrace                    libnftnl and libmnl are C; the fuzz target nattrace_message has AddressSanitizer
#   net, cli, natprobe, punch   sockets, ICMP errors and files of the system
#   rendezvous, chat            the same; chat also has ring and BLAKE3, which are assembler and C
#   labreport                   no bytes from the network
#   nat                         arithmetic; its tables of all pairs take Miri too long
#   sim, fuzzing                tests of the others
#   capture                     of its tests, those that decode; the others capture on an interface
#   session, rendezvous-proto   of their tests, those that make few signatures: each takes Miri seconds
#
# Needs: rustup toolchain install nightly --profile minimal --component miri,rust-src
#
# Exit status: 0 nothing found, 1 a test failed or has undefined behaviour, 2 could not run.

cd "${BASH_SOURCE[0]%/*}/.." || exit 2

die() { echo "miri.sh: $*" >&2; exit 2; }

cargo +nightly miri --version >/dev/null 2>&1 ||
	die 'there is no Miri: rustup toolchain install nightly --profile minimal --component miri,rust-src'

# Which tests of a crate: arguments of cargo test.
declare -A which=(
	[stun]='--lib --tests' [sansio]='--lib' [gateway-proto]='--lib' [session]='--lib' [rendezvous-proto]='--lib'
	[discover]='--lib -- axes:: path:: test::' [capture]='--lib -- decode::'
)
crates=("$@")
((${#crates[@]})) || crates=(stun sansio gateway-proto session rendezvous-proto discover capture)
for crate in "${crates[@]}"; do
	[[ -v which[$crate] ]] || die "\"$crate\" is not among the crates that Miri can run: ${!which[*]}"
done

# Property tests look for their file of known failures, and the clock is read by tests.
export MIRIFLAGS='-Zmiri-disable-isolation' PROPTEST_CASES=2 PROPTEST_FAILURE_PERSISTENCE=off
failed=0
for crate in "${crates[@]}"; do
	begun=$SECONDS
	# shellcheck disable=SC2086 # these are words
	if nice cargo +nightly miri test --quiet -p "pinhole-$crate" ${which[$crate]}; then
		echo "ok    $crate, $((SECONDS - begun)) s"
	else
		echo "FAIL  $crate"
		failed=1
	fi
done
exit $failed
