#!/usr/bin/env bash
# In a lab: each node watches by itself while a command runs, and leaves what it saw in FOLDER/NODE.json.
# usage: apart.sh FOLDER NODE… -- CMD…
folder=$1 watching=()
shift
while [[ $1 != -- ]]; do
	exec {began}< <(exec ip netns exec "$1" nattrace watch --here "$1" --record "$folder" </dev/null)
	watching+=($!)
	read -rt 60 -u "$began" || exit 3
	shift
done
"${@:2}" && kill "${watching[@]}" || exit 4
end=$((SECONDS + 60))
for pid in "${watching[@]}"; do
	while kill -0 "$pid" 2>/dev/null; do
		((SECONDS < end)) || exit 5
		sleep 0.02
	done
	wait "$pid" || exit 6
done
