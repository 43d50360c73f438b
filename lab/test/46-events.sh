#!/usr/bin/env bash
# Things that happen to a lab while it runs, as a plain socket and ping see them.
source "${BASH_SOURCE[0]%/*}/words.sh"

kept=test-$$-events
trap '"$netns" down --name $kept 2>/dev/null' EXIT

story full-cone restricted events.py reboot
story masquerade open events.py reboot
story port-restricted restricted events.py nat
story port-restricted,addresses=2 open events.py renumber
story open basic events.py renumber
story masquerade+cgnat full-cone events.py renumber
story port-restricted full-cone events.py roam
story open symmetric events.py roam
story open full-cone events.py down
options=(--link alice=delay:1ms)
story full-cone open events.py down
story full-cone open events.py link
options=()
story masquerade full-cone,hosts=2 events.py flood

exits 0 'a lab that stays' up port-restricted cgnat carol=open --name $kept --no-verify
for words in 'reboot nat-alice' 'reboot isp-bob' 'nat bob full-cone+masquerade' 'renumber bob' 'renumber carol' 'roam alice bob' \
	'down alice:eth0' 'up alice:eth0' 'down bob' 'up bob' 'link bob down' 'link bob up' 'flood bob 100 1'; do
	# shellcheck disable=SC2086
	exits 0 "things happen to it: $words" $words --name $kept
done
check 'names follow' test "$("$netns" exec carol --name $kept -- getent hosts alice bob | awk '{ printf "%s ", $1 }')" = '203.0.113.36 203.0.113.36 '
check 'and all is reachable' "$netns" exec alice --name $kept -- ping -qc1 -W9 bob
check 'also from elsewhere' "$netns" exec bob --name $kept -- ping -qc1 -W9 carol
refused 'a router that is not there' 'no router "alice"; there are' reboot alice --name $kept
refused 'more routers than there are' 'that is 2 routers, and alice has 1' nat alice cgnat --name $kept
refused 'a type with other addresses' 'have private addresses' nat alice open --name $kept
refused 'a type that is not there' 'no NAT type "donut"' nat alice donut --name $kept
refused 'a host that is not there' 'no host "eve"' roam eve alice --name $kept
refused 'a link that is not there' 'no link "wan"; there are' down wan --name $kept
refused 'a link that natlink does not carry' 'start the lab with --link alice=none' link alice 4g --name $kept
refused 'a flood of nothing' 'the rate is' flood alice 0 --name $kept
refused 'an event of no lab' 'no lab' reboot nat-alice --name never-was
