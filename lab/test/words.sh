# shellcheck shell=bash
# The words that the lab's tests are written in. Each check is one line, "ok" or "FAIL".

test=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
export PYTHONDONTWRITEBYTECODE=1 # root's, in a checkout that is not
netns=${NETNS:-${test%/*}/netns.sh} # a mutant's, when the tests are tested

ok() { printf 'ok    %s\n' "$*"; }
bad() { printf 'FAIL  %s\n' "$*"; }

# check WHAT CMD…: it must succeed
check() {
	local said
	if said=$("${@:2}" 2>&1); then ok "$1"; else bad "$1: ${said//$'\n'/; }"; fi
}

# refused WHAT PATTERN ARGUMENT…: netns.sh must exit 2 and say why, and start nothing
refused() {
	local said code
	said=$("$netns" "${@:3}" 2>&1 </dev/null)
	code=$?
	if [[ $code == 2 && $said == *$2* ]]; then
		ok "$1"
	else
		bad "$1: exit $code, ${said//$'\n'/; }"
	fi
}

# declined WHAT PATTERN TOOL ARGUMENT…: the tool must exit 2 and say why; one that starts instead is ended
declined() {
	local said code
	said=$(timeout 5 "$PINHOLE_BIN/$3" "${@:4}" 2>&1 </dev/null)
	code=$?
	if [[ $code == 2 && $said == *$2* ]]; then
		ok "$1"
	else
		bad "$1: exit $code, ${said//$'\n'/; }"
	fi
}

# exits CODE WHAT ARGUMENT…
exits() {
	local said code
	said=$("$netns" "${@:3}" 2>&1 </dev/null)
	code=$?
	if [[ $code == "$1" ]]; then ok "$2"; else bad "$2: exit $code, ${said//$'\n'/; }"; fi
}

options=() # of the labs that stories are told in

# story A B FILE ARGUMENT…: a Python test, alone in a lab without measurement
story() {
	"$netns" "$1" "$2" "${options[@]}" --no-verify -- python3 "$test/$3" "${@:4}" 2>&1 || bad "$3 with $1 and $2 did not succeed"
}

# until_it CMD…: poll, for a minute at most
until_it() {
	local end=$((SECONDS + 60))
	until "$@"; do
		((SECONDS < end)) || return 1
		sleep 0.02
	done
}

# family PID: it and all its descendants
family() {
	local child
	echo "$1"
	for child in $(cat "/proc/$1/task/$1/children" 2>/dev/null); do family "$child"; done
}

# gone PID…: none of them runs (who is dead and not yet buried does not run)
gone() {
	local pid stat
	for pid; do
		read -r stat 2>/dev/null <"/proc/$pid/stat" && [[ $stat != *') Z '* ]] && return 1
	done
	return 0
}
