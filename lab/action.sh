#!/usr/bin/env bash
#
# What action.yml does on a runner: the matrix of $COMMAND between the NAT types $TYPES, with the options $OPTIONS. The
# page, the reports and the output of each run go to $FOLDER, and the table to the summary of the job. The exit code is
# that of the matrix.

set -uo pipefail

lab=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
: "${COMMAND:?the input command is empty}" "${TYPES:?the input types is empty}" "${FOLDER:?the input folder is empty}"

# Ubuntu 24.04 keeps ordinary users from making user namespaces. A runner's user may change that; another host is left
# as it is.
restricted=/proc/sys/kernel/apparmor_restrict_unprivileged_userns
if [[ ${GITHUB_ACTIONS:-} && -e $restricted && $(<$restricted) != 0 ]]; then
	sudo sysctl --quiet --write kernel.apparmor_restrict_unprivileged_userns=0 || exit 2
fi

mkdir -p "$FOLDER" || exit 2
# the options and types are lists of words
read -ra types <<<"$TYPES"
read -ra options <<<"${OPTIONS:-}"
"$lab/netns.sh" matrix "${types[@]}" --install --both "${options[@]}" --output "$FOLDER/output" \
	--html "$FOLDER/index.html" --junit "$FOLDER/junit.xml" --markdown "$FOLDER/matrix.md" --json "$FOLDER/matrix.json" \
	-- bash -c "$COMMAND"
code=$?
[[ ! ${GITHUB_STEP_SUMMARY:-} || ! -s $FOLDER/matrix.md ]] || cat "$FOLDER/matrix.md" >>"$GITHUB_STEP_SUMMARY"
exit $code
