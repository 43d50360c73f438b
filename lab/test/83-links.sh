#!/usr/bin/env bash
# Links that natlink carries: what a plain socket sees of them, what is recorded, and what is refused.
source "${BASH_SOURCE[0]%/*}/words.sh"

[[ ${PINHOLE_BIN:-} ]] || export PINHOLE_BIN=${test%/*/*}/target/release

options=(--link alice=delay:50ms)
story open open links.py

refused 'a link of no side' '--link carol=… names no side' open open --link carol=4g
refused 'a link without settings' 'SIDE=WORDS' open open --link alice
refused 'a kind of link that there is not' 'not a kind of link; there are fibre' open open --link alice=6g
refused 'a time without its unit' 'such as 50ms, not "50"' open open --link alice=delay:50
declined 'a natlink that nobody runs' 'no natlink takes orders at /nowhere/socket' natlink show --control /nowhere/socket
declined 'a namespace that there is not' 'there is no namespace nowhere' natlink run a=nowhere:x,nowhere:y --control "/tmp/natlink-$$"
declined 'settings of a link without ends' 'has no ends' natlink run a=4g

# both together: --link for its side, --delay for the others
said=$("$netns" full-cone full-cone --no-verify --delay 30 --link bob=5g --link bob=loss:0 -- natlink show 2>&1)
check '--delay is for the sides without --link' test "$(grep -c 'down .* delay:30ms$' <<<"$said")" = 2
check '--link twice for one side: one after the other' grep -q '^ bob  *down .* delay:15ms,jitter:5ms,.*rate:166mbit,' <<<"$said"

# the whole demonstration over a mobile network and a satellite
exits 0 'a lab between 4g and a satellite measures its NATs and punches' full-cone port-restricted --link alice=4g,loss:0 --link bob=satellite-geo,loss:0
