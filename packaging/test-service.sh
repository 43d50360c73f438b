#!/usr/bin/env bash
#
# Boots clean systems with the package installed, and uses the service of the rendezvous as its operator does: start,
# measure with natprobe, configure, enable, update, purge.
#
#   packaging/test-service.sh [NAME…]     debian12, debian13, ubuntu2404 (default: all)
#
# A release runs it. It needs root, and the clean systems that packaging/test.sh has made. systemd-nspawn boots each in
# an overlay in RAM, without a network. One line a check, "ok" or "FAIL"; exit 1 if anything failed.

set -uo pipefail
self=$(readlink -f "${BASH_SOURCE[0]}")
made=${PINHOLE_PACKAGES:-${self%/packaging/*}/target/package} roots=${PINHOLE_ROOTS:-${self%/packaging/*}/target/package/roots}

die() { echo "test-service.sh: $*" >&2; exit 2; }

# as_operator SYSTEM: in the booted system; what it prints is in /result
as_operator() {
	local where=$1 after key
	set -uo pipefail
	check() {
		local said
		if said=$("${@:2}" 2>&1); then echo "ok    $where: $1"; else echo "FAIL  $where: $1: ${said//$'\n'/; }"; fi
	}
	not() { ! "$@"; }
	# the service counts as started when it listens
	measured() { natprobe --s1 127.0.0.1 --json | grep -q "$1"; }
	logged() { journalctl --no-pager --output cat --unit rendezvous | grep -q "$1"; }
	until_it() {
		local end=$((SECONDS + 10))
		until "$@"; do ((SECONDS < end)) || return; done
	}
	security() { systemd-analyze security --no-pager rendezvous | tail -n1 | grep -E 'level for rendezvous.service: [01]\.'; }
	other_user() { [[ $(stat -c %u "/proc/$(systemctl show --property MainPID --value rendezvous)") -gt 60000 ]]; }

	check 'the service is not started by the installation' not systemctl --quiet is-active rendezvous
	check 'nor enabled' not systemctl --quiet is-enabled rendezvous
	check 'it starts' systemctl start rendezvous
	check 'natprobe measures with it' measured '"verdict":"measured"'
	check 'it runs as a user of its own' other_user
	check 'systemd says that little is exposed' security
	check 'root can look at it' sh -c 'rendezvous status --json | grep names'
	check 'it keeps names' test -s /var/lib/rendezvous/names
	echo 'RENDEZVOUS_OPTIONS=--state /var/lib/rendezvous/names --ip 127.0.0.1 --alt-ip 127.0.0.2 --relay --relay-ip 127.0.0.1 --json' >/etc/pinhole/rendezvous.conf
	check 'it restarts with other options' systemctl restart rendezvous
	check 'which it takes from rendezvous.conf' measured '"class":"open"'
	check 'its log is JSON lines then' logged '^{.*listening'
	check 'it reloads' systemctl reload rendezvous
	check 'and says so' until_it logged '"event":"reloaded"'
	check 'it is enabled' systemctl --quiet enable rendezvous
	key=$(cat /var/lib/rendezvous/rendezvous-key)
	after=$(systemctl show --property MainPID --value rendezvous)
	check 'an update keeps the configuration' sh -c 'dpkg --install /pinhole.deb && grep alt-ip /etc/pinhole/rendezvous.conf'
	check 'and restarts the service' not test "$after" = "$(systemctl show --property MainPID --value rendezvous)"
	check 'which runs again' measured '"class":"open"'
	check 'with the key that clients know' test "$key" = "$(cat /var/lib/rendezvous/rendezvous-key)"
	check 'it is purged' dpkg --purge pinhole
	check 'and the service is stopped' not systemctl --quiet is-active rendezvous
	check 'and nothing of it is left' sh -c '! ls -d /etc/pinhole /var/lib/rendezvous /var/lib/private/rendezvous \
		/etc/systemd/system/multi-user.target.wants/rendezvous.service 2>/dev/null | grep .'
}

# boot NAME ROOM: in a private mount namespace
boot() {
	local root=$2/root
	mount -t tmpfs pinhole-test "$2" && mkdir "$2"/{upper,work,root} &&
		mount -t overlay -o "lowerdir=$roots/$1,upperdir=$2/upper,workdir=$2/work" pinhole-test "$root" ||
		die "cannot lay an overlay over $roots/$1"
	cp /etc/resolv.conf "$root/etc/resolv.conf"
	cp "$deb" "$root/pinhole.deb"
	chroot "$root" env PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive sh -c \
		'apt-get -qq update && apt-get -qq -y --no-install-recommends install systemd systemd-sysv dbus /pinhole.deb' >"$2/log" 2>&1 ||
		die "cannot install systemd and the package in $1: $(tail -n3 "$2/log")"
	{
		declare -f as_operator
		echo "as_operator $1"' >/result 2>&1; systemctl poweroff'
	} >"$root/operator.sh"
	cat >"$root/etc/systemd/system/operator.service" <<-'U'
		[Unit]
		After=multi-user.target
		[Service]
		Type=oneshot
		Environment=LC_ALL=C.UTF-8
		ExecStart=/bin/bash /operator.sh
	U
	mkdir -p "$root/etc/systemd/system/default.target.wants"
	ln -s ../operator.service "$root/etc/systemd/system/default.target.wants/operator.service"
	timeout 180 systemd-nspawn --quiet --directory "$root" --boot --register=no --keep-unit --private-network --console=pipe \
		</dev/null >"$2/log" 2>&1
	[[ -s $root/result ]] || die "$1 did not come up: $(tail -n5 "$2/log")"
	cat "$root/result"
	! grep -q ^FAIL "$root/result"
}

deb=$(echo "$made"/pinhole_*_"$(dpkg --print-architecture)".deb)
if [[ ${1-} == inside ]]; then
	boot "$2" "$3"
	exit
fi
((EUID == 0)) || die 'this needs root: to boot a system'
[[ -e $deb ]] || die "there is no package in $made: packaging/build.sh makes it"
command -v systemd-nspawn >/dev/null || apt-get install -y -qq systemd-container >/dev/null || die 'cannot install systemd-container'
systems=("$@") failed=0
((${#systems[@]})) || systems=(debian12 debian13 ubuntu2404)
for system in "${systems[@]}"; do
	[[ -d $roots/$system ]] || die "there is no $roots/$system; packaging/test.sh $system makes it"
	room=$(mktemp -d) # a mount point: what is in it exists in the private namespace only
	unshare --mount "$self" inside "$system" "$room" || failed=1
	rmdir "$room"
done
exit $failed
