# shellcheck shell=bash
# Every ordered pair of types, each in a lab of its own: punch is run in it, or a command. Several labs run at once,
# because they mostly wait.

# grid's: each lab that runs, number → the pipe that closes when its last process has ended; number → process, start in
# µs; how many have ended; how many may run at once; when something happened last
declare -gA live=()
pids=() started=() ended=0 cores=$(nproc) abreast=$cores since=0

# adapt µs: set $abreast from how long a lab took to come up. A lab waits for half a second, whatever the machine, and
# computes for the rest of its time. How long it takes to come up shows how fast it computes, beside the others.
adapt() {
	local up=$1 most=32
	[[ ! $jobs ]] || return
	((up > 0)) || up=1
	abreast=$((cores * (up + 500000) / up))
	[[ ! -e $conntrack ]] || most=$(($(<$conntrack) / tracked))
	((abreast <= most)) || abreast=$((most ? most : 1))
}

# event: wait until a lab is up, or has ended
event() {
	local what i time allowed=$((120 + ${limit:-0}))
	if read -rt 1 -u "$events" what i time; then
		since=$SECONDS
		if [[ $what == up ]]; then adapt $((time - started[i])); else gone "$i"; fi
		return
	fi
	# one that was killed has not said that it ends
	for i in "${!live[@]}"; do
		! read -rt 0 -u "${live[$i]}" || gone "$i"
	done
	((SECONDS - since > allowed)) || return
	for i in "${!live[@]}"; do
		echo "$me: the lab of ${pairs[i]/ / × } has not ended within $allowed s" >&2
		forget "$i"
	done
}

# gone NUMBER: this lab has ended, or is about to
gone() {
	[[ ${live[$1]-} ]] || return 0
	read -rt $patience -u "${live[$1]}" # until the pipe closes
	wait "${pids[$1]}"
	# ended by Ctrl-C, which bash may lose itself
	(($? != 130)) || exit 130
	forget "$1"
}

forget() {
	local pipe=${live[$1]}
	exec {pipe}<&-
	unset "live[$1]"
	((++ended))
	[[ ! -t 2 ]] || printf '\r\033[K%d of %d%s' $ended ${#pairs[@]} "$(left)" >&2
}

# left: about how long the rest takes, once a round of labs has ended
left() {
	local spent=$((SECONDS - begun)) rest=$((${#pairs[@]} - ended))
	((ended < abreast || spent < 2 || rest == 0)) || echo ", about $(duration $(((spent * rest + ended - 1) / ended))) left"
}

# duration SECONDS: in words
duration() {
	if (($1 < 100)); then echo "$1 s"; else echo "$((($1 + 30) / 60)) min"; fi
}

# foretold: how many labs a matrix has, and about how long they take
foretold() {
	local pair labs=$((${jobs:-$((3 * cores))})) tenths=0
	if ((${#command[@]})); then
		echo "$me: ${#pairs[@]} runs, each in a lab of its own, of up to $limit s each" >&2
		return
	fi
	# a lab measures and punches for 0.7 s; one without a way tries to the end
	for pair in "${pairs[@]}"; do
		if [[ $pair == *udp-blocked* ]]; then ((tenths += 10 * tries + 7)); else ((tenths += 7)); fi
	done
	((labs <= ${#pairs[@]})) || labs=${#pairs[@]}
	echo "$me: ${#pairs[@]} pairs, each in a lab of its own: about $(duration $((tenths / 10 / labs + 1))) with $labs labs at once" >&2
}

# matrix TYPE…: every ordered pair of these types
matrix() {
	local kinds=() pairs=() a b
	(($#)) || { set -- "${types[@]}"; for a; do read_type "$a"; done; hand_over; }
	for a; do [[ " ${kinds[*]} " == *" $a "* ]] || kinds+=("$a"); done
	for a in "${kinds[@]}"; do
		for b in "${kinds[@]}"; do pairs+=("$a $b"); done
	done
	grid told --types "${kinds[*]}"
}

# pair A B: the command alone, between these two
pair() {
	local pairs=("$1 $2")
	grid yes --types "$1" --columns "$2"
}

# grid WANT OPTION…: run all cells of $pairs, $runs times each, then have labreport show and judge them; the exit code is
# labreport's. WANT is what a command without --strict has to do for an exit code of 0; the options are for labreport.
grid() {
	[[ ! $jobs ]] || abreast=$jobs
	local want=$1 each=${#pairs[@]} a b i pipe cells events format file folder packets='' more judged=("${@:2}")
	local begun=$SECONDS
	if ((${#command[@]})); then
		keep_output
		limited
		[[ $strict ]] || judged+=(--want "$want")
		judged+=(--runs "$runs")
		for ((i = 1; i < runs; i++)); do pairs+=("${pairs[@]::each}"); done
	fi
	# not after minutes of work
	for format in "${!outputs[@]}"; do
		file=${outputs[$format]}
		[[ $file == - ]] || { : >>"$file"; } 2>/dev/null || die "cannot write $file; the matrix has not been started"
	done
	if [[ ${outputs[html]-} == *.html ]]; then
		# the page leads to what became of each packet, in a folder beside it
		packets=$(realpath -m -- "${outputs[html]%.html}.packets")
		[[ $packets != /run/* ]] || die "--html ${outputs[html]}: a lab has a /run of its own, so it cannot write the packets beside the page; name another file"
		judged+=(--packets "${packets##*/}")
	fi
	"${private[@]}" true || die "no lab: $(refusal)"
	# A file without a name, to which each cell appends its line.
	file=$(mktemp) && exec {cells}<>"$file" && rm "$file" || die "cannot make a temporary file"
	file=$(mktemp -u) && mkfifo -m 600 "$file" && exec {events}<>"$file" && rm "$file" || die "cannot make a temporary file"
	((${#pairs[@]} == 1)) || foretold
	[[ ! -t 2 ]] || trap '[[ $BASHPID != $$ ]] || echo >&2' EXIT
	for i in "${!pairs[@]}"; do
		until ((${#live[@]} < abreast)); do event; done
		read -r a b <<<"${pairs[i]}"
		started[i]=${EPOCHREALTIME//[!0-9]/} folder=''
		[[ ! $kept ]] || { folder=$kept/$a--$b && mkdir -p "$folder"; } || die "cannot make $folder"
		more=()
		if [[ $packets ]]; then
			mkdir -p "$packets/$a--$b" || die "cannot make $packets/$a--$b"
			more=(--trace "$packets/$a--$b/run-$((i / each + 1)).html")
			rm -f "${more[1]}" # an earlier matrix's
		fi
		# The pipe closes when the last process of the lab has ended.
		exec {pipe}< <(exec {life}>&1 >&"$cells"
			PINHOLE_STAGE=cell PINHOLE_EVENTS=$events PINHOLE_NUMBER=$i PINHOLE_BIN=$bin PINHOLE_RUN=$((i / each + 1)) PINHOLE_OUTPUT=${folder:+$(realpath "$folder")} \
				exec "${private[@]}" "$self" "$a" "$b" "${options[@]}" "${more[@]}" ${folder:+--output "$folder" -- "${command[@]}"})
		live[$i]=$pipe pids[i]=$!
	done
	while ((${#live[@]})); do event; done
	[[ ! -t 2 ]] || printf '\r\033[K' >&2
	trap - EXIT
	set -- "${judged[@]}"
	for format in "${!outputs[@]}"; do set -- "$@" "--$format" "${outputs[$format]}"; done
	labreport matrix "$@" "/dev/fd/$cells"
	i=$?
	[[ ! $kept ]] || echo "$me: the output of each run is in $kept" >&2
	return $i
}

# keep_output: set $kept, the folder for the output of each run
keep_output() {
	if [[ ! $kept ]]; then
		kept=$(mktemp -d "${TMPDIR:-/tmp}/pinhole-XXXXXX") || die 'cannot make a temporary folder for the output; name one by --output'
	fi
	mkdir -p "$kept" && [[ -w $kept ]] || die "cannot write to the folder $kept; the matrix has not been started"
	[[ $(realpath "$kept") != /run/* ]] || die "--output $kept: a lab has a /run of its own, so its programs cannot write there; name another folder"
}

# cell A B: inside; the call or the command, after a measurement of both NATs where the two types are the same
cell() {
	local met compared='' quiet=1 events=$PINHOLE_EVENTS number=$PINHOLE_NUMBER
	unset PINHOLE_EVENTS PINHOLE_NUMBER
	[[ ! $pcap ]] || pcap+=/$1--$2/run-$PINHOLE_RUN
	build_network
	echo "up $number ${EPOCHREALTIME//[!0-9]/}" >&"$events"
	if [[ $verify && $1 == "$2" && ${PINHOLE_RUN-1} == 1 ]]; then
		compared=1
		measure 2
	fi
	if ((${#command[@]})); then
		lib cmd
		tested "$1" "$2"
	else
		meet --json
		judge "$1" "$2" --json
	fi
	echo "end $number" >&"$events"
}
