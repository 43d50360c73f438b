# shellcheck shell=bash
# Labs that stay: a process (the holder) keeps the namespaces alive, and a file has its process id.

# where: set $labs, the folder of this user's labs, which exists while there are any
where() {
	elsewhere=
	if ((EUID == 0)); then
		labs=/run/pinhole
	else
		labs=$XDG_RUNTIME_DIR
		[[ -d $labs ]] || labs=/tmp # after su, or in a job of cron, the variable may name a folder that is not there
		labs+=/pinhole-$EUID
		[[ ! -d /run/pinhole ]] || elsewhere='; use sudo to see the labs of root'
	fi
	[[ ! -e $labs && ! -L $labs ]] || [[ -O $labs && ! -L $labs ]] || die "$labs belongs to another user, or is a symbolic link"
}

# alone: lock the folder of labs, so that no other netns.sh adds or removes one; the lock ends with this process.
# Another process may have removed the folder, or made a new one, before the lock is ours: hence the loop.
alone() {
	lock=
	until [[ $lock && $labs -ef /dev/fd/$lock ]]; do
		[[ ! $lock ]] || exec {lock}<&-
		[[ -d $labs ]] || mkdir -m 700 "$labs" 2>/dev/null || [[ -d $labs ]] || die "cannot make $labs"
		{ exec {lock}<"$labs"; } 2>/dev/null || { lock=; continue; }
		flock "$lock" || die "cannot lock $labs"
	done
}

# found NAME: whether that lab is up; sets what its file says, and $first, the first process inside
found() {
	local now
	[[ -s $labs/$1 ]] || return 1
	# both files may be removed before they are read: then the lab has ended
	read -r holder born a b prefix bin further 2>/dev/null <"$labs/$1" || return 1
	if now=$(started "$holder") && [[ $now == "$born" ]]; then
		first=
		read -r first _ 2>/dev/null <"/proc/$holder/task/$holder/children" # there is no newline, so read fails
		[[ ! $first ]] || return 0
	fi
	[[ ! $lock ]] || rm -f "$labs/$1" # its holder has been killed
	return 1
}

# started PID: when that process started, in clock ticks since boot: a process id that is used again has another
started() {
	local stat
	read -r stat 2>/dev/null <"/proc/$1/stat" || return
	stat=${stat##*) }
	set -- $stat
	echo "${20}"
}

up() {
	local holder word from to i where_they_are=
	where
	alone
	! found "$name" || die "the lab \"$name\" is up ($a, $b${further:+, ${further// /, }}); --name another, or end it: $0 down --name $name"
	begin
	coproc held { exec {lock}<&-; PINHOLE_STAGE=hold PINHOLE_BEGUN=$PINHOLE_BEGUN PINHOLE_BIN=$bin exec setsid unshare "${apart[@]}" "$self" "${again[@]}" 2>&1; }
	holder=$held_PID
	# of their own, since bash closes the others when the process has ended, as it does at once where namespaces are refused
	{ exec {from}<&"${held[0]}" {to}>&"${held[1]}"; } 2>/dev/null || from=
	until [[ $word == ready ]]; do
		[[ $from ]] && read -rt $((2 * patience)) -u "$from" word || { begun; die "the lab did not come up"; }
		[[ $word == ready ]] || echo "$word" >&2
	done
	echo "$holder $(started "$holder") $1 $2 $prefix $bin ${*:3}" >"$labs/$name"
	found "$name" || die "the lab ended at once"
	echo stay >&"$to"
	exec {from}<&- {to}>&-
	exec {lock}<&-
	if [[ $json ]]; then
		tabbed "$name" "$1" "$2" "$prefix.0/24" "$holder" "${*:3}" | labreport json "${columns[@]}" || return
	else
		for ((i = 1; i <= $#; i++)); do where_they_are+="${where_they_are:+, }${people[i - 1]} behind ${!i}"; done
		say '%s\n' "The lab \"$name\" is up: $where_they_are; try: $0 exec alice${suffix} -- ip addr"
	fi
	[[ ! $verify ]] || entered PINHOLE_STAGE=verify "$self" "$@" ${json:+--json} --prefix "$prefix.0/24"
}

# hold: inside the namespaces; builds the network and keeps it until SIGTERM, at which it writes what is recorded. It
# ends if the first run of this script ends before it has written the lab's file.
hold() {
	build_network </dev/null
	# before it is told that the lab is up: the first process of a namespace is not ended by a signal without a trap
	trap : INT HUP
	trap 'recorded; exit' TERM
	echo ready && read -r || exit
	mkfifo /run/never
	exec >/dev/null 2>&1 <>/run/never
	while :; do read -r; done
}

# entered CMD…: run it in the lab that was found, in this folder; CMD may begin with VAR=value. The stderr of this
# script is closed meanwhile, because bash prints a message of its own when a command is killed.
entered() {
	local user=() err code
	exec {err}>&2 2>/dev/null
	((EUID == 0)) || user=(--user --preserve-credentials)
	nsenter --target "$first" "${user[@]}" --mount --uts --net --pid env -C "$PWD" \
		PINHOLE_S1="$prefix.1" PINHOLE_S2="$prefix.2" PINHOLE_PORT="$port" PINHOLE_SERVER="$prefix.1:$port" \
		PINHOLE_BIN="$bin" PINHOLE_HOME=/run/pinhole PATH="$lab/bin:$bin:$PATH" "$@" 2>&"$err" {err}>&-
	code=$?
	exec 2>&"$err" {err}>&-
	return $code
}

# at NODE CMD…: run it in a node of the lab called $name; with $only_routers, only in a node that has a NAT
at() {
	local node=$1 code said
	where
	found "$name" || die "no lab \"$name\" is up; start one: $0 up A B${suffix}${elsewhere}"
	if [[ ! $node ]] || ! entered test -f "/run/netns/$node" 2>/dev/null; then
		said=$(entered true 2>&1) || die "cannot enter the lab \"$name\": ${said:-it has ended}"
		usage "there is no node \"$node\"; there are $(nodes .)"
	fi
	[[ ! ${only_routers-} || $node == @(nat|isp*([2-9]))-* ]] || usage "\"$node\" has no NAT; the routers that have one are $(nodes -)"
	entered PINHOLE_NAME="$node" ip netns exec "$node" sh -c 'exec "$@"' sh "${@:2}" # for a command that does not exist, a shell exits with 127 and ip with 1
	code=$?
	((code != 137)) || ! ended || die "the lab \"$name\" has ended"
	((code != 127)) || [[ $2 != chat || -x $bin/chat || $installed ]] ||
		echo "$me: a lab needs no chat, so it has built none in $bin; build it: cargo build --release --package=chat" >&2
	return $code
}

# run_in_lab: run the command, which is NODE=CMD …, in the lab called $name. It has a pid namespace of its own, so that
# nothing of it is left in the lab when this script ends.
run_in_lab() {
	where
	found "$name" || die "no lab \"$name\" is up; start one: $0 up A B${suffix}${elsewhere}"
	entered PINHOLE_STAGE=run setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child --mount-proc \
		"$self" "$a" "$b" "${options[@]}" --prefix "$prefix.0/24" -- "${command[@]}"
}

# happens VERB WORD…: something happens in the lab called $name
happens() {
	where
	found "$name" || die "no lab \"$name\" is up; start one: $0 up A B${suffix}${elsewhere}"
	[[ $1 != @(reboot|nat|renumber) ]] || has conntrack || install conntrack
	entered PINHOLE_STAGE=event "$self" "$@"
}

# nodes PATTERN: the nodes of the lab that was found, on one line
nodes() {
	local names
	names=$(entered ip netns list | sed 's/ .*//' | grep -- "$1" | sort)
	echo "${names//$'\n'/ }"
}

# ended: whether the lab that was found has ended, or is about to: the kernel ends the others when its first process
# exits, and marks that one before (PF_EXITING)
ended() {
	local stat
	found "$name" && read -r stat 2>/dev/null <"/proc/$first/stat" || return 0
	set -- ${stat##*) }
	(($7 & 4))
}

status() {
	where
	[[ ! $elsewhere ]] || echo "$me: ${elsewhere#; }" >&2
	[[ ! -d $labs ]] || alone
	if [[ $json ]]; then
		up_now tabbed | labreport json --list labs "${columns[@]}" || return
	else
		say '%-16s %-24s %-24s %s\n' NAME ALICE BOB PROCESS
		up_now line
	fi
	rmdir "$labs" 2>/dev/null
	return 0
}

columns=(name a b prefix pid:number further)
line() { say '%-16s %-24s %-24s %s%s\n' "${@:1:3}" "$5" "${6:+  further sides: $6}"; }

# up_now CMD: run CMD with the columns of each lab that is up
up_now() {
	local file
	for file in "$labs"/*; do
		! found "${file##*/}" || "$1" "${file##*/}" "$a" "$b" "$prefix.0/24" "$holder" "$further"
	done
}

# down: when the first process inside ends, the kernel ends everything inside; the holder ends with it
down() {
	local names=("$name") file files records code=0
	where
	[[ ! -d $labs ]] || alone
	if [[ $all ]]; then
		names=()
		for file in "$labs"/*; do [[ -e $file ]] && names+=("${file##*/}"); done
	fi
	for name in "${names[@]}"; do
		found "$name" || { [[ $all ]] && continue; rmdir "$labs" 2>/dev/null; die "no lab \"$name\" is up${elsewhere}"; }
		recorded_by "$first"
		if [[ $records ]]; then
			kill -TERM "$first"
			gone_within $((writing + patience)) "$first"
		fi
		kill -KILL "$first" 2>/dev/null
		until [[ ! -e /proc/$first ]]; do sleep 0.01; done
		rm -f "$labs/$name"
		for file in "${files[@]}"; do
			[[ -s $file ]] || { echo "$me: the lab \"$name\" has ended, and its trace was not written to $file" >&2; code=2; }
		done
	done
	rmdir "$labs" 2>/dev/null
	return $code
}

# recorded_by PID: of a lab's first process, set $records if it records anything, and $files to those of --trace
recorded_by() {
	local line i
	files=() records=
	mapfile -td '' line <"/proc/$1/cmdline"
	for i in "${!line[@]}"; do
		[[ ${line[i]} != --@(trace|pcap) ]] || records=1
		[[ ${line[i]} != --trace ]] || files+=("${line[i + 1]}")
	done
}

# gone_within SECONDS PID: wait until it has ended; after a second, say for what
gone_within() {
	local end=$((SECONDS + $1)) told=$((SECONDS + 2))
	while [[ -e /proc/$2 ]]; do
		((SECONDS < end)) || return 1
		((SECONDS != told)) || { told=0; echo "$me: the lab \"$name\" writes what it has recorded (up to $1 s)" >&2; }
		sleep 0.01
	done
}
