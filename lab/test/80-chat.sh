#!/usr/bin/env bash
# chat, with real processes: conversations, broken paths, files, strangers, the terminal.
source "${BASH_SOURCE[0]%/*}/words.sh"

[[ ${PINHOLE_BIN:-} ]] || export PINHOLE_BIN=${test%/*/*}/target/release
[[ -x $PINHOLE_BIN/chat ]] || bad "there is no chat in $PINHOLE_BIN: cargo build --release --package=chat"

# among A B FILE ARGUMENT…: one of the stories, under the name of its pair; $flags are netns.sh's
among() {
	local line
	"$netns" "$1" "$2" --no-verify "${flags[@]}" -- python3 "$test/$3" "${@:4}" 2>&1 |
		while IFS= read -r line; do printf '%s\n' "${line/  /  $1 × $2${flags[*]:+ (${flags[*]})}: }"; done
	((PIPESTATUS[0] == 0)) || bad "$3 with $1 and $2 did not succeed"
}

flags=()
for a in full-cone restricted port-restricted symmetric; do
	for b in full-cone restricted port-restricted symmetric; do
		among $a $b chat-talk.py
	done
done
among cgnat masquerade chat-talk.py
for percent in 10 30; do
	flags=(--loss "$percent")
	among port-restricted restricted chat-talk.py 60
done
flags=()

among symmetric symmetric chat-relay.py over
among symmetric symmetric chat-relay.py direct_only
among restricted port-restricted chat-relay.py relay_only
among restricted port-restricted chat-relay.py limited
among restricted port-restricted chat-relay.py move

among port-restricted port-restricted chat-tcp.py carries
among firewall,tcp=rst firewall chat-tcp.py carries
among port-restricted restricted chat-tcp.py breaks
among port-restricted restricted chat-tcp.py two
among symmetric symmetric chat-tcp.py neither
among full-cone restricted chat-tcp.py unneeded

among port-restricted symmetric chat-reach.py guesses
among symmetric,upnp=on symmetric chat-reach.py maps
among port-restricted restricted chat-reach.py roams bob

among full-cone restricted chat-reboot.py nat-alice nat-bob
among restricted symmetric chat-reboot.py nat-bob
among symmetric symmetric chat-reboot.py nat-alice nat-bob
among port-restricted,ports=random port-restricted,ports=random chat-reboot.py nat-alice nat-bob

among port-restricted restricted,ports=random chat-restart.py

among restricted port-restricted chat-files.py 200
among port-restricted restricted chat-strangers.py
among restricted port-restricted chat-send.py 20 direct
among symmetric symmetric chat-send.py 4 relay
among port-restricted restricted chat-question.py
among port-restricted restricted chat-away.py
among restricted restricted chat-gone.py
among full-cone port-restricted chat-terminal.py
among full-cone port-restricted chat-accept.py
flags=(symmetric)
among port-restricted restricted chat-room.py
flags=()
among port-restricted restricted chat-room-terminal.py
among restricted restricted chat-room-full.py
among port-restricted restricted chat-friend.py
# As 20 s, 5 s and six minutes and a half; ports are random, or who had lost one would get it back.
among port-restricted,timeout=1s,ports=random port-restricted,timeout=1s,ports=random chat-idle.py 20 --keepalive 0.25
