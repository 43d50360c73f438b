# shellcheck shell=bash
# Every ordered pair of types, each in a lab of its own. Several labs run at once, because they mostly wait.

abreast=8

# matrix TYPE…: run all cells, then have labreport show and judge them; the exit code is labreport's
matrix() {
	local kinds=() pairs=() pipes=() pids=() a b i pipe cells format file
	(($#)) || { set -- "${types[@]}"; for a; do read_type "$a"; done; hand_over; }
	for a; do [[ " ${kinds[*]} " == *" $a "* ]] || kinds+=("$a"); done
	for a in "${kinds[@]}"; do
		for b in "${kinds[@]}"; do pairs+=("$a $b"); done
	done
	# not after minutes of work
	for format in "${!outputs[@]}"; do
		file=${outputs[$format]}
		[[ $file == - ]] || { : >>"$file"; } 2>/dev/null || die "cannot write $file; the matrix has not been started"
	done
	# A file without a name, to which each cell appends its line.
	file=$(mktemp) && exec {cells}<>"$file" && rm "$file" || die "cannot make a temporary file"
	[[ ! -t 2 ]] || trap '[[ $BASHPID != $$ ]] || echo >&2' EXIT
	for ((i = 0; i < ${#pairs[@]} + abreast; i++)); do
		if ((i < ${#pairs[@]})); then
			read -r a b <<<"${pairs[i]}"
			# nothing is written to the pipe: it closes when the last process of the lab has ended
			exec {pipe}< <(exec {alive}>&1 >&"$cells"; PINHOLE_STAGE=cell PINHOLE_BIN=$bin exec "${private[@]}" "$self" "$a" "$b" "${options[@]}")
			pipes+=("$pipe") pids+=($!)
		fi
		if ((i >= abreast && i - abreast < ${#pairs[@]})); then
			pipe=${pipes[i - abreast]}
			# ended by Ctrl-C, which bash may lose itself?
			read -rt 120 -u "$pipe" || (($? > 1)) || wait "${pids[i - abreast]}" || (($? != 130)) || exit 130
			exec {pipe}<&-
			[[ ! -t 2 ]] || printf '\r%d of %d' $((i - abreast + 1)) ${#pairs[@]} >&2
		fi
	done
	[[ ! -t 2 ]] || printf '\r\033[K' >&2
	trap - EXIT
	set --
	for format in "${!outputs[@]}"; do set -- "$@" "--$format" "${outputs[$format]}"; done
	labreport matrix --types "${kinds[*]}" "$@" "/dev/fd/$cells"
}

# cell A B: inside; the call, after a measurement of both NATs where the two types are the same
cell() {
	local met compared=''
	build_network
	if [[ $verify && $1 == "$2" ]]; then
		compared=1
		measure
	fi
	meet --json
	judge "$1" "$2" --json
}
