# shellcheck shell=bash
# Inside a lab: are the NATs what was asked, and do the two reach each other as they should?

room=/run/pinhole

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
	local who=$1 json_of axis got=() wanted good=yes
	json_of=$(<"$room/$who.nat")
	read_type "$2"
	for axis in class mapping filtering; do
		wanted=${head[$axis]}
		field "$axis" "$json_of"
		got+=("${field:--}")
		[[ $wanted == none || $field == "$wanted" ]] || good=no
	done
	if [[ $json ]]; then
		printf '{"node":"%s","asked":%s,"measured":%s,"as_asked":%s}\n' "$who" "$(asked "$2")" "${json_of:-null}" \
			"$([[ $good == yes ]] && echo true || echo false)"
	else
		printf '%-6s asked %-22s measured %-16s %s mapping, %s filtering%s\n' "$who" "$2" "${got[@]}" \
			"$([[ $good == yes ]] || echo '   NOT AS ASKED')"
		[[ $good == yes ]] || sed 's/^/       /' "$room/$who.err"
	fi
	[[ $good == yes ]]
}

# asked SPEC: what natprobe would say of that type, for the oracle
asked() {
	local nat=true mapping filtering
	read_type "$1"
	[[ ${head[hosts]} != public ]] || nat=false
	mapping="\"${head[mapping]}\"" filtering="\"${head[filtering]}\""
	[[ ${head[mapping]} != none ]] || mapping='"endpoint-independent"'
	[[ ${head[filtering]} != none ]] || mapping=null filtering=null
	printf '{"class":"%s","mapping":%s,"filtering":%s,"nat":%s}' "${head[class]}" "$mapping" "$filtering" $nat
}

# foretold TYPE TYPE: what the oracle expects, into $expected and $why
foretold() {
	local plan
	plan=$("$bin/punch" --plan <(asked "$1") <(asked "$2") --json) || die "the oracle does not answer"
	field expected "$plan" && expected=$field
	field why "$plan" && why=$field
}

# meet SECONDS: bob waits, alice calls; their words go to $room/{alice,bob}.{json,trace}
meet() {
	local trace=() bob
	[[ ! $2 ]] || trace=(--trace)
	PINHOLE_NAME=bob within bob "$bin/punch" --server "$s1:$port" --name bob --json --timeout "$1" "${trace[@]}" >"$room/bob.json" 2>"$room/bob.trace" &
	bob=$!
	until [[ $(<"$room/rendezvous.log") == *"bob registered"* ]] || ! kill -0 $bob 2>/dev/null; do sleep 0.01; done
	PINHOLE_NAME=alice within alice "$bin/punch" --server "$s1:$port" --name alice --peer bob --json --timeout "$1" "${trace[@]}" >"$room/alice.json" 2>"$room/alice.trace"
	wait $bob
}

# demonstrate TYPE TYPE: the main job
demonstrate() {
	local expected why got how cause verdict=0
	say "alice ── nat-alice ($1) ── core ── nat-bob ($2) ── bob; the rendezvous is at $s1:$port"
	if [[ $verify ]]; then
		measure "$1" "$2" || verdict=1
	fi
	foretold "$1" "$2"
	say "Expected: $expected, $why"
	meet 10 trace
	for who in alice bob; do
		say "What $who saw"
		cat "$room/$who.trace"
	done
	for who in alice bob; do
		say "What nat-$who holds"
		within "nat-$who" "$bin/nattrace" table
	done
	outcome
	if [[ $json ]]; then
		echo "$cell"
	elif [[ $got == failed ]]; then
		say "alice did not reach bob${cause:+: $cause}; expected was $expected."
	else
		say "alice reached bob: $got by $how, $local ↔ $remote, in $elapsed ms; expected was $expected."
	fi
	[[ $got == "$expected" ]] || verdict=1
	return $verdict
}

say() { printf '\n%s\n' "$*"; }
