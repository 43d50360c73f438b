# shellcheck shell=bash
# NAT types: each is a file in nat/. Its head describes its rules in the terms of RFC 4787.

types=(open firewall basic full-cone restricted port-restricted symmetric symmetric-sequential
	symmetric-block address-dependent masquerade cgnat udp-blocked)

declare -gA head  # the head of the type that was read last, with its overrides: ${head[mapping]} …
declare -gA heads # type → its head, as text, so that each head is parsed once a run
rules=            # the rules of a type, with everything that they include
[[ ! ${PINHOLE_STAGE-} ]] || eval "heads=(${PINHOLE_HEADS-})"
unset PINHOLE_HEADS

# read_type "NAME[,KEY=VALUE…]": set $head, or end with an error that says what is wrong with the type
read_type() {
	local LC_ALL=C spec=$1 key word
	if [[ $1 && ${heads[$1]-} ]]; then
		eval "head=(${heads[$1]})"
		return
	fi
	if [[ $spec == *+* ]]; then
		read_series "$spec"
	else
		read_one "$spec"
	fi
	for key in "${!head[@]}"; do
		printf -v word '[%q]=%q ' "$key" "${head[$key]}"
		heads[$1]+=$word
	done
}

# read_one SPEC: the same for a type that is not a series
read_one() {
	local spec=$1 name=${1%%,*} lines line override home
	[[ $name == +([a-z-]) && " ${types[*]} " == *" $name "* ]] || usage "there is no NAT type \"$name\"; there are ${types[*]}"
	head=([name]=$name [spec]=$spec)
	mapfile -t lines <"$lab/nat/$name.nft"
	for line in "${lines[@]}"; do
		[[ $line == '#'* ]] || break
		[[ ! $line =~ ^'# '([a-z ]+):\ +(.*) ]] || head[${BASH_REMATCH[1]}]=${BASH_REMATCH[2]}
	done
	head[upnp]=${head[no upnp]:+none}
	head[upnp]=${head[upnp]:-off}
	while [[ $spec == *,* ]]; do
		spec=${spec#*,} override=${spec%%,*}
		override "$1" "${override%%=*}" "${override#*=}"
	done
	[[ ! ${head[said mapping]}${head[said filtering]} ]] || classify
	[[ ! ${head[said input]} || ${head[input]} == accept ]] || head[early packets]=harmless # no entry is left
	[[ ! ${head[said input]} || ${head[input]} != drop ]] || head[tcp]=silence
	[[ ${head[addresses]}:${head[upnp]} != 2:on ]] || usage "$1: miniupnpd handles one public address, and a pool has two"
	home=${head[home]}${head[home]:+${head[said timeout]:+,timeout=${head[timeout]}}${head[said tcp]:+,tcp=${head[tcp]}}}
	head[chain]=${home:+$home }$1
}

# hand_over: pass the heads on to the second run of this script
hand_over() {
	local type word
	PINHOLE_HEADS=
	for type in "${!heads[@]}"; do
		printf -v word '[%q]=%q ' "$type" "${heads[$type]}"
		PINHOLE_HEADS+=$word
	done
	export PINHOLE_HEADS
}

# classify: set the class, the name that RFC 3489 gives to the two axes
classify() {
	case ${head[mapping]}:${head[filtering]} in
	endpoint-independent:endpoint-independent) head[class]=full-cone ;;
	endpoint-independent:address-dependent) head[class]=restricted ;;
	endpoint-independent:*) head[class]=port-restricted ;;
	*) head[class]=symmetric ;;
	esac
}

# read_rules: set $rules for the type in $head
read_rules() {
	local LC_ALL=C piece
	read -rd '' rules <"$lab/nat/${head[name]}.nft"
	rules=${rules/"ports/"+([a-z])/"ports/${head[ports]}"}
	rules=${rules/"hairpin/"+([a-z])/"hairpin/${head[hairpin]}"}
	for piece in mapping filtering; do
		[[ ! ${head[said $piece]} ]] || rules=${rules/"$piece/"+([a-z-])/"$piece/${head[$piece]}"}
	done
	[[ ${head[addresses]} != 2 ]] || rules+=$'\n\ninclude "addresses/two.nft"\n'
	[[ ! ${head[said input]} || ${head[input]} == accept ]] || rules+=$'\n\ninclude "input/'${head[input]}$'.nft"\n'
	[[ ! ${head[said tcp]} || ${head[tcp]} != rst ]] || rules+=$'\n\ninclude "tcp/rst.nft"\n'
	if [[ ${head[upnp]} == on ]]; then
		piece=napt
		[[ ${head[name]} != masquerade ]] || piece=masquerade
		rules+=$'\n\ninclude "upnp/'$piece$'.nft"\n'
	fi
	included
	[[ ! ${head[said size]} ]] || rules=${rules//size 16384/size ${head[size]}}
	[[ ${head[timeout]} != *s ]] || rules=${rules//timeout 120s/timeout ${head[timeout]}}
	# shellcheck disable=SC2016 # variables of nft's
	[[ ${head[addresses]} != 2 ]] || rules=${rules//'snat to $public'/'snat to numgen inc mod 4 map { 0-1 : $first, 2-3 : $second }'}
}

# included: replace each include in $rules by the file that it names
included() {
	local piece
	while [[ $rules =~ 'include "'([^\"]+)'"' ]]; do
		read -rd '' piece <"$lab/nat/${BASH_REMATCH[1]}"
		rules=${rules/"${BASH_REMATCH[0]}"/"$piece"}
	done
}

# override SPEC KEY VALUE: apply one override to $head, or end with an error
override() {
	local spec=$1 key=$2 value=$3
	case $key=$value in
	ports=preserve | ports=random | ports=sequential | ports=block | hairpin=on | hairpin=off | addresses=[12] | upnp=on | upnp=off | tcp=rst | tcp=silence) ;;
	ports=*) usage "$spec: ports is preserve, random, sequential or block, not \"$value\"" ;;
	hairpin=*) usage "$spec: hairpin is on or off, not \"$value\"" ;;
	addresses=*) usage "$spec: addresses is 1 or 2, not \"$value\"" ;;
	hosts=[1-9]) key=machines ;;
	hosts=*) usage "$spec: hosts is a number from 1 to 9, not \"$value\"" ;;
	upnp=*) usage "$spec: upnp is on or off, not \"$value\"" ;;
	tcp=*) usage "$spec: tcp is rst or silence, not \"$value\"" ;;
	input=accept | input=drop | input=reject)
		[[ ${head[input]} ]] || usage "$spec: only masquerade takes input: the other types drop what comes to the router unasked" ;;
	input=*) usage "$spec: input is accept, drop or reject, not \"$value\"" ;;
	timeout=*) [[ $value =~ ^[1-9][0-9]{0,4}s$ ]] ||
		usage "$spec: timeout is in seconds, 1s to 99999s, not \"$value\"" ;;
	size=*) [[ $value =~ ^[1-9][0-9]{2,5}$ ]] || usage "$spec: size is 100 to 999999 entries, not \"$value\""
		[[ "${lines[*]}" == *'include "mapping/'* && ! ${head[home]} ]] || usage "$spec: ${head[name]} has no mapping table whose size could be set" ;;
	mapping=endpoint-independent | mapping=address-dependent | mapping=address-and-port-dependent | \
		filtering=endpoint-independent | filtering=address-dependent | filtering=address-and-port-dependent)
		[[ "${lines[*]}" == *"include \"$key/"* && ! ${head[home]} ]] || usage "$spec: ${head[name]} has no $key that can be overridden" ;;
	mapping=* | filtering=*)
		usage "$spec: $key is endpoint-independent, address-dependent or address-and-port-dependent, not \"$value\"" ;;
	*) usage "$spec: there is no override \"$key\"; there are ports, timeout, size, hairpin, addresses, hosts, upnp, tcp, input, mapping and filtering" ;;
	esac
	[[ -z ${head[no $key]} ]] || usage "$spec: ${head[no $key]}"
	[[ -z ${head[said $key]} ]] || usage "$spec: $key is given twice"
	head[said $key]=yes head[$key]=$value
}

# list: one line for each type, from its head; several lines for each on a narrow terminal
list() {
	local name out columns=0 shape=wide
	if [[ $json ]]; then
		for name in "${types[@]}"; do
			read_type "$name"
			tabbed "$name" "${head[class]}" "${head[mapping]}" "${head[filtering]}" "${head[ports]}" \
				"${head[timeout]}" "${head[hairpin]}" "${head[upnp]}" "${head[tcp]}" "${head[seen on]}"
		done | labreport json --list types type class mapping filtering ports timeout hairpin upnp tcp seen_on
		return
	fi
	exec {out}>&1
	[[ ! -t 1 ]] || read -r _ columns < <(stty size <&"$out")
	((columns == 0 || columns >= 199)) || shape=narrow
	$shape TYPE MAPPING FILTERING PORTS TIMEOUT HAIRPIN UPNP TCP 'SEEN ON'
	for name in "${types[@]}"; do
		read_type "$name"
		$shape "$name" "${head[mapping]}" "${head[filtering]}" "${head[ports]}" \
			"${head[timeout]}" "${head[hairpin]}" "${head[upnp]}" "${head[tcp]}" "${head[seen on]}"
	done
}

wide() { say '%-20s %-26s %-26s %-10s %-7s %-7s %-4s %-7s %s\n' "$@"; }
narrow() {
	say '%-21s %-27s %s\n' "${@:1:3}"
	fold -sw $((columns > 20 ? columns - 4 : 20)) <<<"$4, $5, $6, $7, $8; $9" | sed 's/^/    /'
}
