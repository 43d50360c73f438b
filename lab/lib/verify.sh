# shellcheck shell=bash
# Inside a lab: measure both NATs, let alice call bob, and hand what the tools wrote to labreport, which judges.

room=/run

# A lab shares its network with nobody, so punch may send more packets, and faster, than its safe defaults allow.
spend=(--budget 4000 --max-pps 4000)

# within NODE CMD…
within() { nsenter --net="/run/netns/$1" "${@:2}"; }

# asked SPEC: what that type says of itself, in plain words for labreport, into $asked
asked() {
	local key
	read_type "$1"
	asked="type=$1 early=${head[early packets]}"
	for key in class mapping filtering ports hosts upnp; do asked+=" $key=${head[$key]}"; done
}

# measure N: the NATs of the first N sides at once, into $room/{alice,bob …}.nat
measure() {
	local who jobs=()
	for who in "${people[@]::$1}"; do
		within "$who" "$bin/natprobe" --s1 "$s1:$port" --s2 "$s2:$port" --json >"$room/$who.nat" 2>"$room/$who.err" &
		jobs+=($!)
	done
	wait "${jobs[@]}"
}

# measured [--brief] TYPE…: measure all, and print a line for each, a brief one without what is as asked; the exit code
# is labreport's
measured() {
	local brief=()
	[[ $1 != --brief ]] || { brief=(--brief); shift; }
	local asked code type who i=0 checks=() errors=()
	if [[ $json ]]; then measure $#; else announced 'natprobe measures the NATs, for about four round trips' measure $#; fi
	for type; do
		who=${people[i++]}
		asked "$type"
		checks+=("$who" "$asked" "$room/$who.nat") errors+=("$room/$who.err")
	done
	labreport nat ${json:+--json} "${brief[@]}" "${checks[@]}"
	code=$?
	[[ $code == 0 || $json ]] || sed 's/^/       /' "${errors[@]}"
	return $code
}

# tries: seconds that both punches try to find a path
tries=6

# announced TEXT CMD…: run CMD; if it has not ended after a second, say on stderr what is waited for
announced() {
	local clock tick code
	exec {tick}<> <(:)
	{ read -rt 1 -u "$tick" || echo "$me: $1" >&2; } &
	clock=$!
	"${@:2}"
	code=$?
	kill "$clock" 2>/dev/null
	wait "$clock" 2>/dev/null
	exec {tick}>&-
	return $code
}

# meet OPTION…: bob waits for alice, alice calls. They print to $room/{alice,bob}.out and log to $room/{alice,bob}.log.
# The options are for both. Alice's report goes to $room/alice.json, her exit code into $met.
meet() {
	local bob ready_bob options=("${spend[@]}" --yes --timeout "$tries" "$@")
	exec {ready_bob}< <(
		PINHOLE_NAME=bob exec nsenter --net=/run/netns/bob "$bin/punch" --from alice "${options[@]}" --ready /dev/fd/3 \
			3>&1 >"$room/bob.out" 2>"$room/bob.log"
	)
	bob=$!
	# bob is registered, or has ended
	read -rt $patience -u "$ready_bob" || (($? <= 128)) || die "bob's punch did not register within $patience s: $(<"$room/bob.log")"
	# one of many says nothing of itself
	if [[ ${quiet-} ]]; then calls; else announced "no path yet; alice and bob try for up to $tries s" calls; fi
	met=$?
	exec {ready_bob}<&-
	wait $bob
}

# calls: alice calls bob, with $options
calls() {
	PINHOLE_NAME=alice within alice "$bin/punch" "${options[@]}" --peer bob --report "$room/alice.json" \
		>"$room/alice.out" 2>"$room/alice.log"
}

# judge TYPE TYPE OPTION…: expected against got, and with $compared also asked against measured
judge() {
	local a asked
	asked "$1"
	a=$asked
	asked "$2"
	labreport pair "${spend[@]}" --a "$a" --b "$asked" --punch "$room/alice.json" --log "$room/alice.log" --exit-code $met \
		${compared:+--nat-a "$room/alice.nat" --nat-b "$room/bob.nat"} "${@:3}"
}

# expect TYPE TYPE: what is expected between them, before anything runs
expect() {
	local a asked
	asked "$1"
	a=$asked
	asked "$2"
	labreport expect "${spend[@]}" --a "$a" --b "$asked" ${json:+--json}
}

# demonstrate TYPE TYPE: the main job
demonstrate() {
	local who met code why compared=$verify
	if [[ $json ]]; then
		[[ ! $verify ]] || measure 2
		meet --trace --json
		for who in alice bob; do within "nat-$who" "$bin/nattrace" table --json --node "nat-$who" >"$room/$who.table"; done
		judge "$1" "$2" --table-a "$room/alice.table" --table-b "$room/bob.table" --json
		return
	fi
	say '%s\n' "alice ── $1 ── core ── $2 ── bob, and a rendezvous at $s1:$port"
	[[ ! $verify ]] || measured --brief "$1" "$2"
	lib trace
	# the prober's packets are of no interest here; with --trace, the watch began before it
	if [[ ! ${tracing-} ]]; then
		if why=$(watchable); then
			traced "$room/steps.json"
		else
			say '%s\n' "The steps are not shown, since this kernel refuses the rules that report packets: ${why%%$'\n'*}"
		fi
	fi
	meet ${verbose:+--trace}
	[[ ! $verbose ]] || transcript
	if written && [[ -s $room/steps.json ]]; then
		! grep -q 'odds within' "$room/alice.log" || say '\n%s\n' "$(grep 'odds within' "$room/alice.log")"
		judge "$1" "$2" --trace "$room/steps.json"
		code=$?
		if ((${#traces[@]})); then
			say '%s\n' "Every packet: nattrace show FILE.json, of ${traces[*]}"
		else
			say '%s\n' 'More: -v prints every packet of both hosts and what both NATs hold; --trace run.json, then' \
				'"nattrace show run.json", what became of every packet at every node.'
		fi
		return $code
	fi
	say '\n'
	judge "$1" "$2"
}

# transcript: all that both punches have printed, and what both NATs hold
transcript() {
	local who
	for who in alice bob; do
		printf '\n%s: punch%s --trace\n' "$who" "$([[ $who == bob ]] && echo ' --from alice' || echo ' --peer bob')"
		cat "$room/$who.log"
		abridged "$room/$who.out"
	done
	for who in alice bob; do
		printf '\nnat-%s: nattrace table\n' "$who"
		within "nat-$who" "$bin/nattrace" table
	done
}

# abridged FILE: its first 40 and last 20 lines if it is long
abridged() {
	local lines
	mapfile -t lines <"$1"
	if ((${#lines[@]} <= 60)); then
		cat "$1"
	else
		printf '%s\n' "${lines[@]::40}" "         … $((${#lines[@]} - 60)) more packets …" "${lines[@]: -20}"
	fi
}
