#!/usr/bin/env bash
#
# Prints figures, asserts nothing.
#
#   lab/bench-chat.sh [MIB [ROUNDS]]
#
# A file through the lab's two NATs by chat, and the same file by bare quinn over the same path, in
# turn: MiB a second, and the median of the ratios of each pair.

set -e
lab=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
target=${CARGO_TARGET_DIR:-${lab%/*}/target}
cd "${lab%/*}"
cargo build --release --quiet --package=chat --package=rendezvous --bins
cargo build --release --quiet --package=chat --example=bare
PINHOLE_BIN=$target/release "$lab/netns.sh" full-cone full-cone --no-verify -- \
	python3 "$lab/test/chat-speed.py" "${1:-300}" "${2:-9}" "$target/release/examples"
