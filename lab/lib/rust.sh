# shellcheck shell=bash
# Where Rust is for the user who builds, and which packages bring it, and the rest, on this distribution.

# owner: set $as and $home for the user who builds: the one who called sudo, so that target/ belongs to them. If that
# user cannot build with Rust $want, or that of the lab, fail and set $why, which names the packages that are lacking,
# with those in $missing.
owner() {
	local user=${SUDO_USER:-} run=() vars=() path=$PATH:$HOME/.cargo/bin have folder folders want=${want:-$(rust_for_lab)}
	home=$HOME
	if ((EUID == 0)) && [[ $user && $user != root ]]; then
		home=$(getent passwd "$user" | cut -d: -f6)
		path=$home/.cargo/bin:$PATH run=(runuser -u "$user" --) vars=("HOME=$home" "USER=$user" "LOGNAME=$user")
	fi
	mapfile -t folders < <(versioned)
	why="there is no cargo for ${user:-you}"
	for folder in '' "${folders[@]}"; do
		as=("${run[@]}" env "${vars[@]}" "PATH=${folder:+$folder:}$path")
		have=$("${as[@]}" cargo --version 2>/dev/null | cut -d' ' -f2)
		[[ $have ]] || continue
		! older "$have" "$want" || { why="cargo $have is too old"; continue; }
		return 0
	done
	as=("${run[@]}" env "${vars[@]}" "PATH=$path")
	why+=", and the tools take Rust $want or newer: "
	if "${as[@]}" sh -c 'command -v rustup' >/dev/null; then
		why+='rustup default stable && rustup update stable'
	else
		why+=$(with_packages rust "${missing[@]}")
	fi
	return 1
}

# older A B: whether version A is
older() { [[ $1 != "$2" ]] && printf '%s\n' "$1" "$2" | sort -VC; }

# rust_for_lab, rust_for_all: the oldest Rust that builds what the lab runs, or chat as well
rust_for_lab() { sed -n 's/^rust-version = "\([0-9.]*\)".*/\1/p' "${lab%/*}/Cargo.toml"; }
rust_for_all() { sed -n 's/^rust-version = "\([0-9.]*\)".*/\1/p' "${lab%/*}"/{,tools/*/}Cargo.toml 2>/dev/null | sort -V | tail -1; }

# versioned: the folders of the compilers that Ubuntu installs beside its default, as rustc-1.89; the newest first
versioned() {
	local name folder
	compgen -c rustc-1. | sort -ruV | while read -r name; do
		folder=$(readlink -f "$(command -v "$name")")
		folder=${folder%/*}
		[[ ! -x $folder/cargo ]] || echo "$folder"
	done
}

# with_packages PACKAGE…: the command that installs packages on this distribution; they are given by Debian's names,
# and "rust" is what brings cargo and rustc. Debian's names, Fedora's, Arch's, openSUSE's, Alpine's:
names='
iproute2            iproute+iproute-tc  iproute2   iproute2            iproute2
nftables            nftables            nftables   nftables            nftables
util-linux          util-linux          util-linux util-linux          util-linux
mount               util-linux          util-linux util-linux          mount
miniupnpd-nftables  miniupnpd           miniupnpd  miniupnpd           miniupnpd
gcc                 gcc                 gcc        gcc                 gcc
libc6-dev           glibc-devel         glibc      glibc-devel         musl-dev
pkg-config          pkgconf-pkg-config  pkgconf    pkgconf-pkg-config  pkgconf
libnftnl-dev        libnftnl-devel      libnftnl   libnftnl-devel      libnftnl-dev
libmnl-dev          libmnl-devel        libmnl     libmnl-devel        libmnl-dev
conntrack           conntrack-tools     conntrack-tools conntrack-tools  conntrack-tools
python3-jsonschema  python3-jsonschema  python-jsonschema python3-jsonschema py3-jsonschema
python3             python3             python     python3             python3
shellcheck          ShellCheck          shellcheck ShellCheck          shellcheck
iputils-ping        iputils             iputils    iputils             iputils
rust                cargo+rust          rust       cargo+rust          cargo+rust
'
with_packages() (
	ID='' ID_LIKE='' PRETTY_NAME='this system' UBUNTU_CODENAME='' VERSION_CODENAME='' column=1
	[[ ! -r /etc/os-release ]] || source /etc/os-release
	case " $ID $ID_LIKE " in
	*' debian '* | *' ubuntu '*) command='apt-get install' ;;
	*' fedora '*) column=2 command='dnf install' ;;
	*' arch '*) column=3 command='pacman -S' ;;
	*' suse '* | *' opensuse '*) column=4 command='zypper install' ;;
	*' alpine '*) column=5 command='apk add' ;;
	*) echo "install Rust (https://rustup.rs), and what Debian calls: $*"; return ;;
	esac
	after='' packages=''
	for package; do
		name=$(awk -v name="$package" -v column=$column '$1 == name { print $column }' <<<"$names")
		if [[ $package == rust && $column == 1 ]]; then
			case ${UBUNTU_CODENAME:-$VERSION_CODENAME} in
			bookworm | trixie) name=cargo-web+rustc-web ;; # newer than cargo and rustc, and built for Firefox
			jammy)
				name=cargo-1.91+rustc-1.91
				! older 1.91 "${want:-}" || { echo 'install Rust from https://rustup.rs'; return; } ;;
			noble) name=cargo-1.97+rustc-1.97 ;;
			*) name=rustup after=' && rustup default stable' ;;
			esac
		fi
		[[ "$packages " == *" $name "* ]] || packages+=" ${name//+/ }"
	done
	sudo='sudo '
	((EUID)) || [[ ${SUDO_USER:-} ]] || sudo=''
	echo "on $PRETTY_NAME type: $sudo$command$packages$after"
)
