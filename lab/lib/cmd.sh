# shellcheck shell=bash
# Inside a lab: a command of the user's, with a time limit; once, or in several nodes at once, with its output kept.

grace=2 # seconds that a command has to end after SIGTERM

# perform A B: run $command between these types as the options say; the exit code is its own, or 124 where it had not
# ended after $limit seconds, and $late is set then. Output goes to files where $PINHOLE_OUTPUT is set.
perform() {
	local start=$SECONDS code
	late='' logs=()
	export PINHOLE_A=$1 PINHOLE_B=$2
	if [[ $both ]]; then
		together alice bob
		return
	fi
	set -- "${command[@]}"
	[[ ! $limit ]] || set -- timeout --foreground --kill-after=$grace "$limit" "$@"
	if [[ ${PINHOLE_OUTPUT-} ]]; then
		logs=("$kept/run-$PINHOLE_RUN.log")
		"$@" </dev/null >"${logs[0]}" 2>&1
	else
		"$@"
	fi
	code=$?
	# a command that ends with one of these codes itself ends earlier
	[[ ! $limit || $code != @(124|137) ]] || ((SECONDS - start < limit)) || overdue
	return $code
}

# overdue: note that the command has not ended in time, and say so where a person reads
overdue() {
	late=$limit code=124
	[[ ${PINHOLE_OUTPUT-} ]] || echo "$me: the command has not ended within $limit s, so it was ended" >&2
}

# together NODE…: run the command in these nodes at once. The exit code is 0 if all are 0; else the first one that is
# neither 0 nor 1, at which the others are ended; else 1.
together() {
	local node pid clock='' code worst=0
	local -A running=() # process → node
	set -m # each job in a process group of its own, which can be ended as a whole
	for node; do
		started_in "$node" &
		running[$!]=$node
		[[ ! ${PINHOLE_OUTPUT-} ]] || logs+=("$(log_of "$node")")
	done
	if [[ $limit ]]; then
		sleep "$limit" &
		clock=$!
	fi
	set +m
	while ((${#running[@]} && worst <= 1)); do
		wait -n -p pid "${!running[@]}" $clock
		code=$?
		[[ $pid != "$clock" ]] || { overdue; worst=$code; break; }
		unset "running[$pid]"
		((code <= worst)) || worst=$code
	done
	((${#running[@]} == 0)) || finish "${!running[@]}"
	[[ ! $clock ]] || kill "$clock" 2>/dev/null
	return $worst
}

# started_in NODE: run the command there; its lines begin with the node's name, or go to the log
started_in() {
	local peer=''
	[[ $1 != alice ]] || peer=bob
	[[ $1 != bob ]] || peer=alice
	export PINHOLE_ROLE=$1 PINHOLE_NAME=$1 PINHOLE_PEER=$peer
	export PINHOLE_ADDRESS=${address[$1]-} PINHOLE_OUTSIDE=${outside[$1]-}
	export PINHOLE_PEER_ADDRESS=${address[$peer]-} PINHOLE_PEER_OUTSIDE=${outside[$peer]-}
	set -- "$1" nsenter --net="/run/netns/$1" "${command[@]}"
	if [[ ${PINHOLE_OUTPUT-} ]]; then
		exec "${@:2}" </dev/null >"$(log_of "$1")" 2>&1
	fi
	# sed ends when the command has, and not by the signal that ends the command
	"${@:2}" </dev/null 2>&1 | { trap '' TERM; exec sed -u "s/^/$1 │ /"; }
	exit "${PIPESTATUS[0]}"
}

log_of() { echo "$kept/run-$PINHOLE_RUN.$1.log"; }

# finish PID…: end these process groups, and wait until they have ended, or have been given time to
finish() {
	local pid end=$((SECONDS + grace))
	for pid; do kill -TERM -- "-$pid" 2>/dev/null; done
	while ((SECONDS <= end)); do
		for pid; do
			kill -0 -- "-$pid" 2>/dev/null && sleep 0.05 && continue 2
		done
		return
	done
}

# tested A B: one run of the command, as a cell for the matrix
tested() {
	local start=${EPOCHREALTIME//[!0-9]/} code late logs a took log files=()
	perform "$1" "$2" {events}>&-
	code=$?
	took=$(((${EPOCHREALTIME//[!0-9]/} - start) / 1000))
	asked "$1"
	a=$asked
	asked "$2"
	for log in "${logs[@]}"; do files+=(--log "$log"); done
	labreport command --a "$a" --b "$asked" --run "$PINHOLE_RUN" --exit-code $code ${late:+--timed-out "$late"} \
		--elapsed-ms $took "${files[@]}" ${compared:+--nat-a "$room/alice.nat" --nat-b "$room/bob.nat"}
}
