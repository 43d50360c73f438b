#!/usr/bin/env bash
#
# Everything that people install, from a clean clone with one command, in target/package (or PINHOLE_PACKAGES).
#
#   packaging/build.sh              for x86_64 and aarch64
#   packaging/build.sh MACHINE      for one of them
#
# For each machine: a .deb, a .rpm, and a .tar.gz that is unpacked anywhere. For all: an SBOM (CycloneDX) and
# SHA256SUMS. All tools but nattrace are static (musl). nattrace is linked against the libraries of Debian 12, whose
# glibc is the oldest that it has to run with; they are downloaded into target/package.
#
# As root it installs what it needs. It needs rustup, for the standard libraries of the targets.
#
#   PINHOLE_BIN=FOLDER packaging/build.sh MACHINE
#                                   builds nothing, and packs the tools in FOLDER quickly, for a test: no .rpm, no SBOM

set -euo pipefail
cd "${BASH_SOURCE[0]%/*}/.."
here=$PWD out=${PINHOLE_PACKAGES:-$PWD/target/package}
tools=(natprobe punch rendezvous chat natlink labreport) # nattrace, which links C, is built apart
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH

die() { echo "build.sh: $*" >&2; exit 2; }
step() { echo "— $*" >&2; }
has() { command -v "$1" >/dev/null; }

# needs COMMAND PACKAGE…: install the packages if the command is missing
needs() {
	! has "$1" || return 0
	((EUID == 0)) || die "there is no $1; type: sudo apt-get install ${*:2}"
	step "installing ${*:2}"
	apt-get update -qq && apt-get install -y -qq --no-install-recommends "${@:2}" >/dev/null || die "cannot install ${*:2}"
}

# machine NAME: the names that others have for it
machine() {
	case $1 in
	x86_64) deb=amd64 compiler=gcc triplet=x86_64-linux-gnu emulator=qemu-x86_64-static ;;
	aarch64) deb=arm64 compiler=aarch64-linux-gnu-gcc triplet=aarch64-linux-gnu emulator=qemu-aarch64-static ;;
	*) die "the machine is x86_64 or aarch64, not \"$1\"" ;;
	esac
	machine=$1
	if [[ $(uname -m) == "$1" ]]; then compiler=gcc emulator=; fi
	[[ $compiler != gcc || $(uname -m) == "$1" ]] || die "there is no cross compiler for $1 on $(uname -m); build there"
}

# cargo_build TARGET ENV… -- ARGUMENT…: paths of this machine do not get into the programs
cargo_build() {
	local target=$1 upper
	shift
	upper=${target^^} upper=${upper//-/_}
	local environment=("CARGO_TARGET_${upper}_RUSTFLAGS=--remap-path-prefix=$here=. --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo")
	while [[ $1 != -- ]]; do environment+=("${1//@TARGET@/$upper}"); shift; done
	rustup --quiet target add "$target" 2>/dev/null || rustup target add "$target" || die "rustup cannot get the target $target"
	env "${environment[@]}" cargo build --release --locked --target "$target" "${@:2}"
}

# static: the tools that link no C library
static() {
	local target=$machine-unknown-linux-musl
	step "building ${tools[*]} ($target)"
	# The C code of ring and blake3 calls no function of a libc, but for abort and the mem* ones: any compiler for the
	# machine will do, as long as it adds none of glibc's checks. rust-lld links, with Rust's own copy of musl.
	cargo_build "$target" "CARGO_TARGET_@TARGET@_LINKER=rust-lld" "CC_${target//-/_}=$compiler" \
		"CFLAGS_${target//-/_}=-U_FORTIFY_SOURCE -fno-stack-protector" -- "${tools[@]/#/--package=}"
	stripped "${tools[@]/#/target/$target/release/}"
}

# dynamic: nattrace, against the libraries of Debian 12
dynamic() {
	local target=$machine-unknown-linux-gnu root=$out/debian12-$deb
	step "building nattrace ($target)"
	[[ $root/ready -nt packaging/build.sh ]] || sysroot "$root"
	cargo_build "$target" "CARGO_TARGET_@TARGET@_LINKER=$compiler" \
		"CARGO_TARGET_@TARGET@_RUSTFLAGS=-Clink-arg=--sysroot=$root --remap-path-prefix=$here=. --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo" \
		PKG_CONFIG_ALLOW_CROSS=1 "PKG_CONFIG_LIBDIR=$root/linked" \
		-- --package=nattrace
	stripped "target/$target/release/nattrace"
}

# stripped PROGRAM…: copy them to $bin, without symbols
stripped() { install --strip --strip-program="${compiler%gcc}strip" --target-directory="$bin" "$@"; }

# sysroot FOLDER: what nattrace is linked against, by an apt that has nothing to do with this machine's
sysroot() {
	local root=$1 keys=/usr/share/keyrings/debian-archive-keyring.gpg apt package
	[[ -e $keys ]] || needs debian-archive-keyring debian-archive-keyring
	rm -rf "$root" && mkdir -p "$root"/apt/{lists/partial,cache/archives/partial,etc/preferences.d}
	echo "deb [signed-by=$keys] http://deb.debian.org/debian bookworm main" >"$root/apt/etc/sources.list"
	: >"$root/apt/status"
	apt=(apt-get -qq -o "APT::Architecture=$deb" -o "APT::Architectures=$deb" -o "Dir::State=$root/apt"
		-o "Dir::State::status=$root/apt/status" -o "Dir::Cache=$root/apt/cache" -o "Dir::Etc=$root/apt/etc"
		-o Dir::Etc::sourcelist=sources.list -o Dir::Etc::sourceparts=/dev/null -o APT::Sandbox::User=root)
	"${apt[@]}" update
	(cd "$root/apt" && "${apt[@]}" download libc6 libc6-dev libmnl0 libmnl-dev libnftnl11 libnftnl-dev libgcc-s1)
	# Debian 12's packages still have /lib beside /usr/lib, and its libc.so names paths in either: one tree for both
	mkdir -p "$root"/usr/lib "$root"/usr/lib64 && ln -s usr/lib usr/lib64 "$root"
	for package in "$root"/apt/*.deb; do
		dpkg-deb --fsys-tarfile "$package" | tar --extract --keep-directory-symlink --directory "$root"
	done
	rm -rf "${root:?}/apt"
	# Cargo gives the folder that pkg-config names to the linker of build scripts as well, which run on this machine: so
	# that is a folder without the libc of the other one
	mkdir "$root/linked"
	for package in libmnl libnftnl; do
		ln -s "../usr/lib/$triplet/$package.so" "$root/linked"
		sed "s,^libdir=.*,libdir=$root/linked," "$root/usr/lib/$triplet/pkgconfig/$package.pc" >"$root/linked/$package.pc"
	done
	touch "$root/ready"
}

# run_each: each program starts and knows its version
run_each() {
	local tool said run=()
	if [[ $emulator ]]; then
		needs "$emulator" qemu-user-static
		run=("$emulator" -L "$out/debian12-$deb")
	fi
	for tool in "${tools[@]}" nattrace; do
		said=$("${run[@]}" "$bin/$tool" --version) && [[ $said == "$tool $version" ]] || die "$bin/$tool --version: $said"
	done
}

# stage PREFIX ZSH: what all packages have; completions for zsh are in ZSH
stage() {
	local prefix=$1 doc=$1/share/doc/pinhole page
	install -Dm755 -t "$prefix/bin" "${tools[@]/#/$bin/}" "$bin/nattrace"
	install -Dm755 -t "$prefix/share/pinhole/lab" lab/netns.sh
	cp -r lab/bin lab/lib lab/nat "$prefix/share/pinhole/lab"
	ln -s ../share/pinhole/lab/netns.sh "$prefix/bin/pinhole-lab"
	install -Dm644 -t "$prefix/share/man/man1" packaging/pages/man/*.1
	for page in "$prefix"/share/man/man1/*; do gzip -9n "$page"; done
	install -Dm644 -t "$prefix/share/bash-completion/completions" packaging/pages/bash/*
	install -Dm644 -t "$prefix/share/fish/vendor_completions.d" packaging/pages/fish/*
	install -Dm644 -t "$2" packaging/pages/zsh/*
	install -Dm644 -t "$doc" README.md README.zh-CN.md ARCHITECTURE.md CONTRIBUTING.md CHANGELOG.md SECURITY.md LICENSE-*
	install -Dm644 -t "$doc/crates" crates/README.md
	install -Dm644 -t "$doc/packaging" packaging/rendezvous.{service,socket,conf} packaging/rendezvous-dashboard.json
	cp -r docs "$doc"
	{
		printf 'Pinhole, https://github.com/pinhole-nat/pinhole\n\nMIT or Apache-2.0, at your choice:\n\n'
		cat LICENSE-MIT
		printf '\n----\n\nOn Debian the other is in /usr/share/common-licenses/Apache-2.0; here it is LICENSE-APACHE.\n'
		printf 'chat has the second short word list of the Electronic Frontier Foundation, CC BY 3.0 US.\n'
		printf 'nattrace is linked against libnftnl (GPL-2 or later) and libmnl (LGPL-2.1 or later).\n'
	} >"$doc/copyright"
}

# service ROOT: what belongs to systemd and to the operator
service() {
	install -Dm644 -t "$1/usr/lib/systemd/system" packaging/rendezvous.{service,socket}
	install -Dm644 -t "$1/etc/pinhole" packaging/rendezvous.conf
}

# settled TREE: modes and times that do not depend on who builds, and when
settled() {
	chmod -R u=rwX,go=rX "$1"
	find "$1" -print0 | xargs -0 touch --no-dereference --date="@$SOURCE_DATE_EPOCH"
}

tarball() {
	local name=pinhole-$version-linux-$machine
	stage "$tree/$name" "$tree/$name/share/zsh/site-functions"
	settled "$tree/$name"
	tar --create --sort=name --owner=0 --group=0 --numeric-owner --directory "$tree" "$name" | gzip "-${level}n" >"$out/$name.tar.gz"
}

# glibc: the newest version of glibc that nattrace asks for
glibc() { grep -ao 'GLIBC_2\.[0-9]*' "$bin/nattrace" | sed 's/GLIBC_//' | sort -Vu | tail -n1; }

debian() {
	local root=$tree/deb script
	stage "$root/usr" "$root/usr/share/zsh/vendor-completions"
	service "$root"
	rm "$root/usr/share/doc/pinhole"/LICENSE-*
	# dpkg's own form, which a package must have; what it says is in CHANGELOG.md
	printf 'pinhole (%s) unstable; urgency=medium\n\n  * See CHANGELOG.md beside this file.\n\n -- %s  %s\n' "$version" \
		"$(sed -n 's/^Maintainer: //p' packaging/deb/control)" "$(date --utc --date="@$SOURCE_DATE_EPOCH" -R)" |
		gzip -9n >"$root/usr/share/doc/pinhole/changelog.gz"
	mkdir "$root/DEBIAN"
	for script in postinst prerm postrm; do install -m755 -t "$root/DEBIAN" "packaging/deb/$script"; done
	install -m644 -t "$root/DEBIAN" packaging/deb/conffiles
	sed "s/@VERSION@/$version/; s/@ARCH@/$deb/; s/@LIBC@/$(glibc)/; s/@SIZE@/$(du -sk --exclude=DEBIAN "$root" | cut -f1)/" \
		packaging/deb/control >"$root/DEBIAN/control"
	settled "$root"
	(cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
	touch --date="@$SOURCE_DATE_EPOCH" "$root/DEBIAN/md5sums" "$root/DEBIAN"
	dpkg-deb --root-owner-group -Zxz "-z$level" --build "$root" "$out/pinhole_${version}_$deb.deb" >/dev/null
}

redhat() {
	local root=$tree/rpm
	needs rpmbuild rpm
	stage "$root/usr" "$root/usr/share/zsh/site-functions"
	service "$root"
	settled "$root"
	rpmbuild -bb --quiet --target "$machine-linux" --define "_topdir $tree/rpmbuild" --define "_rpmdir $out" \
		--define "_rpmfilename %{name}-%{version}-%{release}.%{arch}.rpm" --define "tree $root" \
		--define "version_here $version" packaging/rpm/pinhole.spec
}

build() {
	local machine deb compiler triplet emulator bin tree level=9
	machine "$1"
	tree=$(mktemp -d)
	if [[ ${PINHOLE_BIN-} ]]; then
		bin=$PINHOLE_BIN emulator='' level=1
	else
		has rustup || die 'there is no rustup, which gets the standard libraries of the targets: https://rustup.rs'
		needs "$compiler" "${compiler//_/-}" libc6-dev
		needs pkg-config pkg-config
		bin=$out/bin-$machine
		mkdir -p "$bin"
		dynamic
		static
	fi
	run_each
	step "packing for $machine"
	tarball
	debian
	[[ ${PINHOLE_BIN-} ]] || redhat
	rm -rf "$tree"
}

machines=("$@")
((${#machines[@]})) || machines=(x86_64 aarch64)
[[ ! ${PINHOLE_BIN-} || ${#machines[@]} == 1 ]] || die 'PINHOLE_BIN has the tools of one machine: say which'
mkdir -p "$out"
rm -f "$out"/*.{deb,rpm,tar.gz,cdx.json} "$out/SHA256SUMS"
shopt -s nullglob
for each in "${machines[@]}"; do build "$each"; done
[[ ${PINHOLE_BIN-} ]] || python3 packaging/sbom.py >"$out/pinhole-$version.cdx.json"
(cd "$out" && sha256sum -- *.deb *.rpm *.tar.gz *.cdx.json >SHA256SUMS)
step "in ${out#"$here"/}: $(cd "$out" && echo *.deb *.rpm *.tar.gz *.cdx.json SHA256SUMS)"
