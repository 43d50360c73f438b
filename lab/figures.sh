#!/usr/bin/env bash
#
# Draws NAT types from real runs: each is measured by natprobe in a lab of its own.
#
#   lab/figures.sh               all types, into docs/figures
#   lab/figures.sh TYPE…         these
#   FOLDER=x lab/figures.sh …    into another folder

lab=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
folder=${FOLDER:-${lab%/*}/docs/figures}
bin=${PINHOLE_BIN:-${lab%/*}/target/release}
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
mkdir -p "$folder" || exit 2

types=("$@")
(($#)) || mapfile -t types < <("$lab/netns.sh" list | sed '1d; s/ .*//')
for type in "${types[@]}"; do
	"$lab/netns.sh" "$type" open --no-verify -- ip netns exec alice natprobe --json >"$tmp/report.json"
	# a NAT that blocks UDP is natprobe's exit 1, and a report all the same
	"$bin/labreport" figure "$tmp/report.json" --title "$type" >"$tmp/figure.svg" || exit
	mv "$tmp/figure.svg" "$folder/$type.svg"
done
