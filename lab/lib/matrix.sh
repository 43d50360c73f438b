# shellcheck shell=bash
# Every ordered pair, each in a lab of its own, several at once because they mostly wait.

abreast=8

# matrix TYPE…: a table for people, a file for programs; 1 if any cell is not as expected
matrix() {
	local kinds=("$@") pairs=() pipes=() pids=() cells=() a b i cell pipe
	(($#)) || kinds=("${types[@]}")
	for a in "${kinds[@]}"; do
		read_type "$a"
		for b in "${kinds[@]}"; do pairs+=("$a $b"); done
	done
	# not after minutes of work
	[[ ! $json || $json == - ]] || { : >>"$json"; } 2>/dev/null || die "cannot write $json; the matrix has not been started"
	[[ ! -t 2 ]] || trap '[[ $BASHPID != $$ ]] || echo >&2' EXIT
	for ((i = 0; i < ${#pairs[@]} + abreast; i++)); do
		if ((i < ${#pairs[@]})); then
			read -r a b <<<"${pairs[i]}"
			exec {pipe}< <(PINHOLE_STAGE=cell PINHOLE_BIN=$bin exec "${private[@]}" "$self" "$a" "$b" "${options[@]}")
			pipes+=("$pipe") pids+=($!)
		fi
		if ((i >= abreast && i - abreast < ${#pairs[@]})); then
			cell=
			pipe=${pipes[i - abreast]}
			# ended by Ctrl-C, which bash may lose itself?
			IFS= read -rt 120 -u "$pipe" cell || (($? > 1)) || wait "${pids[i - abreast]}" || (($? != 130)) || exit 130
			exec {pipe}<&-
			cells+=("$cell")
			[[ ! -t 2 ]] || printf '\r%d of %d' ${#cells[@]} ${#pairs[@]} >&2
		fi
	done
	[[ ! -t 2 ]] || printf '\r\033[K' >&2
	trap - EXIT
	case $json in
	'') drawn "${kinds[@]}" ;;
	-) written; judged >&2; return ;;
	*)
		(written >"$json") 2>/dev/null || die "cannot write $json: is the disk full?"
		drawn "${kinds[@]}" ;;
	esac
	judged
}

# cell A B: inside; both types measured where they meet themselves, then the call
cell() {
	local expected why got how elapsed cause object lines met measured=
	build_network
	if [[ $verify && $1 == "$2" ]]; then
		measured=',"as_asked":true'
		json=1 measure "$1" "$2" >"$room/measured" || measured=',"as_asked":false'
		mapfile -t lines <"$room/measured"
		measured+=",\"measured\":[${lines[0]},${lines[1]}]"
	fi
	foretold "$1" "$2"
	meet 6 --json
	outcome "$1" "$2"
	say '%s\n' "${object%\}}$measured}"
}

# written: all cells as one object
written() {
	local i
	say '{"cells": [\n'
	for i in "${!cells[@]}"; do
		((i == 0)) || say ',\n'
		say '%s' "${cells[i]:-null}"
	done
	say '\n]}\n'
}

# drawn TYPE…: alice's types down, bob's across, by number if there are many; "!" marks a surprise
drawn() {
	local a b i=0 n=0 got width=8 label=21 across=("$@")
	(($# > 6)) && across=("${!across[@]}")
	for a; do ((${#a} + 2 <= label)) || label=$((${#a} + 2)); done
	for b in "${across[@]}"; do ((${#b} + 2 <= width)) || width=$((${#b} + 2)); done
	say "%-$((label + 5))s" 'alice ╲ bob'
	say "%-${width}s" "${across[@]}"
	say '\n'
	for a; do
		say "%2d %-${label}s" $((n++)) "$a"
		for b; do
			field got "${cells[i]}"
			got=${field:-no call}
			[[ ${cells[i]} ]] || got='no lab'
			field expected "${cells[i++]}"
			[[ $got == "$field" ]] || got+='!'
			say "%-${width}s" "$got"
		done
		say '\n'
	done
	say '\n'
}

# judged: a line for every surprise and for every cause of failure, and the sum
judged() {
	local cell flat got expected a b cause key wrong=0 connected=0 lost=0
	local -A failed=()
	for cell in "${cells[@]}"; do
		flat=${cell%%,\"punch\":*} # the reports behind it have keys of their own
		for key in a b got expected cause; do
			field $key "$flat"
			printf -v $key %s "$field"
		done
		cause=${cause:-no cause}
		[[ $got != @(lan|direct|relay) ]] || ((++connected))
		if [[ ! $cell ]]; then
			((++lost, ++wrong))
		elif [[ ! $got ]]; then
			echo "NO CALL: $a × $b: alice's punch could not tell: ${cause#punch: }"
			((++wrong))
		elif [[ $got != "$expected" ]]; then
			echo "SURPRISE: $a × $b: $got, expected was $expected ($cause)"
			((++wrong))
		elif [[ $got == failed ]]; then
			failed[$cause]+=", $a × $b"
		fi
		if [[ $cell == *'"as_asked":false'* ]]; then
			echo "NOT AS ASKED: $a measures otherwise; see: $0 $a $a"
			((++wrong))
		fi
	done
	for cause in "${!failed[@]}"; do
		echo "$cause, as expected: ${failed[$cause]#, }"
	done
	((lost == 0)) || echo "$lost labs did not come up"
	echo "$connected of ${#cells[@]} pairs connect; $wrong not as expected"
	((lost < ${#cells[@]})) || return 2
	((wrong == 0))
}
