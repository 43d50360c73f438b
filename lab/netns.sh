#!/usr/bin/env bash
#
# A NAT laboratory in network namespaces.
#
#   alice            alice2              server                               bob
#   192.168.1.2      192.168.1.3         203.0.113.1, 203.0.113.2             192.168.2.2
#     │                │                   │                                    │
#   ┌─┴────────────────┴─┐               ┌─┴────────────┐               ┌───────┴────────┐
#   │ lan    192.168.1.1 │               │              │               │ lan 192.168.2.1│
#   │ nat-alice          ├───────────────┤     core     ├───────────────┤ nat-bob        │
#   │ wan   203.0.113.17 │               │ 203.0.113.254│               │ wan 203.0.113.33
#   └────────────────────┘               └──────────────┘               └────────────────┘
#
# alice's side owns 203.0.113.16/28: with public addresses of their own (open, firewall, basic)
# alice has .18 and alice2 .19. bob's side owns 203.0.113.32/28, and bob has .34.
# With a carrier (cgnat) isp-alice is in between: wan 203.0.113.17, lan 100.64.1.1, and nat-alice's
# wan is 100.64.1.2; isp-bob likewise with .33 and 100.64.2.x. core is a router and decrements TTLs.
# A third side continues so: carol 192.168.3.2, nat-carol 203.0.113.49, which owns 203.0.113.48/28 (lib/sides.sh).
#
# Everything is in private mount, host name, pid and network namespaces (and a user namespace unless root). So each
# lab can use the same names, labs do not reach each other, and nothing is left when the script ends.

set -o pipefail
shopt -s extglob

here=$PWD self=${BASH_SOURCE[0]}
[[ ! -L $self ]] || self=$(readlink -f "$self")
[[ $self != */* ]] || cd "${self%/*}" || exit 2
lab=$PWD self=$PWD/${self##*/}
cd "$here" || exit 2

# installed by the package, this script is the command pinhole-lab, and the tools are in the same prefix
installed='' me=netns.sh
[[ $lab != */share/pinhole/lab ]] || installed=${lab%/share/pinhole/lab}/bin me=pinhole-lab
[[ ! $installed ]] || PINHOLE_BIN=${PINHOLE_BIN:-$installed}

die() { echo "$me: $*" >&2; exit 2; }
usage() { die "$* (--help says more)"; }

# say FORMAT WORD…: printf; where stdout cannot be written, the script ends with one error, or with none where
# the reader has closed the pipe
say() {
	# shellcheck disable=SC2059
	printf "$@" 2>/dev/null || torn
}
torn() {
	local why out
	[[ -e /dev/fd/1 ]] || die 'cannot write to stdout: it is closed'
	exec {out}>&1
	why=$(LC_ALL=C; printf '\n' 2>&1 >&"$out")
	[[ $why != *'Broken pipe'* ]] || exit 2
	die "cannot write to stdout: ${why##*: }"
}

# labreport ARGUMENT…: judges and prints JSON; its errors begin with the name of this script
labreport() { (exec -a "$me" "$bin/labreport" "$@"); }

# tabbed WORD…: the words on one line with tabs between them, for labreport json
tabbed() {
	local IFS=$'\t'
	printf '%s\n' "$*"
}

# lib NAME: load a part of this script
lib() {
	[[ -r $lab/lib/$1.sh ]] || die "cannot read $lab/lib/$1.sh: $me needs the files beside it; make a link to it instead of a copy"
	# shellcheck source=/dev/null
	source "$lab/lib/$1.sh" || exit 2
}

declare -A shaped=() # side → what --link says of its link
json='' verbose='' loss='' delay='' install='' verify=1 watch='' same_lan='' all='' name=default
prefix=203.0.113 port=8848
pcap='' # the folder for the packets of all nodes
steps='' # the main job shows its steps
traces=() # the files for what became of each packet
# for a command: the nodes in which it runs at once (both, each); the one at whose end it ends; a surprise is exit 1; how often; how many labs at once; seconds; folder of its output
nodes='' until='' strict='' runs=1 jobs='' limit='' kept=''

help() {
	local text
	read -rd '' text <<'HELP'
A NAT laboratory in network namespaces.

  lab/netns.sh A B                put alice behind NAT type A and bob behind B, measure both NATs,
                                  introduce alice and bob, punch, show the packets and the outcome
  lab/netns.sh A B -- CMD…        run CMD in the same network, with the same rendezvous; in CMD,
                                  "ip netns exec NODE …" runs a program in a node
  lab/netns.sh A B C… -- CMD…     the same with more sides: alice, bob, carol, dave … (16 at most)
  lab/netns.sh run A B -- NODE=CMD…
                                  run a shell command in each of these nodes at once: each line that
                                  they print has the node before it
  lab/netns.sh run NODE=CMD…      the same in a lab that stays
  lab/netns.sh up A B [C…]        start a lab that stays until it is ended
  lab/netns.sh exec NODE -- CMD…  run a command in a node of that lab
  lab/netns.sh shell NODE         open a shell in a node of it
  lab/netns.sh nat NODE           show what a router's NAT holds, the newest mappings first (--all: every
                                  one; --watch: and every change)
  lab/netns.sh reboot ROUTER      a router forgets all its mappings
  lab/netns.sh nat SIDE TYPE      another NAT under the same addresses
  lab/netns.sh renumber SIDE      the side gets another public address
  lab/netns.sh roam HOST SIDE     a host moves behind the router of a side, and gets an address there
  lab/netns.sh down LINK, up LINK
                                  pull the cable, and plug it in: LINK is a side or server, for its
                                  link to core, or NODE:INTERFACE
  lab/netns.sh link SIDE WORDS    what the link between SIDE and core does from now on (see --link)
  lab/netns.sh flood SIDE RATE [SECONDS]
                                  another host there makes RATE new mappings a second (default: 10 s)
  lab/netns.sh status             list the labs that stay
  lab/netns.sh down               end one (--all: all of yours)
  lab/netns.sh matrix [TYPE…]     punch between every ordered pair of types, and compare each
                                  outcome with what the oracle expects
  lab/netns.sh matrix [TYPE…] -- CMD…
                                  run CMD between every ordered pair, each in a lab of its own: exit
                                  code 0 is yes, 1 is no, all else is broken; the oracle expects a yes
                                  where plain punching connects any ICE agent
  lab/netns.sh expect A B         print what is expected between two types, and run nothing
  lab/netns.sh list               list the NAT types
  lab/netns.sh doctor             check what this machine supports

Nodes: alice alice2 bob nat-alice nat-bob core server (and isp-alice, isp-bob with cgnat). In each
node, the names of the others resolve to the addresses by which it reaches them.
Types: see list. TYPE+TYPE… is NATs in series, the home router's first: port-restricted+cgnat.
SIDE=TYPE names the side: alice=open bob=symmetric+cgnat.
Overrides follow a type: full-cone,ports=random,timeout=20s,hairpin=on
  ports=preserve|random|sequential|block   timeout=Ns   hairpin=on|off
  addresses=1|2   how many public addresses the NAT has
  hosts=N         how many hosts are behind the router, 1 to 9: bob, bob2 … (default: 1, alice's 2)
  size=N          how many mappings it can hold
  upnp=on|off     whether hosts can map ports by UPnP-IGD, NAT-PMP or PCP (miniupnpd)
  tcp=rst|silence how the router answers an unsolicited SYN
  input=accept|drop|reject
                  what masquerade does with an unsolicited packet, which comes to the router itself
  mapping= and filtering=endpoint-independent|address-dependent|address-and-port-dependent

  -v, --verbose   of A B without CMD: print also every packet of both hosts, and what both NATs hold
  --json          print JSON (docs/reference/json.md); matrix takes a file name after it (- for stdout)
  --markdown FILE, --junit FILE, --html FILE
                  write the matrix as a Markdown table, as JUnit XML, as one HTML page; a cell of
                  FILE.html leads to the packets of its run, in the folder FILE.packets
  --profile FILE  in place of a type: the NAT that this natprobe report (--json) describes
  --name NAME     the name of a lab that stays (default: default)
  --loss PERCENT  core drops this part of the packets that it forwards, in either direction; a
                  packet between alice, bob and server passes core once, one within a LAN never
  --delay MS      core delays each packet by MS milliseconds, so a round trip takes twice that
  --link SIDE=WORDS
                  what the link between SIDE (alice, bob, server) and core does, both ways: dsl,
                  cable, fibre, wifi, 4g, 5g, satellite-leo, satellite-geo, or for example
                  delay:50ms,jitter:10ms,loss:1%,rate:20mbit,up-rate:5mbit (docs/reference/links.md);
                  --delay is then for the other sides
  --prefix CIDR   the public addresses, a /24 (default: 203.0.113.0/24)
  --pcap DIR      capture the packets of every node into DIR/NODE.pcapng (in a matrix, into
                  DIR/A--B/run-N/NODE.pcapng)
  --trace FILE    watch every node, and write what became of each packet to FILE: .json, .pcapng
                  (for Wireshark), .html (a page for a browser) or .txt (a ladder to read); may be given
                  several times; of a lab that stays, when it ends
  --same-lan      give bob's LAN the prefix of alice's, and bob the address of alice2
  --no-verify     do not measure the NATs first
  --install       install the Debian packages that are missing

With CMD (the matrix, and A B):
  --both          run CMD in alice and in bob at once; the exit code is 0 if both are 0, and 1 if one
                  is 1; at another one, the other CMD is ended, and it is that code
  --each          CMD is NODE=CMD…, as with run: a shell command for each of these nodes. Those of
                  server and of routers are services: they are ended when the others have ended
  --until NODE    end all commands when that of NODE has ended; its exit code is that of all
  --timeout S     end CMD after S seconds: exit code 124, in a matrix broken (default: 60; of A B
                  with one CMD: none)
  --runs N        run CMD N times, each in a new lab
  --jobs N        how many labs are up at once (default: as many as this machine bears)
  --output DIR    the folder for the output of each run (default: a new one in /tmp)
  --strict        exit with 1 if one outcome is not as expected
With --runs, --output, --strict or a format, A B is a matrix of one pair. Without --strict its exit
code is 0 if every run is a yes, 1 if one is a no, and that of a matrix is 0 if every run is a yes
or a no; 2 if a run is broken.

In CMD, the command "lab" makes things happen: lab reboot nat-alice, lab roam alice bob, and the
other words from reboot to flood above.

CMD finds in its environment PINHOLE_S1 and PINHOLE_S2 (the server's addresses), PINHOLE_PORT,
PINHOLE_SERVER (S1:PORT), PINHOLE_BIN (the folder of the tools, also first in PATH), PINHOLE_HOME
(a folder in RAM), PINHOLE_A and PINHOLE_B (the types), PINHOLE_RUN and PINHOLE_OUTPUT (number and
folder of the run), and in a node PINHOLE_NAME (the node). With --both there are PINHOLE_ROLE
(alice or bob), PINHOLE_PEER (the other), PINHOLE_ADDRESS and PINHOLE_PEER_ADDRESS (the hosts'
addresses), PINHOLE_OUTSIDE and PINHOLE_PEER_OUTSIDE (the addresses by which hosts elsewhere reach
them). If you set PINHOLE_BIN, the tools in that folder are used and nothing is built.

Exit codes: 0 as asked and as expected; 1 a NAT is not what was asked, or an outcome is not what
was expected; 2 could not tell (usage, environment); with CMD, the exit code of CMD.
HELP
	[[ ! $installed ]] || text=$(sed -E 's,^  lab/netns\.sh ([^ ]+( [^ ]+)*)  ,  pinhole-lab \1   ,; s,^  lab/netns\.sh ,  pinhole-lab ,' <<<"$text")
	say '%s\n' "$text"
}

# parse WORD…: set the variables above; $words (--profile FILE is the word @FILE), $command; $typed, the names of
# the options that were given; $options, those that the second run of this script gets as well
words=() command=() typed=() options=()
declare -A outputs=() # of the matrix: format → file
parse() {
	while (($#)); do
		[[ $1 != --?* || $1 == --profile?(=*) ]] || typed+=("${1%%=*}")
		case $1 in
		--) shift; command=("$@"); (($#)) || usage "no command after --"; return ;;
		-h | --help | help) help; exit 0 ;;
		-v | --verbose) verbose=1 typed+=(--verbose) ;;
		--json) json=1; [[ ${words[0]-} != matrix ]] || { output "$1" "${2-}"; shift; } ;;
		--markdown | --junit | --html) output "$1" "${2-}"; shift ;;
		--json=* | --markdown=* | --junit=* | --html=*)
			[[ ${words[0]-} == matrix || $1 != --json=* ]] || usage "--json takes a file name only with matrix"
			output "${1%%=*}" "${1#*=}" ;;
		--install) install=1 ;;
		--no-verify) verify='' options+=("$1") ;;
		--watch) watch=1 ;;
		--both | --each) nodes=${1#--} options+=("$1") ;;
		--strict) strict=1 ;;
		--same-lan) same_lan=1 options+=("$1") ;;
		--all) all=1 ;;
		--loss | --delay | --link | --prefix | --name | --runs | --jobs | --timeout | --output | --until | --pcap | --trace) (($# > 1)) || usage "$1 needs a value"; value "$1" "$2"; shift ;;
		--loss=* | --delay=* | --link=* | --prefix=* | --name=* | --runs=* | --jobs=* | --timeout=* | --output=* | --until=* | --pcap=* | --trace=*) value "${1%%=*}" "${1#*=}" ;;
		--profile) (($# > 1)) || usage '--profile needs a natprobe report'; words+=("@$2"); shift ;;
		--profile=*) words+=("@${1#*=}") ;;
		-*) usage "there is no option $1" ;;
		*) words+=("$1") ;;
		esac
		shift
	done
}

# output OPTION FILE: a format of the matrix, and the file for it
output() {
	[[ $2 && $2 != --* ]] || usage "$1 needs a file name"
	[[ $2 == */* || ! -e $lab/nat/${2%%,*}.nft ]] ||
		usage "$1 needs a file name, and \"$2\" is a NAT type; write $1 FILE $2, or $1 ./$2 for a file of that name"
	outputs[${1#--}]=$2
	json=1
}

value() {
	case $1 in
	--runs | --jobs)
		[[ $2 =~ ^[1-9][0-9]{0,2}$ ]] || usage "$1 is a number from 1 to 999, not \"$2\""
		[[ $1 == --runs ]] && runs=$2 || jobs=$2
		return ;;
	--pcap)
		[[ $2 ]] || usage '--pcap needs a folder'
		pcap=$(realpath -m -- "$2")
		[[ $pcap != /run/* ]] || usage "--pcap $2: a lab has a /run of its own, so it cannot write there; name another folder"
		options+=(--pcap "$pcap")
		return ;;
	--trace)
		[[ $2 == *.@(json|pcapng|html|txt) ]] || usage "--trace needs a file that ends with .json, .pcapng, .html or .txt, not \"$2\""
		traces+=("$(realpath -m -- "$2")")
		[[ ${traces[-1]} != /run/* ]] || usage "--trace $2: a lab has a /run of its own, so it cannot write there; name another file"
		options+=(--trace "${traces[-1]}")
		return ;;
	--output) kept=$2; [[ $kept ]] || usage '--output needs a folder'; return ;;
	esac
	options+=("$1" "$2")
	local octet='(0|[1-9][0-9]?|1[0-9][0-9]|2[0-4][0-9]|25[0-5])'
	case $1 in
	--loss)
		[[ $2 =~ ^(100(\.00?)?|[0-9]{1,2}(\.[0-9]{1,2})?)$ ]] || usage "--loss is a percentage from 0 to 100, not \"$2\""
		loss=$2 ;;
	--delay)
		[[ $2 =~ ^[0-9]{1,5}(\.[0-9]{1,3})?$ ]] || usage "--delay is in milliseconds, not \"$2\""
		delay=$2 ;;
	--link)
		[[ $2 =~ ^([a-z]+)=(.+)$ ]] || usage "--link is SIDE=WORDS such as alice=4g, not \"$2\""
		shaped[${BASH_REMATCH[1]}]+=${shaped[${BASH_REMATCH[1]}]+,}${BASH_REMATCH[2]} ;;
	--prefix)
		[[ $2 =~ ^($octet\.$octet\.$octet)\.0/24$ ]] || usage "--prefix is a /24 such as 198.51.100.0/24, not \"$2\""
		prefix=${BASH_REMATCH[1]}
		[[ $prefix != @(192.168.@([1-9]|1[0-6])|100.@(6[4-9]|70).@([1-9]|1[0-6])|127.*|0.*) && ${prefix%%.*} -lt 224 ]] ||
			usage "--prefix $2 is taken: the lab uses 192.168.1-16.0/24 and 100.64-70.1-16.0/24 itself, and 0, 127, 224 and above are not unicast" ;;
	--until) until=$2 ;;
	--timeout)
		[[ $2 =~ ^[1-9][0-9]{0,4}$ ]] || usage "--timeout is in seconds, 1 to 99999, not \"$2\""
		limit=$2 ;;
	--name)
		[[ $2 =~ ^[A-Za-z0-9][A-Za-z0-9_.-]{0,40}$ ]] || usage "--name is up to 41 letters, digits, _ . and -, and begins with a letter or digit, not \"$2\""
		name=$2 ;;
	esac
}

# each: the verb run is --each with another order of words: run A B -- NODE=CMD …, or run NODE=CMD … in a lab that stays
each() {
	local word named='^[a-z0-9-]+='
	if ((${#command[@]} == 0)); then
		for word in "${words[@]:1}"; do
			[[ $word =~ $named ]] || usage "run needs NODE=CMD …, or two NAT types, then -- and NODE=CMD …; this is none: \"$word\""
		done
		((${#words[@]} > 1)) || usage 'run needs NODE=CMD …'
		command=("${words[@]:1}") words=(run)
	else
		words=("${words[@]:1}")
		((${#words[@]})) || words=(run)
	fi
	nodes='each' options+=(--each)
}

# limited: give the command $limit, its default, where no person watches it
limited() { [[ $limit ]] || value --timeout 60; }

# prepared N [NEEDS]: check the types, which are $words from N on, get everything that a lab needs (or what NEEDS gets),
# and set $again, the arguments of the second run of this script
prepared() {
	local word
	for word in "${words[@]:$1}"; do [[ $word == @* ]] || read_type "$word"; done
	${2:-ready}
	if [[ " ${words[*]}" == *' @'* ]]; then
		lib profile
		rebuild
		for word in "${words[@]:$1}"; do read_type "$word"; done
	fi
	hand_over
	[[ ${words[0]} == matrix ]] && shapes $((${#words[@]} - 2)) || shapes "$1"
	again=("${words[@]}" "${options[@]}" ${json:+--json} ${verbose:+--verbose})
	((${#command[@]} == 0)) || again+=(-- "${command[@]}")
}

# shapes N: check what --link says; the sides are $words from N on
shapes() {
	local side why
	for side in "${!shaped[@]}"; do
		[[ " server ${people[*]::${#words[@]} - $1} " == *" $side "* ]] ||
			usage "--link $side=… names no side; there are ${people[*]::${#words[@]} - $1} and server"
		why=$("$bin/natlink" explain "${shaped[$side]}" 2>&1) || usage "--link $side=${shaped[$side]}: ${why#natlink: }"
	done
}

# build_network: for the types in $words
build_network() {
	network "${words[@]}"
	raise
	[[ ! $loss ]] || lossy "$loss"
	[[ ! $pcap ]] || { lib pcap; captured "$pcap"; }
	((${#traces[@]} == 0)) || { lib verify; lib trace; traced "${traces[@]}" ${steps:+/run/steps.json}; }
}

# "${private[@]}" CMD…: run it as the first process of new namespaces, which end when this script ends. unshare
# itself ignores the signals that end this script, hence setpriv: it has the kernel kill unshare then.
apart=(--mount --uts --pid --net --fork --kill-child --mount-proc)
((EUID == 0)) || apart+=(--user --map-root-user)
private=(setpriv --pdeathsig KILL unshare "${apart[@]}")

# begin … begun: between them, the second run of this script starts, which takes one line from $PINHOLE_BEGUN. If the
# line is still there, there is no second run: unshare was refused.
begin() { exec {PINHOLE_BEGUN}<<<never; }
begun() { ! read -r -u "$PINHOLE_BEGUN" || die "no lab: $(lib needs; refusal)"; }

# inside: the second run of this script, in the namespaces that the first run has made
inside() {
	local stage=$PINHOLE_STAGE
	[[ ! $PINHOLE_BEGUN ]] || { read -r -u "$PINHOLE_BEGUN"; exec {PINHOLE_BEGUN}<&-; }
	unset PINHOLE_STAGE PINHOLE_BEGUN
	[[ $stage == event || ${words[0]} != up ]] || words=("${words[@]:1}")
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	bin=$PINHOLE_BIN PATH=$PINHOLE_BIN:$PATH
	export PINHOLE_S1=$s1 PINHOLE_S2=$s2 PINHOLE_PORT=$port PINHOLE_SERVER=$s1:$port PINHOLE_HOME=/run/pinhole
	[[ $stage == command && ! $verify ]] || lib verify
	case $stage in
	command)
		build_network
		[[ ! $verify ]] || measured "${words[@]}" >&2 || exit
		lib cmd
		perform "${words[@]}" ;;
	demonstrate) [[ $json ]] || steps=1; build_network; demonstrate "${words[@]}" ;;
	event) lib events; event "${words[@]}" ;;
	cell) lib matrix; cell "${words[@]}" ;;
	hold) lib keep; hold ;;
	verify) measured "${words[@]}" ;;
	run) lib cmd; perform "${words[@]}" ;;
	esac
	local code=$?
	recorded || code=2
	exit $code
}

# recorded: end the captures and the watch, and wait until their files are whole
recorded() {
	[[ ! $pcap ]] || saved
	((${#traces[@]} == 0)) || written
}

run() {
	PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
	parse "$@"
	s1=$prefix.1 s2=$prefix.2 core=$prefix.254
	lib types
	lib topology
	lib sides
	if [[ ${PINHOLE_STAGE-} ]]; then
		lib names
		inside
	fi
	lib needs
	[[ ${words[0]-} != run ]] || each
	set -- "${words[@]}"
	local verb=${1-} taker=${1-} code commanded=()
	((${#command[@]} == 0)) || commanded=(--both --each --until --runs --jobs --timeout --strict --output --markdown --junit --html)
	case $verb in
	up | exec | shell | nat | status | down | run | reboot | renumber | roam | link | flood)
		lib keep
		[[ $name == default ]] || suffix=" --name $name" ;;
	esac
	case $verb in
	'') ;;
	list | doctor | status | expect) takes --json ;;
	down) takes --name --all ;;
	exec | shell | reboot | renumber | roam | link | flood) takes --name ;;
	run) takes --name --timeout --until ;;
	nat) takes --name --json --watch --all ;;
	up) takes --name --json --install --loss --delay --link --pcap --trace --prefix --same-lan --no-verify ;;
	matrix) takes --json --markdown --junit --html --install --loss --delay --link --pcap --prefix --same-lan --no-verify --jobs "${commanded[@]}" ;;
	*) taker='a lab that does not stay'; takes --json --verbose --install --loss --delay --link --pcap --trace --prefix --same-lan --no-verify "${commanded[@]}" ;;
	esac
	[[ ${command[*]} || $verb == @(shell|down) ]] || [[ -e /dev/fd/1 ]] || die 'cannot write to stdout: it is closed'
	((${#command[@]} == 0)) || [[ $verb != @(up|shell|nat|status|down|list|doctor|expect) ]] || usage "$verb takes no command"
	case $verb in
	'') (($# == 0)) || usage 'the NAT type is an empty word'; help >&2; exit 2 ;;
	list) wants 1 $# 'list takes no arguments'; [[ ! $json ]] || reporter; list ;;
	doctor) wants 1 $# 'doctor takes no arguments'; [[ ! $json ]] || reporter; doctor ;;
	status) wants 1 $# 'status takes no arguments'; [[ ! $json ]] || reporter; status ;;
	reboot | renumber | roam | link | flood) happens "$@" ;;
	down)
		(($# < 3)) || usage 'down takes no arguments but --name or --all, or one link'
		if (($# == 2)); then happens "$@"; else down; fi ;;
	matrix) prepared 1; lib verify; lib matrix; matrix "${words[@]:1}" ;;
	expect)
		wants 3 $# 'expect needs two NAT types'
		prepared 1 reporter
		lib verify
		expect "${words[@]:1}" ;;
	up)
		(($# != 2)) || { happens "$@"; return; } # a link
		(($# >= 3)) || usage 'up needs two NAT types, or more'
		sides "${words[@]:1}"
		words=(up "${words[@]}")
		prepared 1
		up "${words[@]:1}" ;;
	exec)
		wants 2 $# 'exec needs a node, then -- and a command'
		((${#command[@]})) || usage 'exec needs a command after --'
		at "$2" "${command[@]}" ;;
	run) wants 1 $# 'run needs NODE=CMD …, or two NAT types, then -- and NODE=CMD …'; limited; run_in_lab ;;
	shell)
		wants 2 $# 'shell needs a node'
		words=("${SHELL:-bash}")
		[[ ${words[0]##*/} != bash ]] || words+=(--rcfile "$lab/lib/prompt.bash")
		PS1="($2) \$ " at "$2" "${words[@]}" ;; # other shells take PS1, unless a file of theirs sets it
	nat)
		(($# != 3)) || { happens "$@"; return; }
		wants 2 $# 'nat needs a router, or a side and a NAT type'
		only_routers=1 at "$2" nattrace table --node "$2" ${json:+--json} ${watch:+--watch} ${all:+--all} ;;
	*)
		(($# >= 2)) || usage "two NAT types are needed, alice's and bob's"
		sides "$@"
		set -- "${words[@]}"
		(($# == 2)) || [[ $nodes != both && ! $strict$kept && $runs == 1 && ! ${outputs[*]} ]] ||
			usage '--both, --runs, --output, --strict and the formats are for two sides'
		[[ ! $verbose ]] || ((${#command[@]} == 0)) || usage '-v is for A B without a command'
		(($# == 2 || ${#command[@]})) || usage "$# sides need a command, which follows --, or \"up\""
		[[ ! $nodes ]] || limited
		prepared 0
		if ((${#command[@]})) && [[ $strict$kept || $runs != 1 || ${outputs[*]} ]]; then
			[[ ! ${traces[*]} ]] || ((runs == 1)) || usage '--trace is for one run; --html FILE writes one page a run'
			lib verify
			lib matrix
			[[ ! $json || ${outputs[json]-} ]] || outputs[json]=-
			pair "$@"
			return
		fi
		local stage=demonstrate
		((${#command[@]} == 0)) || stage='command'
		begin
		PINHOLE_STAGE=$stage PINHOLE_BEGUN=$PINHOLE_BEGUN PINHOLE_BIN=$bin "${private[@]}" "$self" "${again[@]}"
		code=$?
		((code == 0)) || begun
		return $code ;;
	esac
}

# wants N HAS ERROR
wants() { (($1 == $2)) || usage "$3"; }

# takes OPTION…: refuse all other options, since $taker ignores them
takes() {
	local option
	for option in "${typed[@]}"; do
		[[ " $* " == *" $option "* ]] || ((${#command[@]})) ||
			[[ $option != @(--both|--each|--until|--runs|--timeout|--strict|--output) ]] || usage "$option is for a command, which follows --"
		[[ " $* " == *" $option "* ]] || usage "$option does not apply to $taker, which takes $*"
	done
}

bin='' suffix='' again=()
run "$@"
