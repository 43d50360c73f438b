# shellcheck shell=bash
# miniupnpd in a router: UPnP-IGD, NAT-PMP and PCP for its LAN. It ends with the lab, as everything in it does.

# mapping ROUTER…: start miniupnpd in each, and wait until it listens
mapping() {
	local node pid end=$((SECONDS + patience))
	local -A pids=()
	for node; do
		configured "$node" >"/run/upnp-$node.conf"
		# -d keeps it in the foreground, and makes it log each request
		nsenter --net="/run/netns/$node" miniupnpd -d -f "/run/upnp-$node.conf" -P "/run/upnp-$node.pid" \
			</dev/null >"/run/upnp-$node.log" 2>&1 &
		pids[$node]=$!
	done
	for node; do
		pid=${pids[$node]}
		# 14E7 is port 5351, which it opens last
		until grep -q ':14E7 ' "/proc/$pid/net/udp" 2>/dev/null; do
			kill -0 "$pid" 2>/dev/null || die "upnp=on: miniupnpd ended at once in $node: $(<"/run/upnp-$node.log")"
			((SECONDS < end)) || die "upnp=on: miniupnpd did not come up in $node within $patience s: $(<"/run/upnp-$node.log")"
			sleep 0.005
		done
		grep -q 'Port forwarding is now enabled' "/run/upnp-$node.log" ||
			die "upnp=on: miniupnpd in $node refuses to map ports: $(<"/run/upnp-$node.log")"
	done
}

# configured ROUTER: its configuration. The lab's public addresses are reserved for documentation (RFC 5737), and
# miniupnpd maps nothing behind a reserved address unless a STUN server sees it there, untranslated: the rendezvous does.
configured() {
	cat <<-CONF
		ext_ifname=wan
		ext_perform_stun=yes
		ext_stun_host=$s1
		ext_stun_port=$port
		listening_ip=lan
		ipv6_disable=yes
		enable_upnp=yes
		enable_natpmp=yes
		secure_mode=yes
		min_lifetime=1
		upnp_table_name=miniupnpd
		upnp_nat_table_name=miniupnpd
		upnp_nat_chain=upnp_in
		upnp_forward_chain=upnp_forward
		upnp_nat_postrouting_chain=upnp_out
		allow 1024-65535 192.168.0.0/16 1024-65535
		deny 0-65535 0.0.0.0/0 0-65535
	CONF
}
