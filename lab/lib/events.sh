# shellcheck shell=bash
# Things that happen to a lab while it runs: to one that stays, and by the command "lab" in one that runs a command.
# /run/lab/state has what is known of the network.

# event VERB WORD…: inside
event() {
	local lock verb=$1
	exec {lock}</run/lab/state && flock "$lock" || die 'no lab runs here'
	# shellcheck source=/dev/null
	source /run/lab/state # into variables of this function, which those below see
	shift
	case $verb in
	reboot) (($# == 1)) || usage 'reboot needs a router'; reboot "$1" ;;
	nat) (($# == 2)) || usage 'nat needs a side and a NAT type'; swap "$1" "$2" ;;
	renumber) (($# == 1)) || usage 'renumber needs a side'; renumber "$1" ;;
	roam) (($# == 2)) || usage 'roam needs a host and a side'; roam "$1" "$2" ;;
	down | up) (($# == 1)) || usage "$verb needs a link"; "link_$verb" "$1" ;;
	link)
		(($# >= 2)) || usage 'link needs a side and what its link does, or down, or up'
		if (($# == 2)) && [[ $2 == @(down|up) ]]; then "link_$2" "$1"; else link_does "$@"; fi ;;
	flood)
		(($# == 2 || $# == 3)) || usage 'flood needs a side, a rate, and perhaps a number of seconds'
		flood "$@"
		return ;; # which has saved the state itself
	*) usage "there is no \"$verb\"; there are reboot, nat, renumber, roam, down, up, link and flood" ;;
	esac
	remember
}

# must_be WHAT WORD KNOWN…: WORD is one of those
must_be() { [[ $2 && " ${*:3} " == *" $2 "* ]] || usage "there is no $1 \"$2\"; there are ${*:3}"; }

# in_node NODE: run the commands on stdin by ip in that node
in_node() { ip -n "$1" -force -batch - >/dev/null; }

# routers_of SIDE: set $here to its routers, the home router first
routers_of() {
	local node
	here=()
	for node in "${routers[@]}"; do [[ ${side_of[$node]} != "$1" ]] || here[${level[$node]}]=$node; done
}

# reboot ROUTER: it forgets all mappings
reboot() {
	must_be router "$1" "${routers[@]}"
	renewed "$1"
}

# renewed ROUTER: load its rules again, without the flows that it had. Nothing passes meanwhile, or a packet between the
# two would keep a flow, and its mapping, alive.
renewed() {
	local pid timeouts=(30 120) # the kernel's
	command -v conntrack >/dev/null || die 'this needs conntrack, which forgets the flows of a router; install it (Debian: conntrack)'
	within "$1" nft -f - <<<'table ip pinhole-off { chain everything { type filter hook prerouting priority -1000; policy drop; }; }' &&
		within "$1" conntrack -F >/dev/null 2>&1 &&
		within "$1" nft -f - <<<"delete table ip pinhole-off
delete table ip pinhole
${ruleset[$1]}" || die "cannot load the rules of $1 again"
	[[ ! ${lifetime[$1]} ]] || timeouts=("${lifetime[$1]}" "${lifetime[$1]}")
	# shellcheck disable=SC2016 # for the shell in the node
	within "$1" sh -c 'cd /proc/sys/net/netfilter || exit 0
		echo "$1" >nf_conntrack_udp_timeout && echo "$2" >nf_conntrack_udp_timeout_stream' sh "${timeouts[@]}"
	if pid=$(cat "/run/upnp-$1.pid" 2>/dev/null); then
		kill "$pid" 2>/dev/null
		while [[ -e /proc/$pid ]]; do sleep 0.01; done
		rm -f "/run/upnp-$1.pid"
	fi
	[[ ! ${mappers[$1]-} ]] || { lib upnp; mapping "$1"; }
}

within() { nsenter --net="/run/netns/$1" "${@:2}"; }

# ruled ROUTER TYPE: its rules, for that type and the addresses that it has now
ruled() {
	local words
	read -ra words <<<"${told[$1]}"
	unset "mappers[$1]"
	setup[$1]=
	read_type "$2"
	router "$1" "${words[0]}" "${outward[$1]}" "${words[@]:1}"
	[[ ! ${mappers[$1]-} ]] || command -v miniupnpd >/dev/null || die 'upnp=on needs miniupnpd; install miniupnpd-nftables'
	[[ ! ${setup[$1]} ]] || in_node "$1" <<<"${setup[$1]//addr add/addr replace}"
}

# seen_as SIDE: the addresses by which hosts elsewhere reach the hosts there, after a change
seen_as() {
	local host i=0 words
	read_type "${kind_of[$1]}"
	read -ra words <<<"${told[nat-$1]}"
	for host in "${hosts[@]}"; do
		[[ ${side_of[$host]} == "$1" ]] || continue
		outside[$host]=${public[$1]}
		[[ ${head[hosts]} != public ]] || outside[$host]=${address[$host]}
		[[ ${head[name]} != basic ]] || outside[$host]=$prefix.$((words[1] + 2 + i))
		((++i))
	done
	write_names
}

# swap SIDE TYPE: another NAT under the same addresses
swap() {
	local who=$1 here chain kind i
	must_be side "$who" "${!public[@]}"
	routers_of "$who"
	read_type "${kind_of[$who]}"
	kind=${head[hosts]:-private}
	read_type "$2"
	read -ra chain <<<"${head[chain]}"
	((${#chain[@]} == ${#here[@]})) ||
		usage "nat $who $2: that is ${#chain[@]} routers, and $who has ${#here[@]}: ${here[*]}"
	[[ ! ${head[machines]} ]] || usage "nat $who $2: hosts=N is for the start of a lab"
	[[ ${head[hosts]:-private} == "$kind" ]] ||
		usage "nat $who $2: the hosts of ${kind_of[$who]} have $kind addresses, and those of $2 have others"
	for i in "${!chain[@]}"; do ruled "${here[i]}" "${chain[i]}"; done
	for i in "${!chain[@]}"; do renewed "${here[i]}"; done
	kind_of[$who]=$2
	seen_as "$who"
}

# renumber SIDE: another public address for its outermost router, or for its hosts where these have public addresses
renumber() {
	local who=$1 here chain outer old new words
	must_be side "$who" "${!public[@]}"
	routers_of "$who"
	outer=${here[-1]}
	read_type "${kind_of[$who]}"
	read -ra chain <<<"${head[chain]}"
	read -ra words <<<"${told[$outer]}"
	case ${head[hosts]}:${head[name]} in
	public:*) hosts_move "$who" ;;
	*:basic)
		words[1]=$((words[1] % 8 == 0 ? words[1] + 2 : words[1] - 2)) told[$outer]=${words[*]}
		ruled "$outer" "${chain[-1]}"
		renewed "$outer" ;;
	*)
		old=${public[$who]}
		# .1 of the block, then .4 and .5 in turn; .2 and .3 may be a pool's
		new=$prefix.$((words[1] + (${old##*.} == words[1] + 4 ? 5 : 4)))
		in_node core <<-END
			addr add $core peer $new dev $who
			neigh replace $new lladdr ${mac[$outer wan]} dev $who nud permanent
			route replace $(ip -n core route show root "$prefix.${words[1]}/0" | sed -n "s|^\($prefix\.${words[1]}/2[89]\) .*|\1|p") via $new dev $who
			addr del $core peer $old dev $who
		END
		in_node "$outer" <<-END
			addr del $old peer $core dev wan
			addr add $new peer $core dev wan
			route replace default via $core
		END
		outward[$outer]=$new public[$who]=$new
		ruled "$outer" "${chain[-1]}"
		renewed "$outer" ;;
	esac
	seen_as "$who"
}

# hosts_move SIDE: each host there gets another address of the LAN
hosts_move() {
	local host free taken=()
	for host in "${hosts[@]}"; do
		[[ ${side_of[$host]} == "$1" ]] || continue
		taken+=("${address[$host]}")
		free_address "$1" "${taken[@]}"
		addressed_anew "$host" "$free"
		taken+=("$free")
	done
}

# free_address SIDE TAKEN…: set $free to an address of its LAN that no host has, and that is not one of those
free_address() {
	local gateway=${inward[nat-$1]} last i most=254
	last=${gateway##*.}
	# a block of public addresses ends before the next one, and before core's
	[[ ${gateway%.*} != "$prefix" ]] || most=$((last < 240 ? last + 13 : last + 4))
	for ((i = last + 1; i <= most; i++)); do
		free=${gateway%.*}.$i
		[[ " ${address[*]} ${*:2} " == *" $free "* ]] || return 0
	done
	die "the LAN of $1 has no address left"
}

# addressed_anew HOST ADDRESS: that address, in the LAN to which the host is linked, instead of its present one
addressed_anew() {
	local host=$1 nat=nat-${side_of[$1]} old=${address[$1]} length other
	length=$(ip -n "$nat" -o -4 addr show dev lan | sed -n 's|.*inet [0-9.]*/\([0-9]*\).*|\1|p')
	address[$host]=$2
	in_node "$host" <<-END
		addr flush dev eth0
		addr add $2/$length dev eth0
		neigh replace ${inward[$nat]} lladdr ${mac[$nat lan]} dev eth0 nud permanent
		route replace default via ${inward[$nat]}
	END
	in_node "$nat" <<<"neigh replace $2 lladdr ${mac[$host eth0]} dev lan nud permanent"
	ip -n "$nat" neigh del "$old" dev lan 2>/dev/null
	for other in "${hosts[@]}"; do
		[[ $other != "$host" && ${side_of[$other]} == "${side_of[$host]}" ]] || continue
		ip -n "$other" neigh del "$old" dev eth0 2>/dev/null
		in_node "$other" <<<"neigh replace $2 lladdr ${mac[$host eth0]} dev eth0 nud permanent"
		in_node "$host" <<<"neigh replace ${address[$other]} lladdr ${mac[$other eth0]} dev eth0 nud permanent"
	done
}

# bridged ROUTER: make its "lan" a bridge, so that hosts can come and go; the link that was "lan" is a port of it then
bridged() {
	local node=$1 host address length
	[[ ${peer[$node lan]-} ]] || return 0
	host=${peer[$node lan]% *}
	address=$(ip -n "$node" -o -4 addr show dev lan | sed -n 's|.*inet \([0-9./]*\).*|\1|p')
	length=$(ip -n "$node" neigh show dev lan nud permanent | sed 's|^\([0-9.]*\) lladdr \([0-9a-f:]*\).*|neigh replace \1 lladdr \2 dev lan nud permanent|')
	in_node "$node" <<-END
		link set lan down
		link set lan name $host
		addr flush dev $host
		link add lan address ${mac[$node lan]} type bridge
		link set lan $unaddressed up
		link set $host master lan
		link set $host up
		addr add $address dev lan
		$length
	END
	peer[$host eth0]="$node $host" peer[$node $host]="$host eth0"
	unset "peer[$node lan]"
}

# joins HOST SIDE: it gets an address in the LAN of that side, to which its link leads already
joins() {
	local free
	side_of[$1]=$2
	free_address "$2"
	addressed_anew "$1" "$free"
	lit "nat-$2" "$1"
}

# lit NODE INTERFACE: wait until it has a carrier
lit() {
	local end=$((SECONDS + patience))
	until [[ $(ip -n "$1" -o link show dev "$2") == *LOWER_UP* ]]; do
		((SECONDS < end)) || die "the link at $1:$2 did not come up within $patience s"
		sleep 0.01
	done
}

# roam HOST SIDE: its link leads to another router, where it gets another address
roam() {
	local host=$1 from to=nat-$2
	must_be host "$host" "${hosts[@]}"
	must_be side "$2" "${!public[@]}"
	from=${peer[$host eth0]% *}
	[[ $from != "$to" ]] || usage "roam $host $2: it is behind $to already"
	read_type "${kind_of[$2]}"
	[[ ${head[name]} != basic ]] || usage "roam $host $2: basic has public addresses for its own hosts only"
	bridged "$from"
	bridged "$to"
	ip -n "$from" link set "$host" netns "$to" && in_node "$to" <<-END || die "cannot move the link of $host to $to"
		link set $host $unaddressed master lan
		link set $host up
	END
	ip -n "$from" neigh del "${address[$host]}" dev lan 2>/dev/null
	unset "peer[$from $host]"
	peer[$host eth0]="$to $host" peer[$to $host]="$host eth0"
	joins "$host" "$2"
	seen_as "$2"
}

# ends_of LINK: set $near and $far, as "NODE INTERFACE". A link is the name of a side or "server", for the one between it
# and core, or NODE:INTERFACE.
ends_of() {
	local end all
	if [[ $1 == *:* ]]; then near="${1%%:*} ${1#*:}"; else near=${peer[core $1]-}; fi
	far=${peer[$near]-}
	[[ $near && $far ]] && return
	for end in "${!peer[@]}"; do all+=" ${end/ /:}"; done
	usage "there is no link \"$1\"; there are ${!public[*]} server, and by their ends$all"
}

# link_down LINK: for the near end it is a cable that was pulled: the carrier is gone, addresses and routes stay. The
# far end is set down; the routes and neighbours that it loses are kept for link_up.
link_down() {
	local near far node device file
	ends_of "$1"
	read -r node device <<<"$far"
	file=/run/lab/down/$node:$device
	[[ ! -e $file ]] || return 0
	if tapped "$node" "$device"; then
		: >"$file"
		ip -n "$node" link set "$device" carrier off && ip -n "${near% *}" link set "${near#* }" carrier off ||
			die "cannot take down the link $1"
		return
	fi
	{
		ip -n "$node" -4 route show dev "$device" | sed "s/ *linkdown//; s/ *\$//; s/.*/route replace & dev $device/"
		ip -n "$node" neigh show dev "$device" nud permanent |
			sed "s|^\([0-9.]*\) lladdr \([0-9a-f:]*\).*|neigh replace \1 lladdr \2 dev $device nud permanent|"
	} >"$file"
	ip -n "$node" link set "$device" down || die "cannot take down the link $1"
}

link_up() {
	local near far node device file
	ends_of "$1"
	read -r node device <<<"$far"
	file=/run/lab/down/$node:$device
	[[ -e $file ]] || return 0
	if tapped "$node" "$device"; then
		ip -n "$node" link set "$device" carrier on && ip -n "${near% *}" link set "${near#* }" carrier on
	else
		ip -n "$node" link set "$device" up && { [[ ! -s $file ]] || in_node "$node" <"$file"; }
	fi || die "cannot bring up the link $1"
	rm "$file"
	lit "${near% *}" "${near#* }"
}

# tapped NODE INTERFACE: whether natlink carries that link
tapped() { [[ " ${linked[*]} " == *"$1:$2,"* || " ${linked[*]} " == *",$1:$2 "* ]]; }

# link_does SIDE WORD…: what its link does from now on, as --link says it
link_does() {
	local who=$1
	must_be side "$who" "${!public[@]}" server
	tapped core "$who" ||
		usage "natlink does not carry the link of $who; start the lab with --link $who=none, and it can be changed while it runs"
	local IFS=,
	"$bin/natlink" set "$who=${*:2}" || die "the link of $who is as before"
}

# flood SIDE RATE [SECONDS]: a host of its own behind that router makes so many mappings a second
flood() {
	local who=$1 rate=$2 seconds=${3-10} node=flood-$1 port
	must_be side "$who" "${!public[@]}"
	[[ $rate =~ ^[1-9][0-9]{0,3}$ ]] || usage "flood: the rate is 1 to 9999 mappings a second, not \"$rate\""
	[[ $seconds =~ ^[1-9][0-9]{0,3}$ ]] || usage "flood: the time is 1 to 9999 seconds, not \"$seconds\""
	read_type "${kind_of[$who]}"
	[[ ${head[name]} != basic ]] || usage 'flood: basic makes no mappings'
	if [[ " ${hosts[*]} " != *" $node "* ]]; then
		port=fl-$who # the name of an interface has 15 characters at most
		bridged "nat-$who"
		hardware "$node" eth0
		hardware "nat-$who" "$port"
		ip netns add "$node" && mkdir -p "$etc/netns/$node" &&
			ip link add "$port" address "${mac[nat-$who $port]}" netns "nat-$who" type veth peer name eth0 address "${mac[$node eth0]}" netns "$node" &&
			in_node "nat-$who" <<-END && in_node "$node" <<-END2 || die "cannot make the host $node"
				link set $port $unaddressed master lan
				link set $port up
			END
				link set lo up
				link set eth0 $unaddressed up
			END2
		hosts+=("$node")
		peer[$node eth0]="nat-$who $port" peer[nat-$who $port]="$node eth0"
		local free
		side_of[$node]=$who
		free_address "$who"
		addressed_anew "$node" "$free"
		lit "nat-$who" "$port"
		seen_as "$who"
	fi
	remember
	exec {lock}<&-
	# shellcheck disable=SC2016 # for the shell in the node
	within "$node" bash -c '
		to=$1 rate=$2 total=$(($2 * $3)) sent=0
		exec {nap}<> <(:)
		start=${EPOCHREALTIME//[!0-9]/}
		while ((sent < total)); do
			due=$(((${EPOCHREALTIME//[!0-9]/} - start) * rate / 1000000))
			for ((; sent < due && sent < total; sent++)); do
				echo >"/dev/udp/$to/9" || exit
			done
			read -rt 0.005 -u "$nap"
		done
		echo "$sent mappings in $(((${EPOCHREALTIME//[!0-9]/} - start) / 1000)) ms"' bash "$s2" "$rate" "$seconds"
}
