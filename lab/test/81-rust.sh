#!/usr/bin/env bash
# What somebody meets who has no Rust, an old one, or one that their distribution calls by another name.
source "${BASH_SOURCE[0]%/*}/words.sh"

tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
chmod 755 "$tmp"
mkdir -p "$tmp/repo" "$tmp/home" "$tmp/bare" "$tmp/own"
cp -r "${netns%/*}" "$tmp/repo/lab"
cp "${test%/*/*}/Cargo.toml" "$tmp/repo"
want=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$tmp/repo/Cargo.toml")

# a machine's commands, without Rust, and without what builds
ln -sf /usr/sbin/* /usr/bin/* "$tmp/bare"
rm -f "$tmp/bare/"{cargo,rustc,rustup}* "$tmp/bare/"{cc,pkg-config}
fake() { # NAME LINE…: a command that is found first
	printf '#!/bin/sh\n' >"$tmp/own/$1" && printf '%s\n' "${@:2}" >>"$tmp/own/$1" && chmod +x "$tmp/own/$1"
}
fake apt-get "echo \"\$*\" >>$tmp/installed"

# on FILE COMMAND…: on the distribution of that os-release, as root of a namespace
on() {
	env -i HOME="$tmp/home" PATH="$tmp/own:$tmp/bare" "$tmp/bare/unshare" --user --map-root-user --mount \
		sh -c 'mount --bind "$1" /etc/os-release && shift && exec "$@"' sh "$@" 2>&1
}
# first WHAT PATTERN: the first command is one line that matches, and nothing was installed or built
first() {
	local said code
	rm -f "$tmp/installed"
	said=$(on "$tmp/os-release" "$tmp/repo/lab/netns.sh" full-cone restricted)
	code=$?
	# shellcheck disable=SC2053
	if [[ $code == 2 && $said != *$'\n'* && $said == $2 && ! -e $tmp/installed ]]; then ok "$1"; else bad "$1: exit $code, ${said//$'\n'/; } $(cat "$tmp/installed" 2>&1)"; fi
}
os() { printf '%s\n' "$@" >"$tmp/os-release"; }
none="netns.sh: the tools are not built, and there is no cargo for you, and the tools take Rust $want or newer: "
rest='gcc libc6-dev pkg-config libnftnl-dev libmnl-dev (or set PINHOLE_BIN)'

os ID=debian VERSION_CODENAME=bookworm 'PRETTY_NAME="Debian 12"'
first 'Debian 12 without Rust' "${none}on Debian 12 type: apt-get install cargo-web rustc-web $rest"
os ID=debian VERSION_CODENAME=trixie PRETTY_NAME=13
first 'Debian 13' "*on 13 type: apt-get install cargo-web rustc-web $rest"
os ID=ubuntu ID_LIKE=debian VERSION_CODENAME=noble PRETTY_NAME=24.04
first 'Ubuntu 24.04' "*on 24.04 type: apt-get install cargo-1.97 rustc-1.97 $rest"
os ID=linuxmint 'ID_LIKE="ubuntu debian"' UBUNTU_CODENAME=noble VERSION_CODENAME=wilma PRETTY_NAME=Mint
first 'a distribution that is made of it' "*on Mint type: apt-get install cargo-1.97 rustc-1.97 *"
os ID=ubuntu VERSION_CODENAME=someday PRETTY_NAME=Later
first 'a release that is not known: rustup' "*on Later type: apt-get install rustup ${rest% (*} && rustup default stable (or set PINHOLE_BIN)"
os ID=fedora 'PRETTY_NAME="Fedora Linux 43"'
first 'Fedora' '*on Fedora Linux 43 type: dnf install cargo rust gcc glibc-devel pkgconf-pkg-config libnftnl-devel libmnl-devel (*'
os ID=arch PRETTY_NAME=Arch
first 'Arch' '*on Arch type: pacman -S rust gcc glibc pkgconf libnftnl libmnl (*'
os ID=opensuse-tumbleweed 'ID_LIKE="opensuse suse"' PRETTY_NAME=openSUSE
first 'openSUSE' '*on openSUSE type: zypper install cargo rust gcc glibc-devel pkgconf-pkg-config libnftnl-devel libmnl-devel (*'
os ID=alpine PRETTY_NAME=Alpine
first 'Alpine' '*on Alpine type: apk add cargo rust gcc musl-dev pkgconf libnftnl-dev libmnl-dev (*'
os ID=plan9 PRETTY_NAME=Other
first 'and elsewhere, rustup.rs' "*install Rust (https://rustup.rs), and what Debian calls: rust $rest"

os ID=debian VERSION_CODENAME=bookworm PRETTY_NAME=12
fake cargo 'echo cargo 1.63.0'
first "Debian 12's own cargo is too old" "*and cargo 1.63.0 is too old, and the tools take Rust $want or newer: on 12 type: apt-get install cargo-web rustc-web *"
fake rustup ''
first 'with rustup, rustup updates it' '*cargo 1.63.0 is too old, and the tools take Rust 1.* or newer: rustup default stable && rustup update stable (*'
rm "$tmp/own/rustup"
check 'the same in test.sh' grep -q '^test.sh: cargo 1.63.0 is too old, .* cargo-web rustc-web' <<<"$(on "$tmp/os-release" "$tmp/repo/lab/test.sh")"
check 'which installs nothing either' test ! -e "$tmp/installed"

# Ubuntu's compilers have their versions in their names, and are beside the default
for version in 1.63 1.99 1.100; do
	mkdir -p "$tmp/own/lib/rust-$version/bin"
	ln -s "lib/rust-$version/bin/rustc" "$tmp/own/rustc-$version"
	printf '#!/bin/sh\n' >"$tmp/own/lib/rust-$version/bin/rustc"
	printf '#!/bin/sh\n[ "$1" = --version ] && exec echo cargo %s.0\necho "%s $1" >>%s/built\n' $version $version "$tmp" >"$tmp/own/lib/rust-$version/bin/cargo"
	chmod +x "$tmp/own/lib/rust-$version/bin/"*
done
for name in cc pkg-config; do ln -s "$(command -v $name)" "$tmp/own/$name"; done
on "$tmp/os-release" "$tmp/repo/lab/netns.sh" full-cone restricted >/dev/null
check 'cargo-1.NN is found beside an older cargo, and the newest builds' test "$(cat "$tmp/built")" = '1.100 build'
rm "$tmp/own/lib/rust-1.100/bin/cargo" "$tmp/built"
on "$tmp/os-release" "$tmp/repo/lab/netns.sh" full-cone restricted >/dev/null
check 'a compiler that is there without its cargo is passed over' test "$(cat "$tmp/built")" = '1.99 build'
