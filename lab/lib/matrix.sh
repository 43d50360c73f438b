# shellcheck shell=bash
# Every ordered pair of types, each in a lab of its own. Several labs run at once, because they mostly wait.

# matrix's: the labs in the order of their start: pipe, process, start in µs; how many have come up, and have ended; how
# many may run at once
pipes=() pids=() started=() raised=0 ended=0 cores=$(nproc)

# adapt: wait until the next lab is up, and set $abreast. A lab waits for half a second, whatever the machine, and
# computes for the rest of its time. How long it takes to come up shows how fast it computes, beside the others.
adapt() {
	local up most=32
	read -rt $patience -u "${pipes[raised]}" up && ((up -= started[raised], up > 0)) || up=1000000 # µs
	abreast=$((cores * (up + 500000) / up))
	[[ ! -e $conntrack ]] || most=$(($(<$conntrack) / tracked))
	((abreast <= most)) || abreast=$((most ? most : 1))
	((++raised))
}

# next: wait until the next lab has ended
next() {
	local pipe=${pipes[ended]} line code
	while :; do
		read -rt 120 -u "$pipe" line # when it came up, if adapt has not read it
		code=$?
		((code)) || continue
		# ended by Ctrl-C, which bash may lose itself?
		((code > 1)) || wait "${pids[ended]}" || (($? != 130)) || exit 130
		((code == 1)) || echo "netns.sh: the lab of ${pairs[ended]/ / × } has not ended within 120 s" >&2
		break
	done
	exec {pipe}<&-
	((++ended))
	((raised >= ended)) || raised=$ended
	[[ ! -t 2 ]] || printf '\r%d of %d' $ended ${#pairs[@]} >&2
}

# matrix TYPE…: run all cells, then have labreport show and judge them; the exit code is labreport's
matrix() {
	local kinds=() pairs=() a b i pipe cells format file abreast=$cores
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
	"${private[@]}" true || die "no lab: $(refusal)"
	# A file without a name, to which each cell appends its line.
	file=$(mktemp) && exec {cells}<>"$file" && rm "$file" || die "cannot make a temporary file"
	[[ ! -t 2 ]] || trap '[[ $BASHPID != $$ ]] || echo >&2' EXIT
	for i in "${!pairs[@]}"; do
		until ((i - ended < abreast)); do
			if ((raised < i)); then adapt; else next; fi
		done
		read -r a b <<<"${pairs[i]}"
		started[i]=${EPOCHREALTIME//[!0-9]/}
		# The lab writes to this pipe when it is up. The pipe closes when the last process of the lab has ended.
		exec {pipe}< <(exec {up}>&1 >&"$cells"; PINHOLE_STAGE=cell PINHOLE_UP=$up PINHOLE_BIN=$bin exec "${private[@]}" "$self" "$a" "$b" "${options[@]}")
		pipes+=("$pipe") pids+=($!)
	done
	while ((ended < ${#pairs[@]})); do next; done
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
	echo "${EPOCHREALTIME//[!0-9]/}" >&"$PINHOLE_UP"
	if [[ $verify && $1 == "$2" ]]; then
		compared=1
		measure
	fi
	meet --json
	judge "$1" "$2" --json
}
