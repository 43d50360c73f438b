#!/usr/bin/env bash
#
# Installs the Debian package, runs the lab with it, and purges it: nothing may remain.
#
#   packaging/test.sh                 on clean systems: Debian 12, Debian 13, Ubuntu 24.04 (a release runs this), and
#                                     the RPM in an empty folder
#   packaging/test.sh NAME…           on some of them: debian12 debian13 ubuntu2404
#   packaging/test.sh --here          on this system, as the test suite does
#
# The package is the one in target/package (or PINHOLE_PACKAGES), which packaging/build.sh makes. A clean system is a debootstrap root in
# PINHOLE_ROOTS (default: target/package/roots), made once. Each try sees it through an overlay in RAM, so that the
# root, and with --here this system, stays as it was. Needs root; the clean systems need a Debian or Ubuntu mirror.
# One line a check, "ok" or "FAIL"; exit 1 if anything failed.

set -uo pipefail
self=$(readlink -f "${BASH_SOURCE[0]}")
made=${PINHOLE_PACKAGES:-${self%/packaging/*}/target/package} roots=${PINHOLE_ROOTS:-${self%/packaging/*}/target/package/roots}

die() { echo "test.sh: $*" >&2; exit 2; }
ok() { printf 'ok    %s\n' "$*"; }
bad() { printf 'FAIL  %s\n' "$*"; failed=1; }
failed=0

# check WHAT CMD…: it must succeed
check() {
	local said
	if said=$("${@:2}" 2>&1); then ok "$where: $1"; else bad "$where: $1: ${said//$'\n'/; }"; fi
}

# root NAME: a clean system in $roots/NAME
root() {
	local options=(--variant=minbase) suite mirror=http://deb.debian.org/debian script=() incoming=$roots/$1.incoming
	[[ ! -e $roots/$1 ]] || return 0
	command -v debootstrap >/dev/null || apt-get install -y -qq debootstrap >/dev/null || die 'cannot install debootstrap'
	case $1 in
	debian12) suite=bookworm ;;
	debian13) suite=trixie ;;
	ubuntu2404)
		suite=noble mirror=http://archive.ubuntu.com/ubuntu script=(gutsy) # the script of all later ones
		options+=("--components=main,universe")
		# Debian has no package of Ubuntu's keys; this root is for a test, and nothing of it leaves it
		[[ -e /usr/share/keyrings/ubuntu-archive-keyring.gpg ]] || options+=(--no-check-gpg) ;;
	*) die "there is no system \"$1\"; there are debian12 debian13 ubuntu2404" ;;
	esac
	echo "— making $1 in $roots" >&2
	rm -rf --one-file-system "$incoming" && mkdir -p "$incoming" || die "cannot make $incoming"
	debootstrap "${options[@]}" "$suite" "$incoming" "$mirror" "${script[@]}" >"$roots/$1.log" 2>&1 ||
		die "debootstrap failed; $roots/$1.log says why"
	mv "$incoming" "$roots/$1"
}

# enter LOWER ROOM: in a private mount namespace, make / a view of LOWER that is written to in RAM. /tmp/lower is what
# was there, and /tmp/upper what has changed
enter() {
	local room=$2 part new=$2/root
	mount -t tmpfs pinhole-test "$room" && mkdir "$room"/{upper,work,root} &&
		mount -t overlay -o "lowerdir=$1,upperdir=$room/upper,workdir=$room/work" pinhole-test "$new" ||
		die "cannot lay an overlay over $1"
	for part in sys dev; do mount --rbind "/$part" "$new/$part" || die "cannot bind /$part"; done
	mount -t proc proc "$new/proc" && mount -t tmpfs run "$new/run" && mount -t tmpfs tmp "$new/tmp" ||
		die 'cannot mount proc, run and tmp'
	mkdir "$new"/tmp/{old,in,lower,upper}
	mount --bind "$1" "$new/tmp/lower" && mount --bind "$room/upper" "$new/tmp/upper" || die 'cannot bind the overlay'
	cp "$deb" "$tarball" "$self" "$new/tmp/in" && cp /etc/resolv.conf "$new/tmp" || die 'cannot copy the packages'
	# pivot_root and not chroot: in a chroot an ordinary user could make no namespaces
	cd "$new" && pivot_root . tmp/old && umount --lazy /tmp/old || die 'cannot enter the overlay'
	cd /
}

# files: what has changed, but for the records of dpkg, apt and systemd themselves. A folder that was there is copied
# up when a file is written below it, so only new folders count
files() {
	(cd /tmp/upper && find . \( -path ./tmp -o -path ./run -o -path ./var/log -o -path ./var/cache -o -path ./var/lib/apt \
		-o -path './var/lib/dpkg/status*' -o -path './var/lib/dpkg/available*' -o -path './var/lib/dpkg/lock*' \
		-o -path ./var/lib/dpkg/triggers \) -prune \
		-o -type d -exec test -d /tmp/lower/{} \; \
		-o -printf '%p %y %m %U:%G %l\n' | sort)
}

# as_user CMD…: as an ordinary user
as_user() { setpriv --reuid 65534 --regid 65534 --clear-groups env HOME=/tmp "$@"; }

# demonstrated CMD…: the demonstration, which must connect directly, as expected
demonstrated() {
	local said
	said=$("$@" full-cone restricted 2>&1) && grep -q '^direct: ' <<<"$said" && grep -q '^Expected was direct' <<<"$said" || { echo "$said"; return 1; }
}

# completes WORD EXPECTED LINE…: bash completes the last word of LINE to EXPECTED, among others
completes() {
	bash -c '
		source "/usr/share/bash-completion/completions/$2" || exit
		COMP_WORDS=("${@:2}") COMP_CWORD=$(($# - 2))
		$(complete -p "$2" | sed "s/.*-F \([^ ]*\).*/\1/") "$2" "${*: -1}" "${*: -2:1}"
		printf "%s\n" "${COMPREPLY[@]}" | grep -qxe "$1"' bash "$@"
}

apt() { DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Use-Pty=0 --no-install-recommends "$@"; }

# depends: install what the package depends on, before the files are listed
depends() {
	local packages
	cp /tmp/resolv.conf /etc/resolv.conf
	read -ra packages <<<"$(dpkg-deb -f "$deb" Depends | sed 's/([^)]*)//g; s/,/ /g')"
	apt update && apt install "${packages[@]}" bash-completion
}

# try NAME: in the overlay
try() {
	local where=$1 private='' tool before after
	deb=$(echo /tmp/in/*.deb) tarball=$(echo /tmp/in/*.tar.gz)
	export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 PINHOLE_BIN=
	unset PINHOLE_BIN
	[[ $where == here ]] || check 'what the package depends on can be installed' depends
	before=$(files)
	check 'it installs' dpkg --install "$deb"
	for tool in natprobe punch chat rendezvous nattrace natlink labreport; do check "$tool starts" "$tool" --version; done
	check 'pinhole-lab full-cone restricted' demonstrated pinhole-lab
	check 'pinhole-lab full-cone restricted, as an ordinary user' demonstrated as_user pinhole-lab
	check 'pinhole-lab doctor says that nothing vital is missing' pinhole-lab doctor
	check 'each tool and each of its commands has a man page' \
		sh -c 'test $(ls /usr/share/man/man1 | grep -cE "^(natprobe|punch|chat(-[a-z]+)?|rendezvous|nattrace(-[a-z]+)?|natlink(-[a-z]+)?|labreport(-[a-z]+)?|pinhole-lab)\.1\.gz$") = 28'
	if [[ -e /usr/share/bash-completion/completions/natprobe ]]; then
		check 'bash completes an option of natprobe' completes --port-mapping natprobe --po
		check "bash completes the second type of pinhole-lab" completes restricted pinhole-lab full-cone restr
	else
		bad "$where: there are no completions"
	fi
	check 'the page that the README names first is there' test -e /usr/share/doc/pinhole/docs/README.md
	if command -v systemctl >/dev/null; then
		check 'the service can be enabled' systemctl --quiet --root=/ enable rendezvous.service
		check 'systemd understands the service' sh -c '! systemd-analyze verify rendezvous.service 2>&1 | grep rendezvous.service'
		check 'and its sockets' sh -c '! systemd-analyze verify rendezvous.socket 2>&1 | grep rendezvous.socket'
	fi
	# as DynamicUser does; /var/lib/private itself is systemd's
	[[ -d /var/lib/private ]] || private=1
	mkdir -p /var/lib/private/rendezvous && ln -s private/rendezvous /var/lib/rendezvous
	check 'it is purged' dpkg --purge pinhole
	[[ ! $private ]] || rmdir /var/lib/private
	after=$(files)
	check 'and nothing remains' diff <(echo "$before") <(echo "$after")

	mkdir /tmp/elsewhere && tar --extract --file "$tarball" --strip-components 1 --directory /tmp/elsewhere
	check 'the .tar.gz works where it is unpacked' demonstrated /tmp/elsewhere/bin/pinhole-lab
	exit $failed
}

# unpacked RPM: it is installed in an empty folder, without scripts; its lab works there, and its files are those of the
# .deb, but for what each distribution has elsewhere
unpacked() {
	local where=rpm root
	root=$(mktemp -d)
	check 'it is installed in an empty folder' rpm --install --nodeps --noscripts --ignorearch --root "$root" "$1"
	check 'pinhole-lab full-cone restricted' demonstrated "$root/usr/bin/pinhole-lab"
	check 'it has the files of the .deb' diff \
		<(dpkg-deb --fsys-tarfile "$deb" | tar --list | sed 's,^\.,,; s,vendor-completions,site-functions,' | grep -v '/$\|/changelog\.gz$' | sort) \
		<(rpm -qpl "$1" | while read -r file; do [[ -d $root$file || $file == */LICENSE-* ]] || echo "$file"; done | sort)
	rm -rf --one-file-system "$root"
}

packages() {
	local machine=x86_64
	[[ $(uname -m) != aarch64 ]] || machine=aarch64
	deb=$(echo "$made"/pinhole_*_"$(dpkg --print-architecture)".deb)
	tarball=$(echo "$made"/pinhole-*-linux-$machine.tar.gz)
	rpm=$(echo "$made"/pinhole-*.$machine.rpm)
	[[ -e $deb && -e $tarball ]] || die "there is no package in $made: packaging/build.sh makes it"
}

if [[ ${1-} == inside ]]; then
	deb=$4 tarball=$5
	enter "$3" "$6"
	try "$2"
fi
((EUID == 0)) || die 'this needs root: to install a package, and to lay overlays'
packages
systems=("$@")
if ((!${#systems[@]})); then
	systems=(debian12 debian13 ubuntu2404)
	unpacked "$rpm"
fi
for system in "${systems[@]}"; do
	if [[ $system == --here ]]; then
		system=here lower=/
	else
		root "$system"
		lower=$roots/$system
	fi
	room=$(mktemp -d) # a mount point: what is in it exists in the private namespace only
	unshare --mount --pid --fork --kill-child "$self" inside "$system" "$lower" "$deb" "$tarball" "$room" || failed=1
	rmdir "$room"
done
exit $failed
