#!/usr/bin/env bash
# A gateway that maps ports for who asks: natprobe finds it, and asks for nothing else.
source "${BASH_SOURCE[0]%/*}/words.sh"
source "${test%/*}/lib/needs.sh"

die() { bad "$*"; exit 1; }
[[ ${PINHOLE_BIN:-} ]] || export PINHOLE_BIN=${test%/*/*}/target/release
PATH=$PATH:/usr/sbin

install=1
has miniupnpd || install miniupnpd-nftables # the daemon alone: Debian has the service in another package

# miniupnpd takes the documentation's networks for private ones, where it maps nothing
options=(--prefix 11.22.33.0/24)
story full-cone open port-mapping.py
