# shellcheck shell=bash
# Names: each node has an /etc/hosts, a resolv.conf and a hostname of its own. The lab's /etc is an overlay over the
# machine's, so what programs write there stays in the lab; "ip netns exec" mounts the files of etc/netns/NODE over it.

etc=/run/lab/etc # what the overlay has of its own; the overlay itself, /etc, once it is mounted

# own_files: the folders of the lab, and its /etc
own_files() {
	local node folders=() privilege=''
	for node in core server "${hosts[@]}" "${routers[@]}"; do folders+=("$etc/netns/$node"); done
	mkdir -p /run/pinhole /run/lab/work /run/lab/down "${folders[@]}" || return
	write_names
	echo lab >$etc/hostname
	echo '# No server answers DNS in this lab: /etc/hosts has its names.' >$etc/resolv.conf
	{ echo lab >/proc/sys/kernel/hostname; } 2>/dev/null || hostname lab
	# in a user namespace, an overlay may not use the attributes of root
	((EUID == 0)) && [[ $(</proc/self/uid_map) =~ ^\ *0\ +0\ +4294967295$ ]] || privilege=,userxattr
	if mount -t overlay -o "lowerdir=/etc,upperdir=$etc,workdir=/run/lab/work$privilege" lab /etc 2>/dev/null; then
		etc=/etc
	else
		echo "$me: this lab has no names and shares /etc with the machine: overlayfs is refused (\"$0 doctor\" checks it)" >&2
	fi
	remember
}

# remember: keep what is known of the network, for what happens to it later
remember() {
	declare -p hosts routers side_of level inward outward public kind_of peer address outside mac ruleset lifetime told mappers linked prefix s1 s2 core etc \
		>/run/lab/state
}

# write_names: the /etc/hosts of each node, and that of the lab itself
write_names() {
	local node
	for node in core server "${hosts[@]}" "${routers[@]}"; do
		hosts_file "$node" >"$etc/netns/$node/hosts"
		echo "$node" >"$etc/netns/$node/hostname"
	done
	hosts_file core >$etc/hosts
}

# hosts_file NODE: the address by which this node would reach each other one. Routers come first, so that an address
# that they share with the hosts behind them is theirs when it is looked up.
hosts_file() {
	local node=$1 other
	printf '%s\n' '127.0.0.1 localhost' '::1 localhost'
	for other in "${routers[@]}"; do
		if [[ ${side_of[$node]-} != "${side_of[$other]}" ]]; then
			[[ ${outward[$other]} != "${public[${side_of[$other]}]}" ]] || echo "${outward[$other]} $other"
		elif ((${level[$other]} >= ${level[$node]:-0})); then
			echo "${inward[$other]} $other"
		elif ((${level[$other]} == ${level[$node]} - 1)); then
			echo "${outward[$other]} $other"
		fi
	done
	echo "$core core"
	for other in "${hosts[@]}"; do
		if [[ ${side_of[$node]-} != "${side_of[$other]}" ]]; then
			echo "${outside[$other]} $other"
		elif ((${level[$node]:-0} == 0)); then
			echo "${address[$other]} $other"
		elif ((${level[$node]} == 1)); then
			echo "${outward[nat-${side_of[$other]}]} $other"
		fi
	done
	printf '%s\n' "$s1 server" "$s2 server2"
}
