#!/usr/bin/env bash
#
# The lab on the kernels that people have: boots Debian 12's and Debian 13's stock kernels in qemu, runs lab tests there,
# and prints a table.
#
#   lab/kernels.sh                 on both
#   lab/kernels.sh debian12        on one of them: debian12 debian13
#   lab/kernels.sh types matrix    some of the tests: types cones keep ends matrix matrix-over-links links sides events
#
# A machine is a debootstrap root in PINHOLE_KERNELS (default: target/kernels), made once, as a disk image with this
# checkout's lab and tools. Needs root, qemu-system-x86, debootstrap, e2fsprogs and a Debian mirror. qemu emulates
# the processor, which takes 10 minutes and more for each kernel; PINHOLE_ACCEL=kvm is faster where KVM works. All that was printed is in the folder,
# in NAME.said. Exit 1 if a test failed, 2 if a kernel did not boot or did not come to its end.

set -o pipefail
lab=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
room=${PINHOLE_KERNELS:-${lab%/*}/target/kernels} tools=${PINHOLE_BIN:-${lab%/*}/target/release}
patience=${PINHOLE_KERNELS_TIMEOUT:-5400} # seconds for one kernel
kinds='full-cone restricted port-restricted symmetric masquerade cgnat'

die() { echo "kernels.sh: $*" >&2; exit 2; }

# root NAME: a Debian with its stock kernel in $room/NAME
root() {
	local suite=bookworm
	[[ ! -e $room/$1 ]] || return 0
	[[ $1 == debian12 ]] || suite=trixie
	echo "— making $1 in $room" >&2
	rm -rf --one-file-system "$room/$1.incoming"
	debootstrap --variant=minbase --include=linux-image-amd64,nftables,iproute2,mount,python3,iputils-ping,conntrack,hostname,procps,kmod,libnftnl11,miniupnpd-nftables \
		"$suite" "$room/$1.incoming" "${PINHOLE_MIRROR:-http://deb.debian.org/debian}" >"$room/$1.log" 2>&1 || die "debootstrap failed; $room/$1.log says why"
	mv "$room/$1.incoming" "$room/$1"
}

# init: what the machine runs in place of an init: each test, and how it ended, on the second serial port
init() {
	cat <<'INIT'
#!/bin/bash
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t tmpfs tmp /tmp; mount -t tmpfs run /run
[[ -e /dev/ttyS1 ]] || mount -t devtmpfs dev /dev
export PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 PINHOLE_BIN=/pinhole/bin DEADLINE=120
ip link set lo up
modprobe tun # udev does this on a machine that is booted as usual
cd /pinhole
exec >/dev/ttyS1 2>&1
stty -F /dev/ttyS1 -opost
echo "kernel $(uname -r)"
lab/netns.sh doctor
# part NAME CMD…
part() {
	local start=$SECONDS code
	"${@:2}" >/tmp/said 2>&1 </dev/null
	code=$?
	cat /tmp/said
	echo "part $1 $code $(grep -c '^ok ' /tmp/said) $(grep -c '^FAIL ' /tmp/said) $((SECONDS - start))"
}
for test in TESTS; do
	case $test in
	types) part types bash lab/test/10-types.sh ;;
	cones) part cones bash lab/test/20-cones.sh ;;
	keep) part keep bash lab/test/50-keep.sh ;;
	ends) part ends bash lab/test/62-ends.sh ;;
	matrix) part matrix lab/netns.sh matrix KINDS --no-verify ;;
	matrix-over-links) part matrix-over-links lab/netns.sh matrix full-cone port-restricted symmetric --no-verify --delay 20 --link alice=delay:30ms,jitter:5ms ;;
	links) part links bash lab/test/83-links.sh ;;
	sides) part sides bash lab/test/44-sides.sh ;;
	events) part events bash lab/test/46-events.sh ;;
	esac
done
echo done
sync
echo o >/proc/sysrq-trigger
sleep 60
INIT
}

# boot NAME: its kernel, with this checkout, until it has come to its end
boot() {
	local system=$room/$1 kernel size
	rm -rf "$system/pinhole" && mkdir -p "$system/pinhole/bin" || die "cannot write to $system"
	cp -r "$lab" "$system/pinhole" && cp "$tools"/{rendezvous,natprobe,punch,nattrace,natlink,labreport,chat} "$system/pinhole/bin" ||
		die "the tools are not in $tools; build them: cargo build --release"
	init | sed "s/KINDS/$kinds/; s/TESTS/${tests[*]}/" >"$system/pinhole/init" && chmod +x "$system/pinhole/init"
	kernel=$(ls "$system"/boot/vmlinuz-* | tail -1)
	size=$(($(du -sm "$system" | cut -f1) + 500))
	rm -f "$room/$1.img" && mke2fs -q -t ext4 -d "$system" "$room/$1.img" "${size}m" || die "cannot make $room/$1.img"
	echo "— booting ${kernel##*/}, which prints to $room/$1.said" >&2
	timeout "$patience" qemu-system-x86_64 -accel "${PINHOLE_ACCEL:-tcg,thread=multi}" -cpu max -smp 2 -m 2048 -nographic -no-reboot -nodefaults \
		-kernel "$kernel" -initrd "${kernel/vmlinuz/initrd.img}" -append 'root=/dev/vda rw console=ttyS0 panic=-1 init=/pinhole/init' \
		-drive "file=$room/$1.img,format=raw,if=virtio,cache=unsafe" -serial "file:$room/$1.console" -serial "file:$room/$1.said" >"$room/$1.qemu" 2>&1 </dev/null
	rm -f "$room/$1.img"
}

# table NAME…: a row for each test, a column for each kernel
table() {
	local name part row
	printf '| test |'
	for name; do printf ' %s, Linux %s |' "$name" "$(sed -n 's/^kernel //p' "$room/$name.said")"; done
	printf '\n|---|'
	for name; do printf -- '---|'; done
	echo
	for part in "${tests[@]}"; do
		row="| $part |"
		for name; do
			row+=" $(awk -v part="$part" '$1 == "part" && $2 == part {
					if (part ~ /^matrix/) { said = $3 == 0 ? "all as expected" : "exit code " $3 } else { said = $4 " passed, " $5 " failed" }
					print said ", " $6 " s"; found = 1
				}
				END { if (!found) print "not reached" }' "$room/$name.said") |"
		done
		echo "$row"
	done
}

((EUID == 0)) || die 'needs root, for debootstrap'
for tool in qemu-system-x86_64 debootstrap mke2fs; do
	command -v $tool >/dev/null || die "there is no $tool; install qemu-system-x86, debootstrap and e2fsprogs"
done
names=() tests=() all=(types cones keep ends matrix matrix-over-links links sides events)
for word; do
	if [[ $word == debian1[23] ]]; then
		names+=("$word")
	elif [[ " ${all[*]} " == *" $word "* ]]; then
		tests+=("$word")
	else
		die "there is no machine and no test \"$word\"; there are debian12, debian13, and ${all[*]}"
	fi
done
((${#tests[@]})) || tests=("${all[@]}")
((${#names[@]})) || names=(debian12 debian13)
set -- "${names[@]}"
mkdir -p "$room" || exit 2
code=0
for name; do
	root "$name"
	boot "$name"
	grep -q '^done' "$room/$name.said" || { code=2; echo "kernels.sh: $name did not come to its end; $room/$name.said and $name.console say how far" >&2; }
done
table "$@"
for name; do
	grep -E '^(FAIL|SURPRISE|BROKEN) ?' "$room/$name.said" | sed "s/^/$name: /"
	! grep -qE '^(FAIL |part [a-z-]+ [1-9])' "$room/$name.said" || ((code)) || code=1
done
exit $code
