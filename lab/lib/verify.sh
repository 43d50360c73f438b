# shellcheck shell=bash
# Inside a lab: run the tools, and let labreport judge what they say.

room=/run

# within NODE CMD…
within() { nsenter --net="/run/netns/$1" "${@:2}"; }

# record FIELD…: a line for labreport
record() { local IFS=$'\t'; printf '%s\n' "$*"; }

# one_line FILE: what it says, on one line, into $said
one_line() {
	local lines
	mapfile -t lines <"$1"
	said=${lines[*]}
	said=${said//$'\t'/ }
}

# last_line FILE: into $said; empty without one
last_line() {
	local lines
	mapfile -t lines <"$1"
	said=${lines[*]: -1}
	said=${said//$'\t'/ }
}

# probe: measure both sides at once; the reports go to $room/{alice,bob}.nat
probe() {
	local who jobs=()
	for who in alice bob; do
		within "$who" "$bin/natprobe" --s1 "$s1:$port" --s2 "$s2:$port" --json >"$room/$who.nat" 2>"$room/$who.err" &
		jobs+=($!)
	done
	wait "${jobs[@]}"
}

# measure TYPE TYPE: both sides, asked and measured side by side; 1 if one is not what was asked
measure() {
	local who said
	probe
	for who in alice bob; do
		head_of "$1"
		one_line "$room/$who.err"
		record "node=$who" "${heads[$1]}" "measured@=$room/$who.nat" "said=$said"
		shift
	done | "$bin/labreport" nat ${json:+--json}
}

# A lab shares its network with nobody, so punch may send more packets, and faster, than its safe defaults allow.
spend=(--budget 4000 --max-pps 4000)

# meet OPTION…: bob waits, alice calls once bob says that he is registered; what they say goes to
# $room/{alice,bob}.{out,log}, and alice's report to $room/report, which is empty if she could not tell
meet() {
	: >"$room/report"
	local bob ready options=("${spend[@]}" --yes --timeout 6 "$@")
	exec {ready}< <(PINHOLE_NAME=bob exec nsenter --net=/run/netns/bob "$bin/punch" "${options[@]}" \
		--ready /dev/fd/3 3>&1 >"$room/bob.out" 2>"$room/bob.log")
	bob=$!
	read -rt 10 -u "$ready" # no line: he has ended, and alice will say that he is not there
	PINHOLE_NAME=alice within alice "$bin/punch" --peer bob "${options[@]}" --report "$room/report" >"$room/alice.out" 2>"$room/alice.log"
	wait $bob
	exec {ready}<&-
}

# outcome TYPE TYPE FIELD…: the records of a pair, for labreport
outcome() {
	local said measured=()
	record "${heads[$1]}"
	record "${heads[$2]}"
	[[ ! $verify ]] || measured=("measured_alice@=$room/alice.nat" "measured_bob@=$room/bob.nat")
	last_line "$room/alice.log"
	record "punch@=$room/report" "log=$said" "${measured[@]}" "${@:3}"
}

# demonstrate TYPE TYPE: the main job
demonstrate() {
	local who
	if [[ $json ]]; then
		[[ ! $verify ]] || probe
		meet --trace --json
		for who in alice bob; do
			within "nat-$who" "$bin/nattrace" table --json --node "nat-$who" >"$room/nat-$who"
		done
		outcome "$1" "$2" "nat_alice@=$room/nat-alice" "nat_bob@=$room/nat-bob" |
			"$bin/labreport" pair --json "${spend[@]}"
		return
	fi
	say '%s\n' "alice ── $1 ── core ── $2 ── bob, and a rendezvous at $s1:$port"
	[[ ! $verify ]] || measure "$1" "$2"
	meet --trace
	for who in alice bob; do
		printf '\n%s: punch%s --trace\n' "$who" "$([[ $who == bob ]] || echo ' --peer bob')"
		cat "$room/$who.log"
		abridged "$room/$who.out"
	done
	for who in alice bob; do
		printf '\nnat-%s: nattrace table\n' "$who"
		within "nat-$who" "$bin/nattrace" table
	done
	say '\n'
	outcome "$1" "$2" | "$bin/labreport" pair "${spend[@]}"
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
