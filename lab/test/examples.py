"""The examples in --help: each is run as it is printed. argv: lab, or outside; then a folder.

"lab" runs those that need a network, in a lab whose alice is behind full-cone and bob behind restricted; "outside" runs
the others, with the reports that "lab" has left in the folder. An example without a line here fails, and so does a
line here whose example is gone.
"""

import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import time

from nodes import check, done

mode, folder = sys.argv[1], pathlib.Path(sys.argv[2])
bin = os.environ["PINHOLE_BIN"]
RENDEZVOUS = "ip link set lo up && ip addr add 203.0.113.1/32 dev lo && ip addr add 203.0.113.2/32 dev lo && exec "

NATLINK = ("natlink run wan=tap0,tap1 alice=tap2,tap3 bob=tap4,tap5 >/dev/null 2>&1 & "
           "until natlink show >/dev/null 2>&1; do sleep 0.02; done")

# What bob does meanwhile: he receives with the code that alice's chat has printed, or sends with the example's.
TAKES = 'until grep -q "chat receive" out; do sleep 0.1; done; $(grep -om1 "chat receive [0-9].*" out) --into in'
GIVES = "touch photo.jpg && chat send photo.jpg --code"

# (tool, command) → (node, what it prints, more): it ends with exit code 0. In more: "peer" is what bob runs meanwhile,
# "stays" says that it runs until Ctrl-C, "first" is run before it, "code" is another exit code than 0.
LAB = {
    ("natprobe", "natprobe --server 203.0.113.1 --s2 203.0.113.2"): ("alice", "class +full-cone", {}),
    ("natprobe", "natprobe --server stun.example.org:3478 --json >here.json"): ("alice", "", {}),
    ("natprobe", "natprobe --server stun.example.org:3478 --against there.json"): ("alice", "A punch to the other host connects directly", {"first": "cp here.json there.json"}),
    ("natprobe", "natprobe --server rendezvous.example.org --lifetime --rfc4787"): ("alice", "REQ", {}),
    ("natprobe", "natprobe --stun stun1.example.org stun2.example.org"): ("alice", "mapping +endpoint-independent", {}),
    ("natprobe", "natprobe --server rendezvous.example.org --path --port-mapping"): ("alice", "path MTU +", {}),
    ("natprobe", "PINHOLE_SERVER=rendezvous.example.org natprobe"): ("alice", "class +full-cone", {}),
    ("punch", "punch --server 203.0.113.1 --name bob --from alice"): ("bob", "^direct: ", {"peer": "punch --server 203.0.113.1 --name alice --peer bob", "at": "alice"}),
    ("punch", "punch --server 203.0.113.1 --name bob"): ("bob", "^direct: ", {"peer": "punch --server 203.0.113.1 --name alice --peer bob", "at": "alice"}),
    ("punch", "punch --server 203.0.113.1 --name alice --peer bob"): ("alice", "^direct: ", {"peer": "punch"}),
    ("punch", "punch --server 203.0.113.1#KEY --peer bob#KEY"): ("alice", "^direct: ", {"peer": "punch"}),
    ("punch", "punch --peer bob --trace"): ("alice", "probe request", {"peer": "punch"}),
    ("punch", "punch --peer bob --share"): ("alice", "What became of the packets", {"peer": "punch --from alice --share"}),
    ("punch", "punch --peer bob --watch"): ("alice", "connected to bob", {"peer": "punch --watch", "stays": True}),
    ("punch", "punch --peer bob --tcp"): ("alice", "^direct: ", {"peer": "punch --tcp"}),
    ("punch", "punch --plan alice.json bob.json"): ("alice", "^direct: ", {"first": "cp here.json alice.json"}),
    ("chat", "chat"): ("alice", "", {}),
    ("chat", "chat --server 203.0.113.1 --name alice"): ("alice", "", {}),
    ("chat", "chat --peer bob"): ("alice", "", {"peer": "chat --stay </dev/null"}),
    ("chat", "chat --server 203.0.113.1#KEY --peer bob#KEY"): ("alice", "", {"peer": "chat --stay </dev/null"}),
    ("chat", "echo hello | chat --peer bob"): ("alice", "", {"peer": "chat --stay </dev/null"}),
    ("chat", "chat --stay --json </dev/null"): ("alice", '"event": ?"registered"', {"stays": True}),
    ("chat", "chat --stay --accept-files --downloads in </dev/null"): ("alice", "alice", {"stays": True}),
    ("chat", "chat send photo.jpg"): ("alice", "^done: 1 file", {"peer": TAKES, "first": "touch photo.jpg"}),
    ("chat", "chat receive 417-croissant-lavender"): ("alice", "^done: 1 file", {"peer": f"{GIVES} 417-croissant-lavender"}),
    ("chat send", "chat send photo.jpg"): ("alice", "^done: 1 file", {"peer": TAKES}),
    ("chat send", "chat send report.pdf pictures/"): ("alice", "^done: 2 files", {"peer": TAKES, "first": "mkdir -p pictures && touch report.pdf pictures/a.jpg"}),
    ("chat send", "chat send --server 203.0.113.1 big.iso"): ("alice", "^done: 1 file", {"peer": TAKES, "first": "head -c 1000000 /dev/zero >big.iso"}),
    ("chat receive", "chat receive 417-croissant-lavender"): ("alice", "^done: 1 file", {"peer": f"{GIVES} 417-croissant-lavender"}),
    ("chat receive", "chat receive 417 cro lav"): ("alice", "^done: 1 file", {"peer": f"{GIVES} 417-croissant-lavender"}),
    ("chat receive", "chat receive --yes --into inbox 7 cro lav"): ("alice", "^done: 1 file", {"peer": f"{GIVES} 7-croissant-lavender"}),
    ("rendezvous", "rendezvous"): ("new", "0.0.0.0:8848", {"stays": True}),
    ("rendezvous", "rendezvous --ip 203.0.113.1 --alt-ip 203.0.113.2"): ("new", "203.0.113.2:8849", {"stays": True}),
    ("rendezvous", "rendezvous --ip 203.0.113.1 --relay"): ("new", "203.0.113.1:8848", {"stays": True}),
    ("rendezvous", "rendezvous --config rendezvous.toml --check-config"): ("new", "^rate = 1000$", {"first": "echo rate = 1000 >rendezvous.toml"}),
    ("rendezvous status", "rendezvous status"): ("server", "^names +", {}),
    ("rendezvous status", "rendezvous status --status /run/rendezvous/status --json"): ("server", '"names":', {}),
    ("nattrace", "sudo ip netns exec nat-alice nattrace table"): ("core", "^mappings", {}),
    ("nattrace", "nattrace table --watch --connections"): ("nat-alice", "^mappings", {"stays": True}),
    ("nattrace table", "sudo ip netns exec nat-alice nattrace table"): ("core", "^mappings", {}),
    ("nattrace table", "nattrace table --watch"): ("nat-alice", "^mappings", {"stays": True}),
    ("nattrace table", "nattrace table --all"): ("nat-alice", "^mappings", {}),
    ("nattrace table", "nattrace table --json | jq .mappings"): ("nat-alice", r"^\[", {}),
    ("nattrace table", "nattrace table --table 'inet fw'"): ("nat-alice", "", {"first": "nft add table inet fw"}),
    ("natlink", "sudo natlink run wan=alice:tap0,bob:tap1 wan=4g"): ("core", "^ready$", {"stays": True}),
    ("natlink run", "sudo natlink run wan=alice:tap0,bob:tap1 wan=delay:50ms,loss:1%"): ("core", "^ready$", {"stays": True}),
    ("natlink run", "natlink run wan=tap0,tap1 wan=dsl --drops drops.json --seed 7"): ("core", "^ready$", {"stays": True}),
    ("natlink", "natlink set wan=delay:50ms,jitter:10ms,loss:1%"): ("core", "", {"first": NATLINK}),
    ("natlink", "natlink show"): ("core", "wan +up .*delay:50ms,jitter:10ms,loss:1%", {}),
    ("natlink", "natlink presets"): ("core", "satellite-geo +delay", {}),
    ("natlink set", "natlink set wan=satellite-geo"): ("core", "", {}),
    ("natlink set", "natlink set alice=delay:50ms bob=none"): ("core", "", {}),
    ("natlink show", "natlink show"): ("core", "wan +down .*delay:300ms", {}),
    ("natlink show", "natlink show --json | jq '.links[] | select(.direction == \"up\").loss'"): ("core", "^0$", {}),
    ("natlink explain", "natlink explain 4g,up-rate:5mbit"): ("core", "down-rate:35mbit,up-rate:5mbit$", {}),
}
SIDE = "type={0} class={0} mapping=endpoint-independent filtering={1} ports=preserve hosts=private upnp=off early=harmless"
OUTSIDE = {
    ("labreport", "labreport matrix cells.json --html matrix.html"): ("open", {}),
    ("labreport", "lab/netns.sh matrix open cgnat --json - | labreport matrix --junit - -"): ("<testsuites", {}),
    ("labreport", "labreport profile report.json"): ("^full-cone,ports=preserve,filtering=address-dependent$", {}),
    ("labreport", 'labreport nat alice "type=restricted class=restricted mapping=endpoint-independent filtering=address-dependent" report.json'): ("restricted", {}),
    ("labreport nat", 'labreport nat bob "type=open class=open mapping=none filtering=endpoint-independent hosts=public" bob.json'): ("open", {"first": "cp open.json bob.json"}),
    ("labreport pair", 'labreport pair --a "$a" --b "$b" --punch alice.json --log alice.log'): ("Expected was direct", {"first": "cp punch.json alice.json && touch alice.log"}),
    ("labreport command", 'labreport command --a "$a" --b "$b" --exit-code 1 --elapsed-ms 4200 --log run-1.log'): ('"got":"no"', {"first": "touch run-1.log", "code": 1}),
    ("labreport expect", 'labreport expect --a "$a" --b "$b"'): ("^plain, any ICE agent +direct", {}),
    ("labreport matrix", "labreport matrix cells.json"): ("open", {}),
    ("labreport matrix", "labreport matrix --html matrix.html --junit junit.xml <cells.ndjson"): ("open", {"first": "jq -c '.cells[]' cells.json >cells.ndjson"}),
    ("labreport profile", 'lab/netns.sh "$(labreport profile report.json)" restricted'): ("^direct: ", {}),
    ("labreport figure", "labreport figure report.json --title 'my router' >my-router.svg"): ("", {}),
    ("labreport json", r"printf 'work\t4711\n' | labreport json name pid:number"): ('^{"schema":1,.*,"name":"work","pid":4711}$', {}),
}
TOOLS = {
    "lab": ["natprobe", "punch", "chat", "chat send", "chat receive", "rendezvous", "rendezvous status", "nattrace", "nattrace table", "natlink",
            *(f"natlink {verb}" for verb in "run set show explain".split())],
    "outside": ["labreport", *(f"labreport {verb}" for verb in "nat pair command expect matrix profile figure json".split())],
}


def examples(tool):
    """The commands in the examples of its --help: two spaces, the command, two spaces or more, what it does."""
    name, *verb = tool.split()
    page = subprocess.run([f"{bin}/{name}", *verb, "--help"], capture_output=True, text=True, check=True).stdout
    part = re.search(r"^Examples?:\n((?:  .*\n)+)", page, re.M)
    found, open_quote = [], False
    for line in part[1].splitlines() if part else []:
        if open_quote:
            found[-1] += " " + line.strip()
        elif line[2] != " ":
            found.append(line.strip())
        else:
            continue  # what it does, on a line of its own
        # blanks within quotes are the command's
        words = re.match(r"""(?:"[^"]*"|'[^']*'|[^\s"']| (?! ))*""", found[-1])[0]
        open_quote = found[-1][len(words):][:1] in ('"', "'")
        if not open_quote:
            found[-1] = words.strip()
    return found


def environment(node):
    """No server, no name: those that the examples do not give are in config.toml."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PINHOLE_", "XDG_"))}
    home = folder / f"home-{node}"
    config = home / ".config/pinhole/config.toml"
    if not config.exists():
        config.parent.mkdir(parents=True)
        config.write_text(f'server = "203.0.113.1"\nname = "{node}"\n')
    shims = folder / "shims"
    sides = {"a": SIDE.format("full-cone", "endpoint-independent"), "b": SIDE.format("restricted", "address-dependent")}
    return kept | {"HOME": str(home), "PATH": f"{shims}:{bin}:{os.environ['PATH']}", "PINHOLE_BIN": bin} | sides


def with_keys(command, node):
    """KEY after an address and after a name stands for the key that the node has pinned."""
    for file in ("known-servers", "known-peers"):
        if "#KEY" in command:
            line = (folder / f"home-{node}/.config/pinhole" / file).read_text().split()
            command = command.replace("#KEY", "#" + line[1], 1)
    return command


def start(node, command, out):
    if node == "new":
        words = ["unshare", "--net", "sh", "-c", RENDEZVOUS + command]
    elif node == "outside":
        words = ["sh", "-c", command]
    else:
        words = ["ip", "netns", "exec", node, "sh", "-c", command]
    return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, cwd=folder,
                            env=environment(node), start_new_session=True,
                            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)) # whoever runs this may ignore it


def printed(file, pattern, process):
    """Wait until it has printed that."""
    end = time.monotonic() + 15
    while not re.search(pattern, file.read_text(), re.M):
        if process.poll() is not None or time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def end(process):
    """Ctrl-C, as a terminal does it: to the whole group. The exit code, or None."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
    try:
        return process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return None


def run(tool, command, node, pattern, more):
    if "first" in more:
        assert start("outside" if mode == "outside" else node, more["first"], None).wait(20) == 0, more["first"]
    out, others = folder / "out", folder / "out-of-peer"
    peer = None
    with out.open("w") as stream, others.open("w") as stream_of_peer:
        if "peer" in more:
            peer = start(more.get("at", "bob"), more["peer"], stream_of_peer)
        process = start(node, with_keys(command, node), stream)
        if more.get("stays"):
            good = printed(out, pattern, process)
            code = end(process)
            # a shell that was interrupted with its command says 130
            good = good and code in (0, 130, -signal.SIGINT)
        else:
            try:
                code = process.wait(60)
            except subprocess.TimeoutExpired:
                code = end(process)
            good = code == more.get("code", 0) and re.search(pattern, out.read_text(), re.M)
        if peer:
            end(peer)
    check(f"{tool} --help: {command}", good, f"exit {code}: {out.read_text()[-800:]!r}; the peer: {others.read_text()[-400:]!r}")


table = LAB if mode == "lab" else OUTSIDE
shown = {(tool, command) for tool in TOOLS[mode] for command in examples(tool)}
check(f"each example of --help is run ({mode})", shown == set(table), f"not run: {shown - set(table)}; gone: {set(table) - shown}")
(folder / "shims").mkdir(exist_ok=True)
sudo = folder / "shims/sudo"
sudo.write_text('#!/bin/sh\nexec "$@"\n') # the lab's user is root in it
sudo.chmod(0o755)
if mode == "lab":
    for hosts in pathlib.Path("/etc/netns").glob("*/hosts"):
        with hosts.open("a") as file:
            file.write("203.0.113.1 stun.example.org rendezvous.example.org stun1.example.org\n203.0.113.2 stun2.example.org\n")
    with (folder / "out-of-stun").open("w") as stream:
        stun = start("server", "exec rendezvous --ip 203.0.113.1 --alt-ip 203.0.113.2 --port 3478", stream)
    assert printed(folder / "out-of-stun", "3478", stun), "no second server"
    reports = "natprobe --s1 203.0.113.1 --json"
    assert start("alice", f"{reports} >here.json", None).wait(20) == 0
    assert start("bob", f"{reports} >bob.json && cp bob.json report.json", None).wait(20) == 0
    for (tool, command), (node, pattern, more) in LAB.items():
        run(tool, command, node, pattern, more)
    with (folder / "out").open("w") as stream:
        bob = start("bob", "punch", stream)
        assert start("alice", "punch --peer bob --report punch.json >/dev/null", None).wait(20) == 0
        end(bob)
    end(stun)
else:
    for (tool, command), (pattern, more) in OUTSIDE.items():
        run(tool, command, "outside", pattern, more)
done()
