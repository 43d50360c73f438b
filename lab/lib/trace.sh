# shellcheck shell=bash
# Inside a lab: what became of each packet, written to the files of --trace when the lab ends. nattrace watches.

# traced FILE…: begin to watch, and wait until nothing is missed
traced() {
	local node places=() files=() file rules jobs=()
	for file; do
		# not when all is over; and an old file is not taken for the new one
		{ : >"$file"; } 2>/dev/null || die "--trace: cannot write $file"
		files+=(--trace "$file")
	done
	[[ ${#linked[@]} == 0 ]] || files+=(--drops /run/dropped-frames.json)
	rules=$(<"$lab/lib/watch.nft")
	for node in $(in_order); do
		within "$node" nft -f - <<<"$rules" &
		jobs+=($!)
		places+=("$node=$(described "$node")")
	done
	joined "${jobs[@]}"
	exec {watched}< <(
		trap '' INT
		exec "$bin/nattrace" watch "${places[@]}" "${files[@]}" --peers alice,bob --report "$room/alice.json" </dev/null
	)
	tracing=$!
	read -rt $patience -u "$watched" || die '--trace: nothing is watched; the reason is above'
}

# watchable: whether this kernel can be watched; prints why not
watchable() { within alice nft --check -f - <"$lab/lib/watch.nft" 2>&1; }

# written: end the watch, and wait until the files are whole
written() {
	local watch=${tracing-}
	tracing=''
	[[ $watch ]] || return 0
	kill -TERM "$watch" || return
	# its stdout is closed when it has ended
	read -rt $writing -u "$watched"
	if (($? > 128)); then
		echo "$me: --trace: the files were not written within $writing s" >&2
		kill -KILL "$watch"
	fi
	exec {watched}<&-
	wait "$watch"
}

# in_order: the nodes from alice to bob, with the core between them, then the other sides and the server
in_order() {
	local who host side i here
	for who in "${!people[@]}"; do
		side=${people[who]}
		[[ ${public[$side]-} ]] || break
		here=()
		for host in "${hosts[@]}"; do [[ ${side_of[$host]} != "$side" ]] || here+=("$host"); done
		routers_outward "$side"
		if ((who == 0)); then
			echo "${here[@]}" "${path[@]}" core
		else
			for ((i = ${#path[@]} - 1; i >= 0; i--)); do echo "${path[i]}"; done
			echo "${here[@]}"
		fi
	done
	echo server
}

# routers_outward SIDE: set $path to its routers, the home router first
routers_outward() {
	local node
	path=()
	for node in "${routers[@]}"; do [[ ${side_of[$node]} != "$1" ]] || path[${level[$node]}]=$node; done
}

# filters: what a NAT with the head that was read does, for people; nothing of what is no NAT
filters() {
	local ports='one port for all destinations' whom
	[[ ${head[mapping]} != none ]] || return 0
	[[ ${head[mapping]} == endpoint-independent ]] || ports='another port for each destination'
	case ${head[filtering]} in
	endpoint-independent) whom='anyone' ;;
	address-dependent) whom='hosts that were sent to' ;;
	*) whom='hosts and ports that were sent to' ;;
	esac
	echo ": $ports; lets in $whom"
}

# described NODE: what it is, for people
described() {
	local chain
	case $1 in
	core) echo 'the Internet between all sides' ;;
	server) echo 'the rendezvous, which introduces the two' ;;
	*)
		if [[ ${level[$1]-} ]]; then
			read_type "${kind_of[${side_of[$1]}]}"
			read -ra chain <<<"${head[chain]}"
			# the head of several in series is that of the strictest
			read_type "${chain[${level[$1]}]}"
			((level[$1] == 0)) || head[filtering]=${head[filtering of the carrier]:-${head[filtering]}}
			echo "a router of type ${chain[${level[$1]}]}$(filters)"
		else
			echo "a host of ${side_of[$1]}'s side"
		fi ;;
	esac
}
