# shellcheck shell=bash
# Inside a lab: a command of the user's, with a time limit; once, or in several nodes at once, with its output kept.
# $nodes says in which: nowhere (once, outside of them), "both" (alice and bob), or "each" (the command is NODE=CMD …).

grace=2 # seconds that a command has to end after SIGTERM

# perform A B: run $command between these types as the options say; the exit code is its own, or 124 where it had not
# ended after $limit seconds, and $late is set then. Output goes to files where $PINHOLE_OUTPUT is set.
perform() {
	local start=$SECONDS code
	late='' logs=()
	export PINHOLE_A=$1 PINHOLE_B=$2
	case $nodes in
	both) together alice bob; return ;;
	each) parted; together "${order[@]}"; return ;;
	esac
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

# parted: set $order, the nodes of NODE=CMD …, and ${script[NODE]}
declare -gA script=()
parted() {
	local part node
	order=()
	for part in "${command[@]}"; do
		node=${part%%=*}
		[[ -e /run/netns/$node ]] || die "there is no node \"$node\"; there are $(cd /run/netns && echo *)"
		[[ ! ${script[$node]+1} ]] || die "there are two commands for $node; put them into one: $node='a & b'"
		script[$node]=${part#*=}
		order+=("$node")
	done
	[[ ! $until || ${script[$until]+1} ]] || die "--until $until: there is no command for $until"
}

# serves NODE: whether its command is a service, which is ended when the others have ended
serves() { [[ ! $until && $1 == @(server|core|nat-*|isp*-*) ]]; }

# together NODE…: run the command in these nodes at once. The exit code is 0 if all are 0; else the first one that is
# neither 0 nor 1, at which the others are ended; else 1. With $until it is that of this node, at whose end all end.
together() {
	local node pid clock='' code worst=0 waited=0
	local -A running=() # process → node
	set -m # each job in a process group of its own, which can be ended as a whole
	for node; do
		# the file is there even if the command is ended before it begins
		[[ ! ${PINHOLE_OUTPUT-} ]] || { logs+=("$(log_of "$node")") && : >"${logs[-1]}"; }
		started_in "$node" &
		running[$!]=$node
		serves "$node" || ((++waited))
	done
	if [[ $limit ]]; then
		sleep "$limit" &
		clock=$!
	fi
	set +m
	((waited)) || waited=$# # nothing but services
	while ((waited && worst <= 1)); do
		wait -n -p pid "${!running[@]}" $clock
		code=$?
		[[ $pid != "$clock" ]] || { overdue; worst=$code; break; }
		node=${running[$pid]}
		unset "running[$pid]"
		if [[ $until ]]; then
			[[ $node == "$until" ]] || continue
			worst=$code
			break
		fi
		((code <= worst)) || worst=$code
		serves "$node" && ((${#running[@]})) || ((waited--))
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
	PINHOLE_ADDRESS=$(address_of "$1" eth0) PINHOLE_OUTSIDE=$(outside_of "$1")
	PINHOLE_PEER_ADDRESS=$(address_of "$peer" eth0) PINHOLE_PEER_OUTSIDE=$(outside_of "$peer")
	export PINHOLE_ADDRESS PINHOLE_OUTSIDE PINHOLE_PEER_ADDRESS PINHOLE_PEER_OUTSIDE
	if [[ $nodes == each ]]; then
		set -- "$1" ip netns exec "$1" sh -c "${script[$1]}"
	else
		set -- "$1" ip netns exec "$1" "${command[@]}"
	fi
	if [[ ${PINHOLE_OUTPUT-} ]]; then
		exec "${@:2}" </dev/null >"$(log_of "$1")" 2>&1
	fi
	local out sed code i
	exec {out}> >(trap '' TERM; exec sed -u "s/^/$1 │ /")
	sed=$!
	"${@:2}" </dev/null >&"$out" 2>&1 {out}>&-
	code=$?
	exec {out}>&-
	# sed ends with the last process that writes to it; one that was left in the background is not waited for
	for ((i = 0; i < 50; i++)); do
		kill -0 "$sed" 2>/dev/null || break
		sleep 0.02
	done
	exit $code
}

# address_of NODE INTERFACE: its first IPv4 address, or nothing
address_of() {
	local words
	read -ra words < <(ip -n "$1" -4 -o address show dev "$2" 2>/dev/null)
	echo "${words[3]%/*}"
}

# outside_of HOST: the address by which hosts elsewhere reach it: its own if that is public, or its NAT's
outside_of() {
	[[ $1 ]] || return 0
	# shellcheck source=/dev/null
	source /run/lab/state # it may have been renumbered, or have moved
	[[ ${outside[$1]-} ]] && echo "${outside[$1]}" || address_of "$1" eth0
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
