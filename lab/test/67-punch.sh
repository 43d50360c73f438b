#!/usr/bin/env bash
# Every way across on the real kernel; budgets that hold; what the relay hides.
source "${BASH_SOURCE[0]%/*}/words.sh"

[[ ${PINHOLE_BIN:-} ]] || export PINHOLE_BIN=${test%/*/*}/target/release

while read -r a b how; do
	story "$a" "$b" punch.py "$how"
done <<'END'
port-restricted symmetric spray
symmetric port-restricted spray
symmetric-sequential port-restricted predict
port-restricted symmetric-sequential predict
symmetric-block symmetric-block block-spray
symmetric-sequential symmetric-sequential predict
symmetric-sequential symmetric-block block-spray
address-dependent address-dependent spray
masquerade symmetric-sequential predict
symmetric-sequential masquerade predict
symmetric symmetric relay
END
story symmetric symmetric punch.py direct_only
story symmetric symmetric punch.py relay_only
story full-cone full-cone punch.py relay_only
story symmetric port-restricted punch.py limits
story port-restricted symmetric punch.py budget
story port-restricted symmetric punch.py stranger
story symmetric port-restricted punch.py stingy
story port-restricted symmetric punch.py files
story port-restricted symmetric punch.py leaves SIGTERM
story port-restricted symmetric punch.py leaves SIGKILL
story port-restricted port-restricted helpers-in-trouble.py
story symmetric,size=262144 symmetric,size=262144 punch.py exhaustive

# As many sprays as a gate has time for; lab/bench-spray.sh does hundreds.
said=$("${netns%/*}/bench-spray.sh" 10 10)
check '20 of 20 sprays connect' test "$(grep -c '^10 of 10 direct' <<<"$said")" = 2
echo "      ${said//$'\n'/$'\n'      }"
