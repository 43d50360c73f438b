#!/usr/bin/env bash
# A command between two types, and between every pair: what it finds, what its exit code becomes, and what is kept.
source "${BASH_SOURCE[0]%/*}/words.sh"

tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
[[ ${PINHOLE_BIN:-} ]] || export PINHOLE_BIN=${test%/*/*}/target/release
cd "$tmp" || exit

# A program that punches plainly, as ICE agents do: each outcome is as the oracle expects it without openers. Where one
# NAT remaps after early packets, it depends on who sends first, and bob does.
said=$("$netns" matrix port-restricted symmetric masquerade --both --strict --no-verify --output agent --json agent.json -- \
	python3 "$test/agent.py" 2>&1)
code=$?
if [[ $code == 0 ]]; then ok 'a plain peer connects as the oracle expects of any ICE agent'; else bad "a plain peer: exit $code: ${said//$'\n'/; }"; fi
check 'and the pairs that openers would connect are named' grep -q \
	'^plain punching needs openers, which an ICE agent does not send: port-restricted × masquerade, masquerade × port-restricted, masquerade × masquerade$' <<<"$said"
check 'in its JSON, too' python3 - agent.json <<'P'
import json, sys
cells = {(c["a"], c["b"]): c for c in json.load(open(sys.argv[1]))["cells"]}
P, M = "port-restricted", "masquerade"
both, first, second = cells[M, M], cells[M, P], cells[P, M]
assert both["got"] == "no" and both["why"]["code"] == "EARLY_PACKETS" and both["plain"]["openers"]["outcome"] == "direct", both
assert [first["expected"], first["got"], second["expected"], second["got"]] == ["unknown", "no", "unknown", "yes"], (first, second)
run = cells[P, P]["runs"]
assert [r["number"] for r in run] == [1] and run[0]["exit_code"] == 0 and run[0]["elapsed_ms"] > 0, run
assert run[0]["logs"] == [f"agent/{P}--{P}/run-1.{who}.log" for who in ("alice", "bob")], run
P
check 'the output of both is kept' test "$(cat agent/port-restricted--port-restricted/run-1.{alice,bob}.log)" = 'alice: connected
bob: connected'

# With an input filter, as home routers have one, nothing is remapped, and every such pair connects.
exits 0 'where the router drops or rejects what comes to itself, a plain peer connects' \
	matrix masquerade,input=drop masquerade,input=reject --both --strict --no-verify --output input -- python3 "$test/agent.py"
check 'and that is expected' grep -q '^plain, any ICE agent  *direct  *STABLE_MAPPINGS' <<<"$("$netns" expect masquerade,input=drop masquerade,input=reject)"

# shellcheck disable=SC2016 # for the shell in the lab
script='echo "$PINHOLE_A $PINHOLE_B run $PINHOLE_RUN"; echo kept >"$PINHOLE_OUTPUT/own"
	case $PINHOLE_A:$PINHOLE_B in
	symmetric:full-cone) exit 1 ;; symmetric:*) exit 0 ;;
	*:symmetric) echo "cannot bind" >&2; exit 3 ;;
	esac
	exit $((PINHOLE_RUN % 2))'
said=$("$netns" matrix full-cone symmetric --runs 2 --jobs 2 --no-verify --output out --junit m.xml --html m.html --markdown m.md -- \
	sh -c "$script" 2>&1)
code=$?
if [[ $code == 2 ]]; then ok 'a matrix with a broken cell is exit 2'; else bad "a broken cell: exit $code: ${said//$'\n'/; }"; fi
for part in ' 0 full-cone  1 of 2 yes!  broken!' ' 1 symmetric  no!          yes!' \
	'SURPRISE: full-cone × full-cone: 1 of 2 yes, expected was direct (OPEN_FILTER); see out/full-cone--full-cone/run-1.log' \
	'SURPRISE: symmetric × symmetric: yes, expected was failed (SYM_SYM); see out/symmetric--symmetric/run-1.log' \
	'BROKEN: full-cone × symmetric: exit code 3: cannot bind; see out/full-cone--symmetric/run-1.log' '1 of 4 pairs connect; 4 not as expected'; do
	check "it says: $part" grep -qxF "$part" <<<"$said"
done
check 'each run finds its types and its number, and writes into its folder' test "$(cat out/symmetric--full-cone/run-2.log out/symmetric--full-cone/own)" = 'symmetric full-cone run 2
kept'
check 'JUnit has failures and errors' grep -q 'tests="4" skipped="0" failures="3" errors="1"' m.xml
check 'HTML says how the command ended' grep -q 'exit code 3: cannot bind' m.html
check 'and Markdown' grep -qF '| **symmetric** | ⚠ **no**, expected direct | ⚠ **yes**, expected failed |' m.md

exits 0 'a matrix without --strict is exit 0 if each run has said yes or no' matrix symmetric --no-verify --output x -- sh -c 'exit 0'
exits 1 'and with it 1 at a surprise' matrix symmetric --strict --no-verify --output x -- sh -c 'exit 0'
exits 0 'a pair: each run is a yes' open symmetric --runs 2 --no-verify --output x -- true
exits 1 'one is a no' open symmetric --runs 2 --no-verify --output x -- sh -c 'test $PINHOLE_RUN = 1'
exits 2 'one is broken' open symmetric --runs 2 --no-verify --output x -- sh -c 'exit $PINHOLE_RUN'
exits 0 'a no that is expected, with --strict' symmetric symmetric --strict --no-verify --output x -- false
check 'a pair in JSON is one cell' python3 -c 'import json, sys; c, = json.loads(sys.argv[1])["cells"]; assert c["got"] == "yes" and c["as_asked"]' \
	"$("$netns" open open --json --output x -- true 2>/dev/null)"

# time
exits 124 'a command that does not end is ended' open open --timeout 1 --no-verify -- sleep 1000
exits 124 'both as well' open open --both --timeout 1 --no-verify -- sleep 1000
# shellcheck disable=SC2016 # for the shell in the lab
said=$("$netns" open open --both --timeout 1 --no-verify -- sh -c 'trap "echo ended; exit" TERM; echo here; while :; do sleep 0.1; done' 2>&1)
check 'and may say a last word' grep -q '^bob │ ended$' <<<"$said"
said=$("$netns" open open --strict --timeout 1 --no-verify --output x -- sleep 1000 2>&1)
check 'in a matrix, that is broken' grep -q '^BROKEN: open × open: it had not ended within 1 s; see x/open--open/run-1.log$' <<<"$said"
exits 7 'at a code that is neither yes nor no, the other command is ended' open open --both --no-verify -- sh -c '[ $PINHOLE_ROLE = alice ] || exec sleep 1000; exit 7'
exits 1 'one no is a no' open open --both --no-verify -- sh -c '[ $PINHOLE_ROLE = alice ]'

# a command for each node
# shellcheck disable=SC2016 # for the shells in the lab
said=$("$netns" run open full-cone --no-verify -- alice='echo "$PINHOLE_ROLE of $PINHOLE_A"; until [ -e "$PINHOLE_HOME/serves" ]; do sleep 0.01; done; exit 1' bob='echo "$PINHOLE_ROLE of $PINHOLE_B"' \
	server='trap "echo ended; exit 9" TERM; echo serves; >"$PINHOLE_HOME/serves"; while :; do sleep 0.1; done' 2>&1)
code=$?
check 'run: the code of all is a no, if one is' test $code = 1
for line in 'alice │ alice of open' 'bob │ bob of full-cone' 'server │ serves' 'server │ ended'; do
	check "it prints: $line" grep -qx "$line" <<<"$said"
done
exits 5 'with --until, it is the code of that node' run open open --no-verify --until alice -- alice='exit 5' bob='exec sleep 1000'
exits 124 'run has a timeout' run open open --no-verify --timeout 1 -- alice='sleep 1000' server='sleep 1000'
# an estimate beforehand, and one for a command
said=$("$netns" matrix open udp-blocked --no-verify 2>&1 >/dev/null)
check 'a matrix says beforehand how many pairs and how long' grep -qE '^netns.sh: 4 pairs, each in a lab of its own: about [0-9]+ s with [0-9]+ labs at once$' <<<"$said"
check 'and nothing else' test "$(wc -l <<<"$said")" = 1
said=$("$netns" matrix open full-cone --no-verify --timeout 7 -- true 2>&1 >/dev/null)
check 'and with a command how long each may take' grep -q '^netns.sh: 4 runs, each in a lab of its own, of up to 7 s each$' <<<"$said"
said=$(script -qec "'$netns' matrix open full-cone basic firewall --jobs 1 --no-verify -- sleep 1" /dev/null | tr '\r' '\n')
check 'on a terminal it says how long the rest takes' grep -qE '[0-9]+ of 16, about [0-9]+ s left' <<<"$said"
refused '-v with a command' '-v is for A B without a command' open open -v -- true
refused 'a command for a node that is not there' 'there is no node "carol"; there are alice alice2 bob core' run open open --no-verify -- carol=true
refused 'two commands for one node' 'there are two commands for bob' run open open --no-verify -- bob=true bob=true
refused 'a node without a command, in --until' '--until bob: there is no command for bob' run open open --no-verify --until bob -- alice=true
refused 'a run of nothing' 'run needs NODE=CMD' run
refused 'a run of a lab that is not up' 'no lab "never-was" is up' run --name never-was alice=true
exits 0 'a lab that stays' up restricted cgnat --name run-$$ --no-verify
# shellcheck disable=SC2016 # for the shells in the lab
said=$("$netns" run --name run-$$ alice='echo "$PINHOLE_ADDRESS $PINHOLE_OUTSIDE $PINHOLE_PEER_OUTSIDE"; sleep 1000 &' bob=true 2>&1)
check 'run in it' test "$said" = 'alice │ 192.168.1.2 203.0.113.17 203.0.113.33'
# shellcheck disable=SC2016 # for the shell in the lab
exits 0 'leaves nothing of it there' exec alice --name run-$$ -- sh -c '! grep -l "^sleep.1000" /proc/[0-9]*/cmdline'
exits 0 'that lab ends' down --name run-$$
said=$("$netns" matrix open symmetric --each --strict --no-verify --output each -- alice='test $PINHOLE_B = open || test $PINHOLE_A = open' server='exec sleep 1000' 2>&1)
check 'a matrix of commands for each node' grep -q '^3 of 4 pairs connect; 0 not as expected$' <<<"$said"
check 'with a log for each node' test "$(echo each/open--open/*)" = 'each/open--open/run-1.alice.log each/open--open/run-1.server.log'

# addresses
# shellcheck disable=SC2016 # for the shell in the lab
said=$("$netns" firewall cgnat --both --no-verify -- sh -c 'echo "$PINHOLE_NAME $PINHOLE_PEER $PINHOLE_ADDRESS $PINHOLE_OUTSIDE $PINHOLE_PEER_ADDRESS $PINHOLE_PEER_OUTSIDE"' 2>&1)
check 'alice finds the addresses' grep -qx 'alice │ alice bob 203.0.113.18 203.0.113.18 192.168.2.2 203.0.113.33' <<<"$said"
check 'and bob' grep -qx 'bob │ bob alice 192.168.2.2 203.0.113.33 203.0.113.18 203.0.113.18' <<<"$said"

# the oracle, asked without a lab
said=$("$netns" expect masquerade masquerade)
code=$?
check 'what any ICE agent does decides the exit code' test $code = 1
check 'openers make the difference' grep -qE '^plain, with openers +direct ' <<<"$said"
said=$("$netns" expect port-restricted symmetric --json)
check 'and a spray is more than plain punching' python3 -c 'import json, sys; o = json.loads(sys.argv[1]); assert o["plain"]["ice"]["outcome"] == o["plain"]["openers"]["outcome"] == "failed" and o["punch"]["strategy"] == "spray"' "$said"
