# shellcheck shell=bash
# What a lab needs: Debian packages, and the tools, built.

# shellcheck source=lab/lib/rust.sh
source "${BASH_SOURCE[0]%/*}/rust.sh"

tools=(rendezvous natprobe punch nattrace natlink labreport)
conntrack=/proc/sys/net/netfilter/nf_conntrack_max tracked=8192 # entries of all labs, and of one lab that sprays

# tools_folder: set $bin: PINHOLE_BIN, or where cargo builds
tools_folder() {
	bin=${PINHOLE_BIN:-$(target_folder)/release}
	[[ $bin == /* ]] || bin=$PWD/$bin
}

# target_folder: where cargo builds. It is asked only if that may be elsewhere than in the checkout.
target_folder() {
	local folder='' home as why missing=()
	if [[ ${CARGO_TARGET_DIR-}${CARGO_BUILD_TARGET_DIR-} ]] ||
		grep -qs '^ *target-dir' "${lab%/*}"/.cargo/config{,.toml} "${CARGO_HOME:-$HOME/.cargo}"/config{,.toml}; then
		owner && folder=$(cd "${lab%/*}" && "${as[@]}" cargo metadata --no-deps --format-version 1 |
			sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
	fi
	echo "${folder:-${lab%/*}/target}"
}

# ready: install and build what a lab needs, or say what is missing
ready() {
	local tool stale=
	tools_folder
	if [[ $PINHOLE_BIN ]]; then
		for tool in "${tools[@]}"; do
			[[ -x $bin/$tool ]] || die "there is no $tool in PINHOLE_BIN=$bin"
		done
		packages
		return
	fi
	built || stale=missing
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
	tools_folder
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
	[[ ! ${pcap-} ]] || has python3 || missing+=(python3)
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
	echo "$me: installing $*" >&2
	# tests that run at the same time install one after the other
	local turn
	exec {turn}<"${BASH_SOURCE[0]}"
	! has flock || flock "$turn"
	"${sudo[@]}" apt-get update -qq >/dev/null &&
		"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive "${command[@]}" -qq -o Dpkg::Use-Pty=0 >/dev/null ||
		die "could not install $*"
	exec {turn}<&-
}

# build WHY: build the tools; WHY is the file that is newer than they are, or "missing"
build() {
	local home as why quiet=(--quiet)
	if [[ -x $bin/rendezvous && ! -w $bin ]]; then
		echo "$me: $1 is newer than the tools, and you may not write to $bin: using the tools as they are" >&2
		return
	fi
	owner || die "$why"
	echo "$me: building the tools; the first time, this takes some minutes" >&2
	[[ ! -t 2 ]] || quiet=() # cargo shows its progress
	(cd "${lab%/*}" && "${as[@]}" cargo build --release "${quiet[@]}" "${tools[@]/#/--package=}" >&2) || die "building the tools failed"
	"${as[@]}" touch "$bin/.for-the-lab"
}

# refusal: why this host refuses the namespaces of a lab, as far as it tells, and what to do
refusal() {
	local kind value kinds=(mnt pid net)
	((EUID == 0)) || kinds+=(user)
	for kind in "${kinds[@]}"; do
		setting user/max_${kind}_namespaces 0 && echo "this host allows no $kind namespaces; type: sudo sysctl user.max_${kind}_namespaces=10000" && return
	done
	if ((EUID == 0)); then
		echo 'this host refuses private namespaces, even to root; if it is a container, start it with --privileged'
	elif [[ ! -e /proc/self/ns/user ]]; then
		echo 'this kernel has no user namespaces (CONFIG_USER_NS), so only root can have a lab; use sudo'
	elif setting kernel/unprivileged_userns_clone 0; then
		echo 'this host allows user namespaces to root alone; use sudo, or type: sudo sysctl kernel.unprivileged_userns_clone=1'
	elif setting kernel/apparmor_restrict_unprivileged_userns 1; then
		echo 'AppArmor restricts user namespaces on this host; use sudo, or type: sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0'
	else
		echo 'this host refuses private namespaces to an ordinary user; use sudo; if it is a container, start it with --privileged'
	fi
}

# setting NAME VALUE: whether that file of /proc/sys has this value
setting() {
	local value
	read -r value 2>/dev/null <"/proc/sys/$1" && [[ $value == "$2" ]]
}

# doctor: what this kernel and machine support, and what does not work without it
doctor() {
	local lacks=0 lacking=() as home why tool lines=()
	tools_folder
	can vital 'ip, of iproute2' 'no lab; install iproute2' has ip || lacking+=(ip)
	can vital 'nft, of nftables' 'no lab; install nftables' has nft || lacking+=(nft)
	can vital 'unshare, nsenter, setpriv, flock, mount' 'no lab; install util-linux and mount' \
		eval 'has unshare && has nsenter && has setpriv && has flock && has mount'
	can vital 'private namespaces' "no lab; $(refusal)" "${private[@]}" mount -t tmpfs pinhole /run || lacking+=(setpriv)
	can vital 'NAT in nft' 'no lab; load nf_tables and nft_chain_nat' \
		"${private[@]}" nft -f - <<<'table ip t { map m { type inet_service : ipv4_addr . inet_service; flags dynamic, timeout; timeout 1s; }; chain c { type nat hook prerouting priority -100; meta l4proto udp dnat ip to udp dport map @m; }; }'
	can vital 'veth and bridge' 'no lab; load veth and bridge' \
		"${private[@]}" sh -c 'ip link add v0 type veth peer name v1 && ip link add b0 type bridge'
	can wish 'conntrack timers of a namespace' 'no timeout=…: conntrack keeps mappings longer than the NAT' \
		"${private[@]}" sh -c 'nft add table t && nft "add chain t c { type nat hook prerouting priority -100; }" && echo 9 >/proc/sys/net/netfilter/nf_conntrack_udp_timeout'
	can wish 'copies of dropped packets (NFLOG)' 'no reason for a drop; load nfnetlink_log' \
		"${private[@]}" nft -f - <<<'table ip t { chain c { log prefix "A " group 1; }; }'
	can wish 'random numbers in nft' 'no --loss' \
		"${private[@]}" nft -f - <<<'table ip t { chain c { numgen random mod 100 < 1 drop; }; }'
	can wish 'TAP devices' 'no --link and no --delay; load tun, and start a container with --device /dev/net/tun' \
		"${private[@]}" ip tuntap add dev tap0 mode tap
	can wish 'overlayfs over /etc' 'no names in the nodes, and /etc is shared with the machine; load overlay' \
		"${private[@]}" sh -c 'mount -t tmpfs pinhole /run && mkdir /run/up /run/work &&
			{ mount -t overlay -o lowerdir=/etc,upperdir=/run/up,workdir=/run/work lab /etc ||
				mount -t overlay -o lowerdir=/etc,upperdir=/run/up,workdir=/run/work,userxattr lab /etc; }'
	can wish 'hostname' 'no hostname for each node, where an ordinary user has the lab; install hostname' has hostname
	can wish 'timeout, of coreutils' 'no --timeout; install coreutils' has timeout
	can wish 'conntrack' 'no reboot, nat SIDE TYPE and renumber; install conntrack (Fedora, Arch: conntrack-tools)' has conntrack
	can wish 'python3' 'no --pcap; a lab with --pcap installs it' has python3
	can wish 'miniupnpd, for nftables' 'no upnp=on; a lab with upnp=on installs it (Debian: miniupnpd-nftables)' \
		for_nftables
	if [[ -e $conntrack ]]; then
		can wish 'conntrack table for 8 labs at once' 'the matrix runs fewer; raise it: sysctl net.netfilter.nf_conntrack_max=65536' \
			eval '(($(<$conntrack) >= 8 * tracked))'
	else
		can unknown 'conntrack table for 8 labs at once' 'not tested: the first lab loads nf_conntrack'
	fi
	if [[ $PINHOLE_BIN || $installed ]]; then
		can vital 'the tools' "no lab: PINHOLE_BIN=$bin has not all of ${tools[*]}" built
	else
		can wish 'the tools, built' 'the next lab builds them first' built
		owner
		can wish 'cargo' "the tools cannot be built: $why (or set PINHOLE_BIN)" owner
		can wish 'libnftnl and libmnl for building' 'the tools cannot be built; install pkg-config libnftnl-dev libmnl-dev' \
			pkg-config --exists libnftnl libmnl
	fi
	! built || ((lacks)) || can vital 'a whole lab' "no lab; the reason is printed by: $0 open open --no-verify -- true" \
		env "PINHOLE_BIN=$bin" "$self" open open --no-verify -- true
	[[ ! $json ]] || printf '%s\n' "${lines[@]}" | labreport json --list checks what can:truth vital:truth without || return
	return $((lacks ? 2 : 0))
}

# built: whether all tools are there
built() {
	local tool
	for tool in "${tools[@]}"; do [[ -x $bin/$tool ]] || return; done
}

# can vital|wish|unknown WHAT COST CMD…: print whether CMD succeeds. It is not tested if it has a word of $lacking.
can() {
	local weight=$1 what=$2 cost=$3 yes=true word
	for word in "${lacking[@]}"; do
		[[ " ${*:4}" != *[\ \'\;]"$word "* ]] || { weight=unknown cost="not tested: needs ${word/setpriv/private namespaces}"; break; }
	done
	if [[ $weight == unknown ]]; then
		yes=null
	elif ! "${@:4}" >/dev/null 2>&1; then
		yes=false
		[[ $weight == wish ]] || lacks=1
	fi
	if [[ $json ]]; then
		[[ $1 == vital ]] && weight=true || weight=false
		lines+=("$(tabbed "$what" $yes $weight "$cost")")
	elif [[ $yes == true ]]; then
		say 'yes  %s\n' "$what"
	elif [[ $yes == null ]]; then
		say '?    %-34s %s\n' "$what" "$cost"
	else
		say 'no   %-34s %s\n' "$what" "$cost"
	fi
	[[ $yes == true ]]
}
