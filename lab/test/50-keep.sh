#!/usr/bin/env bash
# A lab that stays: up, exec, shell, nat, status, down; several by name.
source "${BASH_SOURCE[0]%/*}/words.sh"

one=test-$$-one two=test-$$-two
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"; "$netns" down --name $one 2>/dev/null; "$netns" down --name $two 2>/dev/null' EXIT

exits 0 'a lab comes up' up full-cone cgnat --name $one --no-verify
exits 0 'and another' up open symmetric --name $two --no-verify --prefix 198.18.9.0/24
refused 'not twice under one name' 'is up (full-cone, cgnat)' up open open --name $one --no-verify
exits 0 'a node reaches the server' exec alice --name $one -- ping -qc1 -W2 203.0.113.1
exits 0 'in each lab by its own addresses' exec bob --name $two -- ping -qc1 -W2 198.18.9.2
exits 0 'a node knows its name and the server' exec alice2 --name $one -- sh -c 'test $PINHOLE_NAME = alice2 && test $PINHOLE_SERVER = 203.0.113.1:8848'
exits 9 "exec exits as its command does" exec bob --name $one -- sh -c 'exit 9'
refused 'an unknown node, with those that there are' 'alice alice2 bob core isp-bob nat-alice nat-bob server' exec carol --name $one -- true
for node in '' . ..; do refused "a node \"$node\"" "no node \"$node\"" exec "$node" --name $one -- true; done
exits 127 'a command that is not there is not an answer' exec alice --name $one -- not-a-command
refused 'a node that is no router, with those that are' 'are isp-bob nat-alice nat-bob (--help' nat alice --name $one
refused 'a router without NAT' 'has no NAT' nat core --name $one
check 'nat names the router' grep -q '"node":"isp-bob"' <<<"$("$netns" nat isp-bob --json --name $one)"
check 'many sockets send' "$netns" exec alice --name $one -- python3 -c '
import socket
sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(30)]
for each in sockets:
    each.sendto(b"x", ("203.0.113.1", 9))'
said=$("$netns" nat nat-alice --name $one)
check 'nat shows the latest mappings' test "$(grep -c ' → ' <<<"$said")" = 20
check 'and how many more there are' grep -qE '^ +1[0-9] more: --all$' <<<"$said"
check 'with --all, all' test "$("$netns" nat nat-alice --all --name $one | grep -c ' → ')" -ge 30
inside=$(mktemp -d -p "${XDG_RUNTIME_DIR:-/run}")
said=$(env -C "$inside" "$netns" exec alice --name $one -- true 2>&1)
check "a folder that the lab has not is told as what it is: $said" grep -q "cannot enter the lab.*$inside" <<<"$said"
rmdir "$inside"
check 'exec keeps the folder' env -C /usr "$netns" exec bob --name $one -- sh -c 'test $PWD = /usr'
said=$(echo 'echo in $PINHOLE_NAME' | SHELL=/bin/sh "$netns" shell bob --name $one)
check 'shell is a shell in the node' test "$said" = 'in bob'
for shell in bash dash; do
	# The first prompt is waited for; then the shell is left.
	said=$(SHELL=$(command -v $shell) timeout 60 python3 - "$netns" shell bob --name $one 2>&1 <<'P'
import os, pty, sys
child, terminal = pty.fork()
if child == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
seen = b""
try:
    while b"(bob) " not in seen:
        seen += os.read(terminal, 1000)
    os.write(terminal, b"exit\n")
    while os.read(terminal, 1000):
        pass
except OSError:
    pass  # the shell has ended
os.waitpid(child, 0)
print(seen.decode(errors="replace"))
P
	)
	check "the prompt of $shell there has the node's name" grep -q '(bob) ' <<<"$said"
done
said=$("$netns" status)
check 'status shows both' grep -q "$one .*full-cone .*cgnat" <<<"$said"
check 'and with --json' grep -q "\"name\":\"$two\",\"a\":\"open\",\"b\":\"symmetric\",\"prefix\":\"198.18.9.0/24\"" <<<"$("$netns" status --json)"
exits 0 'down ends one' down --name $one
check 'and the other stays' "$netns" exec bob --name $two -- true
refused 'what is down is not there' 'no lab' exec alice --name $one -- true

holder=$("$netns" status --json | sed -n "s/.*\"name\":\"$two\".*\"pid\":\([0-9]*\).*/\1/p")
kill -KILL "$holder"
until_it gone "$holder"
check 'a lab whose holder was killed is not there, and its file goes' sh -c "! '$netns' status | grep -q $two"
exits 0 'and its name is free' up open open --name $two --no-verify
exits 0 'down again' down --name $two

said=$("$netns" up open open --name $two --json 2>&1)
check 'up as JSON: the lab and both sides, a line each' python3 -c 'import json, sys; lab, *sides = map(json.loads, sys.argv[1].splitlines()); assert lab["a"] == "open" and [s["node"] for s in sides] == ["alice", "bob"]' "$said"
exits 0 'and its end' down --name $two

# who starts one and dies before it is written down: with SIGPIPE ignored, as services have it
for try in 1 2 3 4 5 6; do
	(trap '' PIPE; exec "$netns" up open open --name $two --no-verify >/dev/null 2>&1) &
	script=$!
	sleep "0.0$((try + 2))"
	family=$(family $script)
	kill -KILL $script 2>/dev/null # or it was faster
	wait $script 2>/dev/null
	"$netns" down --name $two 2>/dev/null
	check "up killed after ${try}0 ms or more: nothing of it goes on" until_it gone $family
done

# killed: while something runs in it, HOW…
killed() {
	"$netns" up open open --name $one --no-verify >/dev/null || bad 'no lab to be killed'
	: >"$tmp/said"
	"$netns" exec alice --name $one -- sh -c 'echo in; exec sleep 1000' >"$tmp/said" 2>&1 &
	until_it grep -q in "$tmp/said"
	"$@"
	wait $!
	check "exec exits 2 when the lab ends ($1)" test $? = 2
	if [[ $(sed 's/^netns.sh: //' "$tmp/said") == $'in\nthe lab "'"$one"'" has ended' ]]; then
		ok 'and says so, without words of bash'
	else
		bad "it says something else: $(<"$tmp/said")"
	fi
}
# its file and its holder may go while they are read
# shellcheck disable=SC2016 # for the other shell
said=$(bash -c 'source "$1"; labs=$2; started() { rm "$labs/gone"; echo 1; }
	echo "999999999 1 open open 203.0.113 bin" >"$labs/gone"
	found gone; [[ $? == 1 ]] && echo told' - "${netns%/*}/lib/keep.sh" "$tmp" 2>&1)
check 'a lab that ends while it is looked for is not there, and no more is said' test "$said" = told
holder() { "$netns" status --json | sed -n "s/.*\"name\":\"$1\".*\"pid\":\([0-9]*\).*/\1/p"; }
kill_holder() { kill -KILL "$(holder $one)"; }
killed "$netns" down --name $one
killed kill_holder
exits 0 'a lab' up open open --name $two --no-verify
exits 137 'a command that is killed itself is another thing' exec bob --name $two -- sh -c 'kill -9 $$'
exits 0 'whose lab stays' down --name $two

# who comes second is told, and nothing is left of their lab
for i in 1 2 3 4 5; do
	for try in a b c; do "$netns" up open open --name $two --no-verify >"$tmp/$try" 2>&1 & done
	wait
	check "three at once with one name: one is up, round $i" test "$(cat "$tmp"/[abc] | grep -c '^The lab')" = 1
	check 'and the others are told' test "$(cat "$tmp"/[abc] | grep -c "\"$two\" is up (open, open)")" = 2
	"$netns" down --name $two
	check 'and nobody when it is down' until_it eval "! pgrep -f 'netns.sh up open open --name $two' >/dev/null"
done
