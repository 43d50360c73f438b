# shellcheck shell=bash
# The network in the drawing of netns.sh: its commands are collected as text, then run in as few processes as possible.

declare -gA setup=()  # node → commands for ip -batch in that node
declare -gA ends=()   # node → queries for ip -batch, one for each end of a link there
declare -gA ruleset=() # router → the parameters of its rules, then the rules
declare -gA told=()    # router → $inside, the first address of its side's block, and other parameters
declare -gA mappers=() # routers on which hosts can map ports
declare -gA lifetime=() # router → how many seconds its conntrack keeps UDP entries
declare -gA mac=()     # node and interface → hardware address
linked=()              # what natlink is told about the links that it carries
created=
log=/run/rendezvous.log
patience=60 # seconds: the deadline of each wait, long enough for a machine that is slow or busy
writing=600 # seconds: the deadline for the files of a trace, which may have a million packets

# What the lab relies on in net/ipv4/conf. A new namespace inherits these settings from the host; see inherited. All else
# is the kernel's default in a new namespace, or forward sets it.
relied=(rp_filter=0 arp_ignore=0 arp_announce=0 arp_filter=0)
conf=/proc/sys/net/ipv4/conf

# No link-local IPv6 addresses, because their duplicate detection takes time. A kernel without IPv6 refuses these words.
unaddressed='addrgenmode none'
[[ -e /proc/net/if_inet6 ]] || unaddressed=

node() {
	local name
	for name; do
		created+="netns add $name"$'\n'
		setup[$name]=$'link set lo up\n'
	done
}

# link NODE INTERFACE NODE INTERFACE: by veth. A link of core, which has the name of core's interface, is carried by
# natlink if --link or --delay is for it.
link() {
	local does=${shaped[$2]-${delay:+down-delay:${delay}ms}}
	hardware "$1" "$2"
	hardware "$3" "$4"
	peer[$1 $2]="$3 $4" peer[$3 $4]="$1 $2"
	if [[ $1 == core && $does ]]; then
		linked+=("$2=$1:$2,$3:$4" "$2=$does")
		setup[$1]+="link set $2 txqueuelen 4096 address ${mac[$1 $2]}"$'\n'
		setup[$3]+="link set $4 txqueuelen 4096 address ${mac[$3 $4]}"$'\n'
	else
		created+="link add $2 address ${mac[$1 $2]} netns $1 type veth peer name $4 address ${mac[$3 $4]} netns $3"$'\n'
	fi
	setup[$1]+="link set $2 $unaddressed up"$'\n'
	setup[$3]+="link set $4 $unaddressed up"$'\n'
	ends[$1]+="link show dev $2"$'\n'
	ends[$3]+="link show dev $4"$'\n'
}

# hardware NODE INTERFACE: give it the next hardware address
hardware() { printf -v "mac[$1 $2]" 02:00:00:00:%02x:%02x $((${#mac[@]} >> 8)) $((${#mac[@]} & 255)); }

# neighbour NODE INTERFACE ADDRESS NODE INTERFACE: tell the first node the hardware address that ADDRESS has in the
# second. No packet then waits for ARP, which --delay would make the first packet of every pair of hosts do.
neighbour() { setup[$1]+="neigh add $3 lladdr ${mac[$4 $5]} dev $2 nud permanent"$'\n'; }

# on NODE COMMAND: a command for ip in that node
on() { setup[$1]+="$2"$'\n'; }

# router NODE INSIDE PUBLIC FIRST [PARAMETER…]: a router of the type that was read last, whose outer address is PUBLIC. FIRST
# is where the side's block of public addresses begins.
router() {
	local node=$1 public=$3 second=$prefix.$(($4 + 2)) parameter
	told[$node]="$2 ${*:4}"
	set -- "$1" "$2" "$3" "public1=$second" "public2=$prefix.$(($4 + 3))" "${@:5}"
	if [[ ${head[addresses]} == 2 ]]; then
		on "$node" "addr add $second dev wan"
		public="{ $3, $second }"
		set -- "$@" "first=$3" "second=$second"
	fi
	read_rules
	ruleset[$node]="define wan = wan
define lan = lan
define inside = $2
define public = $public
"
	for parameter in "${@:4}"; do
		ruleset[$node]+="define ${parameter%=*} = ${parameter#*=}"$'\n'
	done
	ruleset[$node]+=$rules
	lifetime[$node]=
	[[ ${head[timeout]} != *s ]] || lifetime[$node]=${head[timeout]%s}
	# With one mapping for all destinations, the NAT's own map translates the next packet in the same way, so
	# conntrack may forget the flow after a second. It may not with upnp=on: there, conntrack alone knows that an
	# answer has to leave from the port that miniupnpd has mapped.
	[[ $rules != *'map m_in'* || ${head[mapping]} != endpoint-independent || ${head[upnp]} == on ]] || lifetime[$node]=1
	[[ ${head[upnp]} != on ]] || mappers[$node]=1
}

# inherited: set $settings, commands for a shell in a node: for each setting that the lab relies on, and that a new
# namespace has otherwise (all take the host's values, so the first one of this lab shows what they are)
inherited() {
	local setting name all default
	settings=
	for setting in "${relied[@]}"; do
		name=${setting%=*}
		read -r all <"$conf/all/$name" && read -r default <"$conf/default/$name"
		[[ $all == "${setting#*=}" && $default == "$all" ]] || settings+=" $setting"
	done
	# shellcheck disable=SC2016 # for the shell in the node
	[[ ! $settings ]] || settings='for s in'$settings'; do for i in '$conf'/*; do echo ${s#*=} >$i/${s%=*} || exit; done; done; '
}

# addressed HOST: set its addresses and routes
addressed() {
	if [[ $settings ]]; then
		nsenter --net="/run/netns/$1" sh -c "$settings ip -batch -" <<<"${setup[$1]}"
	else
		ip -n "$1" -batch - <<<"${setup[$1]}"
	fi
}

# raise: run what has been collected, each node in a process of its own, and start the rendezvous
raise() {
	local node jobs=() settings
	mount -t tmpfs -o mode=755 pinhole /run 2>/dev/null ||
		die "may not mount in a private namespace; \"$0 doctor\" says why"
	inherited
	ip -batch - <<<"$created" || die "cannot make the namespaces and their links"
	[[ ${#linked[@]} == 0 ]] || natlinks
	for node in core "${routers[@]}"; do # first, because they take longest
		forward "$node" &
		jobs+=($!)
	done
	own_files &
	jobs+=($!)
	serve
	for node in "${hosts[@]}"; do
		addressed "$node" &
		jobs+=($!)
	done
	read -rt $patience -u "$ready" || (($? <= 128)) || die "the rendezvous did not come up within $patience s"
	[[ $REPLY ]] || die "the rendezvous did not come up: $(cat "$log" 2>&1)"
	exec {ready}<&-
	joined "${jobs[@]}"
	# What the peers in the lab would otherwise trust on first use, and say so.
	echo "$s1:$port ${REPLY##*#}" >/run/pinhole/known-servers
	carried
	[[ ${#mappers[@]} == 0 ]] || { lib upnp; mapping "${!mappers[@]}"; }
	PATH=$lab/bin:$PATH
}

# joined PID…: wait for each of these processes; each must succeed
joined() {
	local job
	for job; do wait "$job" || die "the network did not come up"; done
}

# carried: wait until each link has a carrier. An interface that is up drops packets until the kernel has handled its
# carrier event, in a work queue that waits for a lock of all namespaces: up to half a second while other labs start and
# end. A newer kernel handles the event at once when it is asked for one interface alone.
carried() {
	local node links asked=${ends[*]} end=$((SECONDS + patience))
	asked=${asked//[!$'\n']/}
	while :; do
		mapfile -t links < <(for node in "${!ends[@]}"; do ip -n "$node" -o -batch - <<<"${ends[$node]}" & done; wait)
		((${#links[@]} < ${#asked})) || dark "${links[*]}" || break
		((SECONDS < end)) || die "not all ${#asked} ends of links came up within $patience s: ${links[*]}"
		sleep 0.01
	done
}

# dark LINKS: whether one of them has no carrier; with simple patterns, because one with alternatives takes bash 50 ms
dark() { [[ $1 == *' qdisc noop '* || $1 == *' state DOWN '* || $1 == *' state LOWERLAYERDOWN '* ]]; }

# forward ROUTER: set its addresses, its rules, and how long its conntrack keeps UDP entries (that file exists only once
# a rule uses conntrack). Packets within the LAN must not pass the NAT's rules, which they would with br_netfilter.
forward() {
	nsenter --net="/run/netns/$1" sh -c "$settings"'
		cd /proc/sys/net
		echo 1 >ipv4/ip_forward && echo 0 >ipv4/icmp_ratelimit || exit
		[ ! -e bridge ] || echo 0 >bridge/bridge-nf-call-iptables || exit
		printf %s "$1" | ip -batch - &
		[ -z "$2" ] || printf %s "$2" | nft -f - || exit
		for timer in udp_timeout udp_timeout_stream; do
			[ -z "$3" ] || echo "$3" >netfilter/nf_conntrack_$timer || exit
		done
		wait $!
	' sh "${setup[$1]}" "${ruleset[$1]}" "${lifetime[$1]}"
}

# serve: start the rendezvous on both public addresses; it writes one line to $ready when it is up
serve() {
	exec {ready}< <(
		addressed server && mkdir -p /run/rendezvous &&
			exec nsenter --net=/run/netns/server "$bin/rendezvous" --ip "$s1" --port "$port" --alt-ip "$s2" \
				--relay --relay-allow "$prefix.0/24" --log-addresses --status /run/rendezvous/status </dev/null 2>$log
	)
}

# lossy PERCENT: make core drop this part of the packets that it forwards
lossy() {
	local hundredths some=
	printf -v hundredths %.0f "${1}e2"
	((hundredths == 10000)) || some="numgen random mod 10000 < $hundredths "
	nsenter --net=/run/netns/core nft -f - <<<"table ip loss {
	chain forward {
		type filter hook forward priority 0
		${some}log prefix \"LOSS \" group 1 counter drop
	}
}" || die "cannot load the rules for --loss"
}

# natlinks: start natlink, which makes the devices of its links, carries their frames, and records those that it drops
natlinks() {
	local up
	exec {up}< <(exec "$bin/natlink" run "${linked[@]}" --keep --drops /run/dropped-frames.json </dev/null 2>/run/natlink.log)
	read -rt $patience -u "$up" && [[ $REPLY == ready ]] || die "no links: $(cat /run/natlink.log 2>&1)"
	exec {up}<&-
}
