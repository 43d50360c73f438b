# shellcheck shell=bash
# The sides of a lab: hosts behind a router, or behind several in series; and the core, to which all sides are linked.

people=(alice bob carol dave erin frank grace heidi ivan judy mallory nina olivia peggy rupert sybil)
most_routers=8 # in series

declare -ga hosts=() routers=() # the nodes of all sides
declare -gA side_of=()  # node → its side
declare -gA level=()    # router → 0 for the home router, one more for each router further out
declare -gA inward=() outward=() # router → its address towards the hosts, and the one towards core
declare -gA public=()   # side → its outermost router's address
declare -gA kind_of=()  # side → its type
declare -gA address=() outside=() # host → its address, and the one by which hosts elsewhere reach it
declare -gA peer=()     # "NODE INTERFACE" → the other end of that link

# sides WORD…: set $words to the types of alice, bob, carol … in this order. A word is a type, or SIDE=TYPE.
sides() {
	local word who i
	local -A given=()
	words=()
	for word; do
		who=${word%%=*}
		if [[ $word == *=* && " ${people[*]} " == *" $who "* ]]; then
			word=${word#*=}
		else
			for who in "${people[@]}"; do [[ ${given[$who]-} ]] || break; done
			[[ ! ${given[$who]-} ]] || usage "a lab has ${#people[@]} sides at most"
		fi
		[[ ! ${given[$who]-} ]] || usage "the type of $who is given twice: ${given[$who]} and $word"
		[[ $word ]] || usage "the NAT type of $who is an empty word"
		given[$who]=$word
	done
	for ((i = 0; i < ${#given[@]}; i++)); do
		who=${people[i]}
		[[ ${given[$who]-} ]] || usage "the type of $who is missing; sides are named in this order: ${people[*]}"
		words+=("${given[$who]}")
	done
}

# read_series SPEC: set $head for NATs in series, TYPE+TYPE…, the home router first: what the strictest of them does
read_series() {
	local spec=$1 rest=$1+ part i=0 key chain='' machines='' early='' blocked='' ports=preserve timeout='' tcp=''
	local -A rank=([endpoint-independent]=1 [address-dependent]=2 [address-and-port-dependent]=3) most=()
	while [[ $rest ]]; do
		part=${rest%%+*} rest=${rest#*+}
		[[ $part ]] || usage "$spec: a NAT type is missing beside a +"
		read_type "$part"
		[[ ${head[hosts]} != public && ${head[name]} != basic ]] ||
			usage "$spec: ${head[name]} gives each host a public address, and a router in series has none to give"
		((i == 0)) || [[ ! ${head[machines]} ]] || usage "$spec: hosts=N is for the home router, the first one"
		[[ ! $rest || ${head[addresses]} != 2 ]] || usage "$spec: only the last router has public addresses, so addresses=2 is for that one"
		[[ ! $rest || ${head[upnp]} != on ]] || usage "$spec: the home router's outer address is a private one, where miniupnpd maps nothing"
		if ((i == 0)); then
			chain=${head[chain]} machines=${head[machines]}
		else
			chain+=" $part" head[filtering]=${head[filtering of the carrier]:-${head[filtering]}}
		fi
		[[ ${head[class]} != udp-blocked ]] || blocked=1
		for key in mapping filtering; do
			((${rank[${head[$key]}]:-0} <= ${rank[${most[$key]:-none}]:-0})) || most[$key]=${head[$key]}
		done
		early=${head[early packets]:-$early} tcp=${head[tcp]}
		[[ ${head[ports]} == preserve ]] || ports=${head[ports]}
		if [[ ${head[timeout]} == *s ]] && [[ ! $timeout || ${head[timeout]%s} -lt ${timeout%s} ]]; then timeout=${head[timeout]}; fi
		((++i))
	done
	[[ ! $blocked ]] || read_type udp-blocked
	set -- $chain
	(($# <= most_routers)) || usage "$spec: that is $# routers in series, and a lab takes $most_routers at most"
	if [[ ! $blocked ]]; then
		head=([mapping]=${most[mapping]} [filtering]=${most[filtering]} [ports]=$ports [timeout]=$timeout [tcp]=$tcp)
		head[early packets]=$early head[upnp]=off
		classify
	fi
	head[name]=$spec head[spec]=$spec head[chain]=$chain head[machines]=$machines
}

# side NUMBER TYPE: hosts, behind the routers of that type. The side has a block of public addresses, from $first on.
# Its hosts have 192.168.NUMBER.0/24, and the networks between its routers are 100.64.NUMBER.0/24, 100.65.NUMBER.0/24 …,
# from the outermost one inwards.
side() {
	local number=$1 who=${people[$1 - 1]} first=$((16 * $1)) mask=28
	# two small blocks are left of the /24
	((number < 15)) || { first=$((240 + 8 * (number - 15))) mask=29; }
	local lan=192.168.$number wan=$prefix.$((first + 1)) segment inner outer i chain here=()
	[[ ! $same_lan ]] || lan=192.168.1
	read_type "$2"
	kind_of[$who]=$2
	read -ra chain <<<"${head[chain]}"
	local machines=${head[machines]:-1}
	# alice's second host shows what happens between two hosts of a LAN
	[[ $who != alice || ${head[machines]} ]] || machines=2

	here=("nat-$who")
	for ((i = 1; i < ${#chain[@]}; i++)); do
		((i == 1)) && here+=("isp-$who") || here+=("isp$i-$who")
	done
	for i in "${!here[@]}"; do level[${here[i]}]=$i side_of[${here[i]}]=$who; done
	routers+=("${here[@]}")
	node "${here[@]}"

	i=$((${#chain[@]} - 1)) outer=${here[i]}
	link core "$who" "$outer" wan
	on core "addr add $core peer $wan dev $who"
	on core "route add $prefix.$first/$mask via $wan dev $who"
	on "$outer" "addr add $wan peer $core dev wan"
	on "$outer" "route add default via $core"
	neighbour core "$who" "$wan" "$outer" wan
	neighbour "$outer" wan "$core" core "$who"
	outward[$outer]=$wan public[$who]=$wan
	for ((; i > 0; i--)); do
		outer=${here[i]} inner=${here[i - 1]} segment=100.$((63 + ${#chain[@]} - i)).$number
		read_type "${chain[i]}"
		router "$outer" "$segment.0/24" "${outward[$outer]}" "$first"
		link "$outer" lan "$inner" wan
		on "$outer" "addr add $segment.1 peer $segment.2 dev lan"
		on "$inner" "addr add $segment.2 peer $segment.1 dev wan"
		on "$inner" "route add default via $segment.1"
		neighbour "$outer" lan "$segment.2" "$inner" wan
		neighbour "$inner" wan "$segment.1" "$outer" lan
		inward[$outer]=$segment.1 outward[$inner]=$segment.2
	done
	read_type "${chain[0]}"
	lan_of "$who"
}

# lan_of SIDE: the hosts of the side that is being made, on the LAN of its home router, whose type was read last
lan_of() {
	local nat=nat-$1 gateway=$lan.1 inside=$lan.0/24 length=24 host other interface=lan i=2 mine=()
	for ((i = 1; i <= machines; i++)); do
		((i == 1)) && mine+=("$1") || mine+=("$1$i")
	done
	# with --same-lan, every host has an address of its own all the same
	[[ $same_lan ]] && i=$((number + 1)) || i=2
	if [[ ${head[hosts]} == public ]]; then
		lan=$prefix length=$mask i=$((first + 2)) gateway=$wan inside=$prefix.$first/$mask
		# the last address of all is core's
		((mask == 28 || machines <= 4)) || usage "$2: the 15th and the 16th side have public addresses for 4 hosts"
	fi
	[[ ${head[name]} != basic ]] || ((machines <= 2)) || usage "basic has public addresses for 2 hosts, not for $machines"
	on "$nat" "addr add $gateway/$length dev lan"
	router "$nat" "$inside" "${outward[$nat]}" "$first" "host1=$lan.2" "host2=$lan.3"
	inward[$nat]=$gateway
	node "${mine[@]}"
	hosts+=("${mine[@]}")
	if ((machines > 1)); then
		hardware "$nat" lan
		setup[$nat]="link add lan address ${mac[$nat lan]} type bridge
link set lan $unaddressed up
${setup[$nat]}"
	fi
	for host in "${mine[@]}"; do
		((machines == 1)) || interface=$host
		link "$host" eth0 "$nat" "$interface"
		[[ $interface == lan ]] || on "$nat" "link set $interface master lan"
		on "$host" "addr add $lan.$i/$length dev eth0"
		on "$host" "route add default via $gateway"
		neighbour "$host" eth0 "$gateway" "$nat" lan
		neighbour "$nat" lan "$lan.$i" "$host" eth0
		side_of[$host]=$1 address[$host]=$lan.$i outside[$host]=${public[$1]}
		[[ ${head[hosts]} != public ]] || outside[$host]=$lan.$i
		((i++))
	done
	[[ ${head[name]} != basic ]] || for i in "${!mine[@]}"; do outside[${mine[i]}]=$prefix.$((first + 2 + i)); done
	((machines > 1)) || return 0
	for host in "${mine[@]}"; do
		for other in "${mine[@]}"; do
			[[ $host == "$other" ]] || neighbour "$host" eth0 "${address[$other]}" "$other" eth0
		done
	done
	ends[$nat]+=$'link show dev lan\n' # last: it has a carrier when one of its ports has
}

# network TYPE…: collect the commands of the whole network
network() {
	local number=0 type
	node core server
	for type; do side $((++number)) "$type"; done
	link core server server eth0
	on server "addr add $s1 peer $core dev eth0"
	on server "addr add $s2 peer $core dev eth0"
	on server "route add default via $core"
	on core "addr add $core peer $s1 dev server"
	on core "route add $s2 dev server"
	neighbour server eth0 "$core" core server
	neighbour core server "$s1" server eth0
	neighbour core server "$s2" server eth0
}
