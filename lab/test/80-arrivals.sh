#!/usr/bin/env bash
# What somebody meets who has just arrived: links, sudo, narrow terminals, full disks.
source "${BASH_SOURCE[0]%/*}/words.sh"

tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
chmod 755 "$tmp"
[[ ${PINHOLE_BIN:-} ]] || export PINHOLE_BIN=${test%/*/*}/target/release

# a link, and a copy that has lost its parts
ln -s "$netns" "$tmp/netns" && ln -s netns "$tmp/again"
check 'a link will do' "$tmp/netns" open open --no-verify -- true
check 'and a link to a link, by PATH' env -C / PATH="$tmp:$PATH" again list
cp "$netns" "$tmp/copy"
said=$("$tmp/copy" list 2>&1)
check 'a copy without its parts is exit 2' test $? = 2
check 'and says why' test "${said%%/lib/*}" = "netns.sh: cannot read $tmp"

# stdout that takes nothing
for words in list 'list --json' status --help 'open open --no-verify' 'matrix open --no-verify'; do
	# shellcheck disable=SC2086
	said=$("$netns" $words 2>&1 >/dev/full)
	code=$?
	if [[ $code == 2 && $said == 'netns.sh: cannot write to stdout: No space left on device' ]]; then ok "$words on a full disk: one line and exit 2"; else bad "$words on a full disk: exit $code, ${said//$'\n'/; }"; fi
	# shellcheck disable=SC2086
	said=$({ (trap '' PIPE; "$netns" $words) | true; } 2>&1)
	check "$words into a closed pipe: silence" test "$said" = ''
	# shellcheck disable=SC2086
	said=$("$netns" $words 2>&1 >&-)
	code=$?
	if [[ $code == 2 && $said == 'netns.sh: cannot write to stdout: it is closed' ]]; then ok "$words without stdout: one line and exit 2"; else bad "$words without stdout: exit $code, ${said//$'\n'/; }"; fi
done
check 'a command needs no stdout' eval '"$netns" open open --no-verify -- true >&-'
said=$("$netns" matrix open --no-verify --json /dev/full 2>&1)
check 'a matrix whose file has no room is exit 2' test $? = 2
check 'and one line' test "$said" = 'netns.sh: cannot write to /dev/full: No space left on device'

# terminals
columns() { script -qec "stty cols $1; '$netns' list" /dev/null | tr -d '\r' | awk '{ if (length > n) n = length } END { print n }'; }
check 'list keeps within a terminal of 80' test "$(columns 80)" -le 80
check 'and uses one of 200' test "$(columns 200)" -gt 150
check 'elsewhere a type is one line' test "$("$netns" list | wc -l)" = 14
check 'Ctrl-C in a matrix ends the line that it interrupts' python3 - "$netns" <<'P'
import os, pty, signal, sys
pid, terminal = pty.fork()
if pid == 0:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a test in the background has it ignored
    os.execv(sys.argv[1], [sys.argv[1], "matrix"])
said = b""
while b"2 of 169" not in said:
    said += os.read(terminal, 999)
os.write(terminal, b"\x03")
try:
    while part := os.read(terminal, 999):
        said += part
except OSError:
    pass  # that is how a terminal ends
code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
assert code in (130, -2), (code, said[-200:])
assert said.endswith(b"\n") and b"line " not in said, said[-200:]
P

# a kernel that allows no private namespaces
mkdir "$tmp/without"
printf '#!/bin/sh\nexit 1\n' >"$tmp/without/unshare" && chmod +x "$tmp/without/unshare"
said=$(PATH=$tmp/without:$PATH "$netns" doctor)
check 'doctor without private namespaces is exit 2' test $? = 2
check 'says so' grep -q '^no   private namespaces' <<<"$said"
check 'and gives no advice on what it could not test' test "$(grep -c 'not tested' <<<"$said")" = 7
check 'nor anything else that needs them' test "$(grep -c 'install nftables\|load \(veth\|sch\)' <<<"$said")" = 0

# hidden COMMAND CMD…: run CMD on a machine that lacks COMMAND: links to all others take the place of its folders
hidden() {
	local user=()
	((EUID == 0)) || user=(--user --map-root-user)
	rm -rf "$tmp/others" && mkdir "$tmp/others"
	# shellcheck disable=SC2016 # for the other shell
	unshare "${user[@]}" --mount bash -c '
		PATH=$PATH:/usr/sbin:/sbin others=$1
		for file in $(type -ap "$2"); do
			folder=$(cd "${file%/*}" && pwd -P)
			[[ -e $folder/$2 ]] || continue
			mkdir -p "$others$folder" "$others/new$folder"
			mount --bind "$folder" "$others$folder" && ln -s "$others$folder"/* "$others/new$folder" &&
				rm "$others/new$folder/$2" && mount --bind "$others/new$folder" "$folder" || exit
		done
		exec "${@:3}"' bash "$tmp/others" "$@"
}
said=$(hidden ip "$netns" doctor)
check 'doctor without ip is exit 2' test $? = 2
check 'and blames that' test "$(grep -c '^no   ip, of iproute2 .*install iproute2' <<<"$said") $(grep -c '^yes  private namespaces' <<<"$said")" = '1 1'
check 'and tests nothing that needs it' grep -q '^?    veth and bridge .*not tested: needs ip$' <<<"$said"
said=$(hidden conntrack "$netns" doctor)
check 'doctor says what needs conntrack, and which package has it' grep -q '^no   conntrack  *no reboot, .*install conntrack' <<<"$said"
said=$(hidden conntrack "$netns" open open --no-verify -- lab reboot nat-alice 2>&1)
check 'and a reboot without it is refused: exit 2' test "$?:$(grep -c 'needs conntrack.*install it' <<<"$said")" = 2:1
said=$("$netns" doctor)
check 'doctor needs nothing to build what is built' test "$(grep -c '^yes  the tools$' <<<"$said") $(grep -c 'cargo\|libnftnl' <<<"$said")" = '1 0'
check 'doctor tries a whole lab' grep -q '^yes  a whole lab' <<<"$said"
said=$(PATH=$tmp/without:$PATH "$netns" open open --no-verify -- true 2>&1)
code=$?
check 'a lab without private namespaces is exit 2' test $code = 2
check 'and says why, or what to do' grep -q '^netns.sh: no lab: this .*; ' <<<"$said"

# where cargo builds elsewhere: one that says where, and builds there
mkdir -p "$tmp/elsewhere/bin"
cat >"$tmp/elsewhere/bin/cargo" <<E
#!/usr/bin/env bash
case \$1 in
--version) echo cargo 9.0.0 ;;
metadata) echo "{\"target_directory\":\"\$CARGO_TARGET_DIR\",\"version\":1}" ;;
build) echo built >>$tmp/elsewhere/log; mkdir -p "\$CARGO_TARGET_DIR/release" && ln -sf "$PINHOLE_BIN"/[!.]* "\$CARGO_TARGET_DIR/release" ;;
esac
E
chmod +x "$tmp/elsewhere/bin/cargo"
elsewhere() { env -u PINHOLE_BIN -u SUDO_USER "PATH=$tmp/elsewhere/bin:$PATH" "CARGO_TARGET_DIR=$tmp/elsewhere/target" "$netns" "$@" 2>&1; }
for turn in first second; do
	# shellcheck disable=SC2016 # for the shell in the lab
	said=$(elsewhere open open --no-verify -- sh -c 'echo $PINHOLE_BIN; command -v rendezvous')
	check "with CARGO_TARGET_DIR the tools of that folder run, the $turn time" test "$(tail -n 2 <<<"$said")" = "$tmp/elsewhere/target/release
$tmp/elsewhere/target/release/rendezvous"
done
check 'and are built once' test "$(cat "$tmp/elsewhere/log")" = built
# a lab has what it needs; chat is not among it
rm -f "$tmp/elsewhere/target/release/chat"
check 'a lab with these tools stays' elsewhere up open open --no-verify --name elsewhere-$$
said=$(PATH=/usr/bin:/bin:/sbin elsewhere exec alice --name elsewhere-$$ -- chat --version)
check 'chat, which the lab does not build, is not there' test $? = 127
check 'and it is said how to build it' grep -q "built none in $tmp/elsewhere/target/release; build it: cargo build --release --package=chat" <<<"$said"
ln -s "$PINHOLE_BIN/chat" "$tmp/elsewhere/target/release"
check 'then it is found' elsewhere exec alice --name elsewhere-$$ -- chat --version
check 'and the lab ends' elsewhere down --name elsewhere-$$
for package in $(grep -oE 'tools/[a-z]+' "${test%/*/*}/docs/how-to/install.md"); do
	check "the page on installing names $package, which is there" test -f "${test%/*/*}/$package/src/main.rs"
done

# test.sh in a checkout of its own, with a cargo that notes who runs it, and one test
mkdir -p "$tmp/repo/lab" "$tmp/home/.cargo/bin" "$tmp/who"
cp -r "${test%/*}"/{netns.sh,test.sh,.shellcheckrc,bin,lib,nat} "$tmp/repo/lab"
cp "${test%/*/*}/Cargo.toml" "$tmp/repo"
mkdir "$tmp/repo/lab/test" && cp "$test/words.sh" "$tmp/repo/lab/test"
printf '#!/usr/bin/env bash\necho "ok    all"\n' >"$tmp/repo/lab/test/10-all.sh"
printf '#!/bin/sh\n[ "$1 $2" != "nextest --version" ] || exit 1\n[ "$1" != --version ] || exec echo cargo 9.0.0\necho "$(id -u) $1 ${CARGO_TARGET_DIR-none}" >>%s/cargo.log\n' "$tmp" >"$tmp/home/.cargo/bin/cargo"
printf '#!/bin/sh\n[ "$1" = passwd ] && echo "$2:x:65534:65534::%s:/bin/sh"\n' "$tmp/home" >"$tmp/who/getent"
printf '#!/bin/sh\nexit 1\n' >"$tmp/home/.cargo/bin/rustup"
chmod +x "$tmp/home/.cargo/bin/"* "$tmp/who/getent"
: >"$tmp/cargo.log" && chmod 666 "$tmp/cargo.log"
runner() { HOME=$tmp/home SUDO_USER=nobody PATH=$tmp/who:$PATH "$tmp/repo/lab/test.sh" "$@" 2>&1; }

for words in --fast 'two words' nothing-like-it; do
	# shellcheck disable=SC2086
	said=$(runner $words)
	check "test.sh $words: exit 2" test $? = 2
	check 'and no sum' test "${said##*passed*}" = "$said"
done
check 'a pattern is looked for anywhere in the name' grep -q '^1 passed, 0 failed$' <<<"$(runner 10)"
printf '#!/bin/sh\necho "apt-get $*"; exit 1\n' >"$tmp/who/apt-get" && chmod +x "$tmp/who/apt-get"
check 'a pattern installs no shellcheck' grep -q '^1 passed, 0 failed$' <<<"$(hidden shellcheck env HOME="$tmp/home" SUDO_USER=nobody PATH="$tmp/who:$PATH" "$tmp/repo/lab/test.sh" 10 2>&1)"
rm "$tmp/who/apt-get"
check 'in its middle, too' grep -q '^1 passed, 0 failed$' <<<"$(runner al)"
said=$(runner)
check 'test.sh passes with the cargo of the user behind sudo' grep -q '^6 passed, 0 failed$' <<<"$said"
them=$((EUID ? EUID : 65534))
check 'a line says that there was no older Rust to test with' grep -q '^note  not tested: Rust 1\..*, the oldest for rendezvous' <<<"$said"
check 'which they run themselves' test "$(sort -u "$tmp/cargo.log")" = "$them clippy none
$them fmt none
$them test none"

printf '#!/bin/sh\nexit 1\n' >"$tmp/home/.cargo/bin/unshare" && chmod +x "$tmp/home/.cargo/bin/unshare"
if ((EUID == 0)); then
	: >"$tmp/cargo.log"
	check 'where they may have no namespaces, root runs the tests' grep -q '^6 passed, 0 failed$' <<<"$(runner)"
	check 'in a folder of its own' grep -q '^0 test /' "$tmp/cargo.log"
	check 'and nothing else' test "$(grep -c ^0 "$tmp/cargo.log")" = 1
fi
rm "$tmp/home/.cargo/bin/unshare"
said=$(PINHOLE_BIN=/nowhere runner)
check 'test.sh without labs is exit 2' test $? = 2
check 'and its last line says why' grep -q 'not all could run: no lab comes up' <<<"${said##*$'\n'}"
sed -i '2i[ "$1" != clippy ] || exit 1' "$tmp/home/.cargo/bin/cargo"
said=$(runner)
check 'test.sh without clippy is exit 2' test $? = 2
check 'and says what to type' grep -q 'rustup component add clippy' <<<"$said"
sed -i 's/9\.0\.0/1.85.1/' "$tmp/home/.cargo/bin/cargo"
said=$(runner)
check 'test.sh with an old cargo is exit 2' test $? = 2
check 'and says which it takes' grep -q 'cargo 1.85.1 is too old, and the tools take Rust 1\.[0-9]* or newer: rustup default stable && rustup update' <<<"$said"
