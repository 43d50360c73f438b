# shellcheck shell=bash
# From natprobe's report to a type: the NAT that somebody measured, rebuilt.

# profile FILE: "TYPE[,KEY=VALUE…]", into $spec; what the lab cannot be is refused with the reason
profile() {
	local file=$1 report found axis
	local -A is=()
	[[ -r $file ]] || usage "--profile: cannot read the report $file"
	report=$(<"$file")
	for axis in class nat mapping filtering policy remaps_after_early_inbound nats_in_series works dead_s; do
		found "$axis"
		is[$axis]=$found
	done
	[[ ${is[class]} || ${is[nat]} ]] || usage "--profile: $file is no report of natprobe, or one that could not tell"
	case ${is[class]}:${is[nat]} in
	udp-blocked:*) spec=udp-blocked; return ;;
	open:*) spec=open; return ;;
	firewall:*)
		[[ ${is[filtering]} == address-and-port-dependent ]] || refuse "there is no firewall here that filters ${is[filtering]}"
		spec=firewall
		return ;;
	esac
	for axis in mapping filtering policy; do
		[[ ${is[$axis]} ]] || refuse "it leaves the ${axis/policy/allocation of ports} untested"
	done
	translated
}

# translated: the type of a NAT, into $spec
translated() {
	local ports=${is[policy]/preserving/preserve}
	spec=full-cone,ports=$ports
	if [[ ${is[remaps_after_early_inbound]} == true ]]; then
		[[ $ports == preserve && ${is[filtering]} == address-and-port-dependent ]] ||
			refuse 'the one NAT here that remaps after early packets is masquerade, which keeps ports and filters by them'
		spec=masquerade
	elif [[ ${is[nats_in_series]} == true ]]; then
		[[ $ports == block && ${is[mapping]} == endpoint-independent && ${is[filtering]} == address-and-port-dependent ]] ||
			refuse 'the one pair of NATs here is cgnat: endpoint-independent mapping, a block of ports, filtering by port'
		spec=cgnat
	else
		[[ ${is[mapping]} == endpoint-independent ]] || spec+=,mapping=${is[mapping]}
		[[ ${is[filtering]} == endpoint-independent ]] || spec+=,filtering=${is[filtering]}
		[[ ${is[works]} != true ]] || spec+=,hairpin=on
	fi
	# a pool is what was seen of it: a report with one address may have missed the others
	if [[ $report =~ \"public_addresses\":\ *\[([^]]*,[^]]*)\] ]]; then
		[[ $spec == full-cone* && ${BASH_REMATCH[1]} != *,*,* ]] || refuse "it saw a pool of ${BASH_REMATCH[1]}, and the pools here are of two, behind one true NAT"
		spec+=,addresses=2
	fi
	# The silence that ended a mapping ends it here, too, and the one before does not.
	[[ ! ${is[dead_s]} ]] || spec+=,timeout=${is[dead_s]}s
}

# found KEY: a word or a whole number of the report, into $found; empty for null
found() {
	found=
	[[ ! $report =~ \"$1\":\ *\"?([a-z][a-z-]*|[0-9]+[,}]) || ${BASH_REMATCH[1]} == null ]] || found=${BASH_REMATCH[1]%[,\}]}
}

refuse() { usage "--profile $file: $*"; }
