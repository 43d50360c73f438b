# shellcheck shell=bash
# What a lab needs: Debian packages, and the tools, built.

# shellcheck source=lab/lib/rust.sh
source "${BASH_SOURCE[0]%/*}/rust.sh"

tools=(rendezvous natprobe punch nattrace labreport)

# ready: install and build what a lab needs, or say what is missing
ready() {
	local tool stale=
	if [[ $PINHOLE_BIN ]]; then
		bin=$PINHOLE_BIN
		[[ $bin == /* ]] || bin=$PWD/$bin
		for tool in "${tools[@]}"; do
			[[ -x $bin/$tool ]] || die "there is no $tool in PINHOLE_BIN=$bin"
		done
		packages
		return
	fi
	bin=${lab%/*}/target/release
	for tool in "${tools[@]}"; do
		[[ -x $bin/$tool ]] || stale=missing
	done
	[[ $stale ]] || stale=$(find "${lab%/*}"/{crates,tools,Cargo.toml,Cargo.lock} -newer "$bin/.for-the-lab" -print -quit 2>&1)
	[[ ! $stale ]] || buildable
	packages "$stale"
	[[ ! $stale ]] || build "$stale"
}

# buildable: Rust is here, or nothing is installed
buildable() {
	local home as why missing
	[[ ! -x $bin/rendezvous || -w $bin ]] || return 0
	lacking building
	owner || die "the tools are not built, and $why (or set PINHOLE_BIN)"
}

# reporter: labreport alone, for a command that builds no lab and prints JSON
reporter() {
	local tools=(labreport)
	bin=${PINHOLE_BIN:-${lab%/*}/target/release}
	[[ $bin == /* ]] || bin=$PWD/$bin
	[[ ! -x $bin/labreport ]] || return 0
	[[ ! $PINHOLE_BIN ]] || die "there is no labreport in PINHOLE_BIN=$bin, which --json needs"
	buildable
	build missing
}

# packages BUILDING: install the Debian packages of the commands that are missing; those for building if BUILDING is not empty
packages() {
	local missing
	lacking "$1"
	install "${missing[@]}"
	[[ ${words[*]} != *upnp=on* ]] || for_nftables ||
		die "upnp=on needs a miniupnpd that is built for nftables: install miniupnpd-nftables in place of the one that is installed"
}

# lacking BUILDING: set $missing to these packages
lacking() {
	missing=()
	has ip || missing+=(iproute2)
	has nft || missing+=(nftables)
	has unshare && has nsenter && has setpriv && has flock || missing+=(util-linux)
	has mount || missing+=(mount)
	[[ ${words[*]} != *upnp=on* ]] || has miniupnpd || missing+=(miniupnpd-nftables)
	if [[ $1 ]]; then
		has cc || missing+=(gcc libc6-dev)
		has pkg-config || missing+=(pkg-config)
		has pkg-config && pkg-config --exists libnftnl || missing+=(libnftnl-dev)
		has pkg-config && pkg-config --exists libmnl || missing+=(libmnl-dev)
	fi
}

has() { command -v "$1" >/dev/null; }

# for_nftables: whether miniupnpd is installed, and built for nftables as the lab needs it
for_nftables() { has miniupnpd && [[ $(miniupnpd --version 2>&1) == *nftables* ]]; }

# install PACKAGE…: as root, or by sudo with --install; else say which command installs them
install() {
	(($#)) || return 0
	local command=(apt-get install -y --no-install-recommends "$@") sudo=()
	has apt-get || die "packages are missing; $(with_packages "$@")"
	if ((EUID)); then
		[[ $install ]] && has sudo || die "packages are missing; install them with --install, or type: sudo ${command[*]}"
		sudo=(sudo)
	fi
	echo "netns.sh: installing $*" >&2
	"${sudo[@]}" apt-get update -qq >/dev/null &&
		"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive "${command[@]}" -qq -o Dpkg::Use-Pty=0 >/dev/null ||
		die "could not install $*"
}

# build WHY: build the tools; WHY is the file that is newer than they are, or "missing"
build() {
	local home as why quiet=(--quiet)
	if [[ -x $bin/rendezvous && ! -w $bin ]]; then
		echo "netns.sh: $1 is newer than the tools, and you may not write to $bin: using the tools as they are" >&2
		return
	fi
	owner || die "$why"
	echo 'netns.sh: building the tools; the first time, this takes some minutes' >&2
	[[ ! -t 2 ]] || quiet=() # cargo shows its progress
	(cd "${lab%/*}" && "${as[@]}" cargo build --release "${quiet[@]}" "${tools[@]/#/--package=}" >&2) || die "building the tools failed"
	"${as[@]}" touch "$bin/.for-the-lab"
}

# doctor: what this kernel and machine support, and what does not work without it
doctor() {
	local lacks=0 namespaces=true as home why lines=()
	can vital 'private namespaces' 'no lab; on Ubuntu 24.04 an ordinary user needs: sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0' \
		"${private[@]}" sh -c 'mount -t tmpfs pinhole /run && ip netns add n0'
	can vital 'NAT in nft' 'no lab; install nftables, or load nf_tables and nft_chain_nat' \
		"${private[@]}" nft -f - <<<'table ip t { map m { type inet_service : ipv4_addr . inet_service; flags dynamic, timeout; timeout 1s; }; chain c { type nat hook prerouting priority -100; meta l4proto udp dnat ip to udp dport map @m; }; }'
	can vital 'veth and bridge' 'no lab; load veth and bridge' \
		"${private[@]}" sh -c 'ip link add v0 type veth peer name v1 && ip link add b0 type bridge'
	can wish 'conntrack timers of a namespace' 'no timeout=…: conntrack keeps mappings longer than the NAT' \
		"${private[@]}" sh -c 'nft add table t && nft "add chain t c { type nat hook prerouting priority -100; }" && echo 9 >/proc/sys/net/netfilter/nf_conntrack_udp_timeout'
	can wish 'copies of dropped packets (NFLOG)' 'no reason for a drop; load nfnetlink_log' \
		"${private[@]}" nft -f - <<<'table ip t { chain c { log prefix "A " group 1; }; }'
	can wish 'random numbers in nft' 'no --loss' \
		"${private[@]}" nft -f - <<<'table ip t { chain c { numgen random mod 100 < 1 drop; }; }'
	can wish 'netem' 'no --delay; load sch_netem' \
		"${private[@]}" sh -c 'ip link set lo up && tc qdisc add dev lo root netem delay 1ms'
	can wish 'miniupnpd, for nftables' 'no upnp=on; a lab with upnp=on installs it (Debian: miniupnpd-nftables)' \
		for_nftables
	owner
	can wish 'cargo' "the tools cannot be built: $why (or set PINHOLE_BIN)" owner
	can wish 'libnftnl and libmnl for building' 'no nattrace; install pkg-config libnftnl-dev libmnl-dev' \
		pkg-config --exists libnftnl libmnl
	can wish 'the tools, built' 'the next lab builds them first' test -x "${PINHOLE_BIN:-${lab%/*}/target/release}/rendezvous"
	can wish 'conntrack table for 8 labs at once' 'sprays in several labs may fill it; raise it: sysctl net.netfilter.nf_conntrack_max=65536' \
		sh -c '[ "$(cat /proc/sys/net/netfilter/nf_conntrack_max)" -ge 65536 ]'
	[[ ! $json ]] || printf '%s\n' "${lines[@]}" | labreport json --array what can:truth vital:truth without || return
	return $((lacks ? 2 : 0))
}

# can vital|wish WHAT COST CMD…: whether CMD succeeds; what runs in private namespaces is not tested without them
can() {
	local weight=$1 what=$2 cost=$3 yes=true
	if [[ $4 == setpriv && ! $namespaces ]]; then
		yes=null cost='not tested: needs private namespaces'
	elif ! "${@:4}" >/dev/null 2>&1; then
		yes=false
		[[ $weight == wish ]] || lacks=1
		[[ $what != 'private namespaces' ]] || namespaces=
	fi
	if [[ $json ]]; then
		[[ $weight == vital ]] && weight=true || weight=false
		lines+=("$(tabbed "$what" $yes $weight "$cost")")
	elif [[ $yes == true ]]; then
		say 'yes  %s\n' "$what"
	elif [[ $yes == null ]]; then
		say '?    %-34s %s\n' "$what" "$cost"
	else
		say 'no   %-34s %s\n' "$what" "$cost"
	fi
}
