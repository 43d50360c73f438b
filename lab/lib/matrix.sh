# shellcheck shell=bash
# Every ordered pair, each in a lab of its own, several at once because they mostly wait.

abreast=8

# matrix TYPE…: runs all pairs, and lets labreport show and judge them
matrix() {
	local kinds=("$@") pairs=() pipes=() pids=() cells=() a b i cell pipe file
	(($#)) || kinds=("${types[@]}")
	for a in "${kinds[@]}"; do
		read_type "$a"
		for b in "${kinds[@]}"; do pairs+=("$a $b"); done
	done
	# not after minutes of work
	for file in "${files[@]}"; do
		[[ $file == - ]] || { : >>"$file"; } 2>/dev/null || die "cannot write $file; the matrix has not been started"
	done
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
			read -r a b <<<"${pairs[i - abreast]}"
			cells+=("a=$a"$'\t'"b=$b"$'\t'"${cell:-lost:=true}")
			[[ ! -t 2 ]] || printf '\r%d of %d' ${#cells[@]} ${#pairs[@]} >&2
		fi
	done
	[[ ! -t 2 ]] || printf '\r\033[K' >&2
	trap - EXIT
	{
		for a in "${kinds[@]}"; do record "${heads[$a]}"; done
		printf '%s\n' "${cells[@]}"
	} | "$bin/labreport" matrix "${spend[@]}" "${formats[@]}"
}

# cell A B: inside; both types measured where they meet themselves, then the call. One line for labreport.
cell() {
	local who said measured=()
	build_network
	if [[ $verify && $1 == "$2" ]]; then
		probe
		for who in alice bob; do measured+=("measured_$who:=$(<"$room/$who.nat")"); done
	fi
	meet --json
	last_line "$room/alice.log"
	record "punch:=$(<"$room/alice.out")" "log=$said" "${measured[@]}"
}
