# shellcheck shell=bash
# Labs that stay: a process holds the namespaces, a file says which process.

# where: the folder of this user's labs, nobody else's
where() {
	if ((EUID == 0)); then labs=/run/pinhole; else labs=${XDG_RUNTIME_DIR:-/tmp}/pinhole-$EUID; fi
	[[ -d $labs ]] || mkdir -m 700 "$labs" || die "cannot make $labs"
	[[ -O $labs && ! -L $labs ]] || die "$labs belongs to somebody else"
}

# found NAME: whether that lab is up; its file, read, and the first process inside
found() {
	local now
	[[ -e $labs/$1 ]] || return 1
	read -r holder born a b prefix bin <"$labs/$1"
	if now=$(started "$holder") && [[ $now == "$born" ]]; then
		first=
		read -r first _ <"/proc/$holder/task/$holder/children" # no newline there, so read says no
		[[ ! $first ]] || return 0
	fi
	rm -f "$labs/$1" # its holder was killed
	return 1
}

# started PID: when, in the kernel's count, so that a number used again is not taken for the same
started() {
	local stat
	read -r stat 2>/dev/null <"/proc/$1/stat" || return
	stat=${stat##*) }
	set -- $stat
	echo "${20}"
}

up() {
	local ready holder word
	where
	! found "$name" || die "the lab \"$name\" is up ($a, $b); --name another, or end it: $0 down --name $name"
	exec {ready}< <(PINHOLE_STAGE=hold PINHOLE_BIN=$bin exec setsid unshare "${apart[@]}" "$self" "${args[@]}" </dev/null 2>&1)
	holder=$!
	until [[ $word == ready ]]; do
		read -rt 60 -u "$ready" word || die "the lab did not come up"
		[[ $word == ready ]] || echo "$word" >&2
	done
	echo "$holder $(started "$holder") $1 $2 $prefix $bin" >"$labs/$name"
	found "$name" || die "the lab did not stay"
	echo "The lab \"$name\" is up: alice behind $1, bob behind $2; try: $0 exec alice${suffix} -- ip addr"
	[[ ! $verify ]] || entered PINHOLE_STAGE=verify "$self" "$1" "$2" ${json:+--json} --prefix "$prefix.0/24"
}

# hold: inside; stays until it is killed
hold() {
	build_network
	echo ready
	mkfifo /run/never
	exec >/dev/null 2>&1 <>/run/never
	trap : TERM INT HUP
	while :; do read -r; done
}

# entered CMD…: run it in the lab that was found, in this folder; CMD may begin with VAR=value
entered() {
	local user=()
	((EUID == 0)) || user=(--user --preserve-credentials)
	nsenter --target "$first" "${user[@]}" --mount --net --pid env -C "$PWD" \
		PINHOLE_S1="$prefix.1" PINHOLE_S2="$prefix.2" PINHOLE_PORT="$port" PINHOLE_SERVER="$prefix.1:$port" \
		PINHOLE_BIN="$bin" PINHOLE_HOME=/run/pinhole PATH="$bin:$PATH" "$@"
}

# at NODE CMD…: in a node of the lab called $name
at() {
	local node=$1
	where
	found "$name" || die "no lab \"$name\" is up; start one: $0 up A B${suffix}"
	entered test -e "/run/netns/$node" ||
		usage "there is no node \"$node\"; there are $(entered ip netns list | sed 's/ .*//' | sort | tr '\n' ' ')"
	entered PINHOLE_NAME="$node" ip netns exec "$node" "${@:2}"
}

status() {
	local file comma='['
	where
	[[ $json ]] || printf '%-16s %-24s %-24s %s\n' NAME ALICE BOB PROCESS
	for file in "$labs"/*; do
		found "${file##*/}" || continue
		if [[ $json ]]; then
			printf '%s{"name":"%s","a":"%s","b":"%s","prefix":"%s.0/24","pid":%s}' "$comma" "${file##*/}" "$a" "$b" "$prefix" "$holder"
			comma=$',\n'
		else
			printf '%-16s %-24s %-24s %s\n' "${file##*/}" "$a" "$b" "$holder"
		fi
	done
	[[ ! $json ]] || { [[ $comma == '[' ]] && echo '[]' || echo ']'; }
}

# down: the first process's end is the end of everything inside, and its holder buries it
down() {
	local names=("$name") file
	where
	if [[ $all ]]; then
		names=()
		for file in "$labs"/*; do [[ -e $file ]] && names+=("${file##*/}"); done
	fi
	for name in "${names[@]}"; do
		found "$name" || { [[ $all ]] && continue; die "no lab \"$name\" is up"; }
		kill -KILL "$first"
		until [[ ! -e /proc/$first ]]; do sleep 0.01; done
		rm -f "$labs/$name"
	done
}
