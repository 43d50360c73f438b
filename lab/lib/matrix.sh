# shellcheck shell=bash
# Every ordered pair, each in a lab of its own, several at once because they mostly wait.

abreast=8

# matrix TYPE…: a table for people, a file for programs; 1 if any cell is not as expected
matrix() {
	local kinds=("$@") pairs=() pipes=() cells=() a b i cell pipe
	(($#)) || kinds=("${types[@]}")
	for a in "${kinds[@]}"; do
		read_type "$a"
		for b in "${kinds[@]}"; do pairs+=("$a $b"); done
	done
	for ((i = 0; i < ${#pairs[@]} + abreast; i++)); do
		if ((i < ${#pairs[@]})); then
			read -r a b <<<"${pairs[i]}"
			exec {pipe}< <(PINHOLE_STAGE=cell PINHOLE_BIN=$bin private "$self" "$a" "$b" "${options[@]}")
			pipes+=("$pipe")
		fi
		if ((i >= abreast && i - abreast < ${#pairs[@]})); then
			cell=
			pipe=${pipes[i - abreast]}
			IFS= read -rt 120 -u "$pipe" cell
			exec {pipe}<&-
			cells+=("$cell")
			[[ ! -t 2 ]] || printf '\r%d of %d' ${#cells[@]} ${#pairs[@]} >&2
		fi
	done
	[[ ! -t 2 ]] || printf '\r\033[K' >&2
	[[ ! $json ]] || written >"${json/#-//dev/stdout}" || die "cannot write $json"
	[[ $json == - ]] || drawn "${kinds[@]}"
	judged
}

# cell A B: inside; both types measured where they meet themselves, then the call
cell() {
	local expected why got how from to elapsed cause object measured=
	build_network
	if [[ $verify && $1 == "$2" ]]; then
		measured=',"as_asked":true'
		json=1 measure "$1" "$2" >"$room/measured" || measured=',"as_asked":false'
		mapfile -t lines <"$room/measured"
		measured+=",\"measured\":[${lines[0]},${lines[1]}]"
	fi
	foretold "$1" "$2"
	meet 2
	outcome "$1" "$2"
	echo "${object%\}}$measured}"
}

# outcome A B: what alice's punch says, into the variables of the caller and as $object
outcome() {
	local said
	said=$(<"$room/alice.json")
	field result "$said" && got=${field:-failed}
	field strategy "$said" && how=$field
	field local "$said" && from=$field
	field remote "$said" && to=$field
	field elapsed_ms "$said" && elapsed=${field:-0}
	cause=
	[[ $said =~ \"cause\":\ *(\{[^}]*\}) ]] && field code "${BASH_REMATCH[1]}" && cause=$field
	printf -v object '{"a":"%s","b":"%s","expected":"%s","got":"%s","how":"%s","elapsed_ms":%s,"cause":%s,"punch":%s}' \
		"$1" "$2" "$expected" "$got" "$how" "$elapsed" "${cause:+\"}${cause:-null}${cause:+\"}" "${said:-null}"
}

# written: all cells as one object
written() {
	local i
	printf '{"cells": [\n'
	for i in "${!cells[@]}"; do
		((i == 0)) || printf ',\n'
		printf '%s' "${cells[i]:-null}"
	done
	printf '\n]}\n'
}

# drawn TYPE…: alice's types down, bob's across; a surprise shows what was expected
drawn() {
	local a b i=0 got how width=12 text
	for a; do ((${#a} + 2 > width)) && width=$((${#a} + 2)); done
	printf "%-${width}s" 'alice ╲ bob'
	printf "%-${width}s" "$@"
	echo
	for a; do
		printf "%-${width}s" "$a"
		for b; do
			field got "${cells[i]}" && got=${field:-no lab}
			field expected "${cells[i]}"
			text=$got
			[[ $got == "$field" ]] || text="$got!"
			printf "%-${width}s" "$text"
			((++i))
		done
		echo
	done
	echo
}

# judged: every cell that failed or surprised, on a line, and the sum
judged() {
	local cell got expected how a b wrong=0 connected=0 text
	for cell in "${cells[@]}"; do
		for text in a b got expected how; do
			field $text "$cell" && printf -v $text %s "$field"
		done
		text=$(sed -n 's/.*"cause":"\([A-Z_]*\)".*/\1/p' <<<"$cell")
		[[ $got == failed ]] || ((++connected))
		if [[ -z $cell ]]; then
			echo "a lab did not come up"
			((++wrong))
		elif [[ $got != "$expected" ]]; then
			echo "SURPRISE: $a × $b: $got${text:+ ($text)}, expected was $expected"
			((++wrong))
		elif [[ $got == failed ]]; then
			echo "$a × $b: failed as expected${text:+ ($text)}"
		fi
		if [[ $cell == *'"as_asked":false'* ]]; then
			echo "NOT AS ASKED: $a measures otherwise; see: $0 $a $a"
			((++wrong))
		fi
	done
	echo "$connected of ${#cells[@]} pairs connect; $wrong not as expected"
	((wrong == 0))
}
