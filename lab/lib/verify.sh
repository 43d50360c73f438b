# shellcheck shell=bash
# Inside a lab: are the NATs what was asked, and do the two reach each other as they should?

room=/run

# field KEY JSON: a string, number or boolean of a flat object, into $field; empty for null
field() {
	field=
	if [[ $2 =~ \"$1\":\ *\"([^\"]*)\" ]]; then field=${BASH_REMATCH[1]}
	elif [[ $2 =~ \"$1\":\ *([0-9.]+|true|false) ]]; then field=${BASH_REMATCH[1]}
	fi
}

# within NODE CMD…
within() { nsenter --net="/run/netns/$1" "${@:2}"; }

# measure TYPE TYPE: both sides at once; 1 if one is not what was asked
measure() {
	local who jobs=() wrong=0
	for who in alice bob; do
		within "$who" "$bin/natprobe" --s1 "$s1:$port" --s2 "$s2:$port" --json >"$room/$who.nat" 2>"$room/$who.err" &
		jobs+=($!)
	done
	wait "${jobs[@]}"
	measured alice "$1" || wrong=1
	measured bob "$2" || wrong=1
	return $wrong
}

# measured WHO SPEC: one line, asked and measured side by side
measured() {
	local who=$1 said axis shown=() good=yes
	said=$(<"$room/$who.nat")
	read_type "$2"
	for axis in class mapping filtering; do
		field "$axis" "$said"
		shown+=("${field:-unknown}")
		[[ ${head[$axis]} == @(none|"$field") ]] || good=no
	done
	if [[ $json ]]; then
		printf '{"node":"%s","asked":%s,"measured":%s,"as_asked":%s}\n' "$who" "$(asked "$2")" "${said:-null}" \
			"$([[ $good == yes ]] && echo true || echo false)"
	else
		printf '%-6s asked %-22s measured %-16s %s mapping, %s filtering%s\n' "$who" "$2" "${shown[@]}" \
			"$([[ $good == yes ]] || echo '   NOT AS ASKED')"
		[[ $good == yes ]] || sed 's/^/       /' "$room/$who.err"
	fi
	[[ $good == yes ]]
}

# asked SPEC: what natprobe would say of that type, for the oracle
asked() {
	local nat=true mapping filtering ports='' remaps=false opens=false
	read_type "$1"
	[[ ${head[hosts]} != public ]] || nat=false
	mapping="\"${head[mapping]}\"" filtering="\"${head[filtering]}\""
	[[ ${head[mapping]} != none ]] || mapping='"endpoint-independent"'
	[[ ${head[filtering]} != none ]] || mapping=null filtering=null
	[[ $1 != masquerade* ]] || remaps=true
	[[ ${head[upnp]} != on ]] || opens=true
	case ${head[ports]} in
	sequential*) ports=',"allocation":{"policy":"sequential","step":1,"range":[40000,40511]}' ;;
	block*) ports=',"allocation":{"policy":"block","range":[40000,40511]}' ;;
	esac
	printf '{"class":"%s","mapping":%s,"filtering":%s,"nat":%s,"remaps_after_early_inbound":%s,"port_mapping":{"agrees":%s}%s}' \
		"${head[class]}" "$mapping" "$filtering" $nat $remaps $opens "$ports"
}

# What a lab may spend that nobody else shares: more packets, and faster.
spend=(--budget 4000 --max-pps 4000 --yes)

# foretold TYPE TYPE: what the oracle expects, into $expected and $why
foretold() {
	local plan
	plan=$("$bin/punch" "${spend[@]}" --plan <(asked "$1") <(asked "$2") --json) # its exit code is the outcome's
	field expected "$plan"
	expected=${field:?"the oracle does not answer: $plan"}
	field text "$plan"
	why=$field
}

# meet SECONDS OPTION…: bob waits, alice calls; what they say goes to $room/{alice,bob}.{out,log},
# and how alice's punch ended into $met
meet() {
	local bob
	PINHOLE_NAME=bob within bob "$bin/punch" "${spend[@]}" --timeout "$@" >"$room/bob.out" 2>"$room/bob.log" &
	bob=$!
	until [[ $(<$log) == *"bob registered"* ]] || ! kill -0 $bob 2>/dev/null; do sleep 0.01; done
	PINHOLE_NAME=alice within alice "$bin/punch" "${spend[@]}" --peer bob --timeout "$@" >"$room/alice.out" 2>"$room/alice.log"
	met=$?
	wait $bob
}

# reason: why alice's punch could not tell
reason() {
	local lines
	mapfile -t lines <"$room/alice.log"
	echo "${lines[-1]-it said nothing and ended with $met}"
}

# outcome A B: what alice's punch says, into the caller's variables and, for programs, $object;
# $got is empty if it could not tell, and then $cause is in its own words
outcome() {
	local said ours
	said=$(<"$room/alice.out")
	ours=${said##*'"probes_sent":'} # the keys of the report are sorted, and the plan before this has a strategy, too
	ours=${ours%%'"trace":'*}
	field result "$ours"
	got=$field
	field strategy "$ours"
	how=$field
	field elapsed_ms "$said"
	elapsed=${field:-0}
	field code "${said%%'"elapsed_ms":'*}"
	cause=$field
	[[ $got ]] || cause=$(reason | tr -d '"\\')
	printf -v object '{"a":"%s","b":"%s","expected":"%s","got":%s,"how":"%s","elapsed_ms":%s,"cause":%s,"punch":%s}' \
		"$1" "$2" "$expected" "${got:+\"}${got:-null}${got:+\"}" "$how" "$elapsed" "${cause:+\"}${cause:-null}${cause:+\"}" "${said:-null}"
}

# demonstrate TYPE TYPE: the main job
demonstrate() {
	local expected why got how elapsed cause object who lines met measured='' as_asked=true
	if [[ $json ]]; then
		if [[ $verify ]]; then
			measure "$1" "$2" >"$room/measured" || as_asked=false
			mapfile -t lines <"$room/measured"
			measured=",\"as_asked\":$as_asked,\"measured\":[${lines[0]},${lines[1]}]"
		fi
		foretold "$1" "$2"
		meet 6 --trace --json
		outcome "$1" "$2"
		say '%s%s,"nat_alice":%s,"nat_bob":%s}\n' "${object%\}}" "$measured" \
			"$(within nat-alice "$bin/nattrace" table --json --node nat-alice)" "$(within nat-bob "$bin/nattrace" table --json --node nat-bob)"
		concluded
		return
	fi
	say '%s\n' "alice ── $1 ── core ── $2 ── bob, and a rendezvous at $s1:$port"
	[[ ! $verify ]] || measure "$1" "$2" || as_asked=false
	foretold "$1" "$2"
	meet 6 --trace
	for who in alice bob; do
		printf '\n%s: punch%s --trace\n' "$who" "$([[ $who == bob ]] || echo ' --peer bob')"
		cat "$room/$who.log"
		abridged "$room/$who.out"
	done
	for who in alice bob; do
		printf '\nnat-%s: nattrace table\n' "$who"
		within "nat-$who" "$bin/nattrace" table
	done
	mapfile -t lines <"$room/alice.out"
	got=${lines[-1]%%:*}
	((met < 2)) || lines=("failed: alice's punch could not tell: $(reason | sed 's/^punch: //; s/[^.?!]$/&./')")
	say '\n%s Expected was %s: %s.\n' "${lines[-1]}" "$expected" "$why"
	concluded
}

# abridged FILE: a page of it, from both ends
abridged() {
	local lines
	mapfile -t lines <"$1"
	if ((${#lines[@]} <= 60)); then
		cat "$1"
	else
		printf '%s\n' "${lines[@]::40}" "         … $((${#lines[@]} - 60)) more packets …" "${lines[@]: -20}"
	fi
}

# concluded: the lab's exit code: a call that came to no result is neither as expected nor otherwise
concluded() {
	[[ $as_asked == true ]] || return 1
	((met < 2)) || return 2
	[[ $got == "$expected" ]]
}
