#!/usr/bin/env bash
# The examples, as far as they cost seconds: aioice through the action. examples/test.sh runs them whole.
source "${BASH_SOURCE[0]%/*}/words.sh"
source "${test%/*}/lib/needs.sh"

[[ ${PINHOLE_BIN:-} ]] || export PINHOLE_BIN=${test%/*/*}/target/release
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
die() { bad "$*"; exit 1; }
install=1 me=44-examples.sh root=${test%/*/*}
python3 -m pip --version >/dev/null 2>&1 || install python3-pip
python3 -m pip install --quiet --disable-pip-version-check --target "$tmp/py" pyyaml==6.0.3 \
	--requirement "$root/examples/aioice/requirements.txt" 2>/dev/null || die 'cannot install aioice and pyyaml'
export PYTHONPATH=$tmp/py

check 'shellcheck of the examples' shellcheck -S warning "$root"/examples/*.sh
cd "$tmp" || exit
said=$(GITHUB_STEP_SUMMARY=$tmp/summary python3 "$test/action.py" "$root" "command=python3 $root/examples/aioice/peer.py" \
	'types=full-cone masquerade,input=drop' 'options=--strict --timeout 50 --no-verify' 2>&1)
code=$?
if [[ $code == 0 ]]; then ok 'aioice between NATs, through the action'; else bad "aioice: exit $code: ${said//$'\n'/; }"; fi
check 'every pair connects' grep -q '^4 of 4 pairs connect; 0 not as expected$' <<<"$said"
check 'the page is left for the artifact' test -s nat-matrix/index.html
check 'which it is' grep -q '^left out: actions/upload-artifact@v4: nat-matrix$' <<<"$said"
check 'with the output of each run' grep -q 'hello from bob' nat-matrix/output/full-cone--full-cone/run-1.alice.log
check 'the summary of the job has the table' grep -q '^| \*\*full-cone\*\* | yes | yes |$' summary
said=$(python3 "$test/action.py" "$root" command=false types=full-cone options='--strict --no-verify' 2>&1)
check 'control: a program that does not connect fails the step' test $? = 1

# the time to a path, ours beside theirs
said=$("$root/lab/bench.sh" path 1)
check 'the bench ends' test $? = 0
for who in punch agent.py aioice; do
	check "and has the time to a path of $who" grep -qE "^to a path: $who +least +[0-9.]*[1-9][0-9.]* +median +[0-9.]*[1-9][0-9.]* .* ms$" <<<"$said"
done
