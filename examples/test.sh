#!/usr/bin/env bash
#
# Runs the examples whole: each peer between every pair of seven NAT types, and the Containerfile.
#
#   examples/test.sh                all
#   examples/test.sh aioice is      some: aioice, is, containerfile
#
# The Containerfile is built and run by podman or docker where one of them works; else its steps are done in a
# debootstrap root, which needs root and a Debian mirror. One line a check, "ok" or "FAIL"; exit 1 if anything failed.
# It takes five minutes: a cell without a path waits for ten seconds.

set -uo pipefail
here=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
root=${here%/*} failed=0
read -ra types <<<"full-cone restricted port-restricted symmetric masquerade masquerade,input=drop cgnat"
tmp=$(mktemp -d) && trap 'rm -rf --one-file-system "$tmp"' EXIT || exit 2

die() { echo "test.sh: $*" >&2; exit 2; }

# check WHAT CMD…: it must succeed; what it prints goes to stderr
check() {
	if "${@:2}" >&2; then echo "ok    $1"; else echo "FAIL  $1"; failed=1; fi
}

# grid WHAT CMD…: between all pairs, as expected
grid() {
	check "$1 between ${#types[@]} × ${#types[@]} NATs: as the oracle expects of any ICE agent" \
		"$root/lab/netns.sh" matrix "${types[@]}" --both --strict --no-verify --output "$tmp/$1" -- "${@:2}"
}

aioice() {
	python3 -m venv "$tmp/venv" && "$tmp/venv/bin/pip" install --quiet --requirement "$here/aioice/requirements.txt" ||
		die 'cannot install aioice'
	grid aioice "$tmp/venv/bin/python" "$here/aioice/peer.py"
}

is() {
	local target=$root/target/examples
	cargo build --quiet --release --locked --manifest-path "$here/is/Cargo.toml" --target-dir "$target" || die 'the peer with is does not build'
	grid is "$target/release/ice-peer"
}

containerfile() {
	local engine PINHOLE_BIN=${PINHOLE_BIN:-$root/target/release}
	cp "$here"/aioice/{Containerfile,requirements.txt,peer.py} "$tmp"
	PINHOLE_BIN=$PINHOLE_BIN PINHOLE_PACKAGES=$tmp/package "$root/packaging/build.sh" "$(uname -m)" >&2 || die 'the package is not built'
	mv "$tmp"/package/pinhole_*.deb "$tmp/pinhole.deb"
	for engine in podman docker; do
		"$engine" info >/dev/null 2>&1 || continue
		check "the Containerfile is built by $engine" "$engine" build --quiet --tag pinhole-example --build-arg PINHOLE=pinhole.deb --file "$tmp/Containerfile" "$tmp"
		check "and its matrix is as expected" "$engine" run --rm --privileged pinhole-example
		"$engine" image rm --force pinhole-example >/dev/null
		return
	done
	echo 'note  neither podman nor docker works here: the steps of the Containerfile are done in a debootstrap root'
	((EUID == 0)) || die 'the steps of the Containerfile need root here'
	command -v debootstrap >/dev/null || die 'there is no debootstrap'
	check 'the steps of the Containerfile, and its matrix is as expected' python3 "$here/containerfile.py" "$tmp/Containerfile" "$tmp/root" PINHOLE=pinhole.deb
}

for part in "${@:-aioice is containerfile}"; do
	for one in $part; do
		[[ $one == @(aioice|is|containerfile) ]] || die "there is no example \"$one\"; there are aioice, is and containerfile"
		"$one"
	done
done
exit $failed
