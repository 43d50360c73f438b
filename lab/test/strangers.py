"""What an honest client notices of attackers; argv: how long each attack is watched, in seconds, and whether
figures are to be printed."""

import json
import os
import subprocess
import sys
import threading

from nodes import S1, check, done, until
from peers import end, line, start
from chats import meet as chats_meet, talk

TOOL = os.environ["PINHOLE_BIN"] + "/examples/strangers"
SECONDS = sys.argv[1]
FIGURES = sys.argv[2:] == ["figures"]
PORT = "9000"
MALLORY = "198.18.0.7"  # in the first of 512 prefixes that mallory has
FORGED = S1.rsplit(".", 1)[0] + ".99"  # in the prefix of alice and bob
V6, MALLORY6, ALICE6 = "2001:db8:ffff::1", "2001:db8:1::7", "2001:db8:2::7"


def network():
    """mallory, behind core, has 198.18.0.0/15 and sends from an address that core does not know. In IPv6 he has a link to the server, with a
    /48 for an honest client beside his own."""
    node, core, server = ("ip", "-n", "mallory"), ("ip", "-n", "core"), ("ip", "-n", "server")
    for words in (
        ("ip", "netns", "add", "mallory"),
        ("ip", "link", "add", "net", "netns", "mallory", "type", "veth", "peer", "name", "mallory", "netns", "core"),
        ("ip", "link", "add", "net6", "netns", "mallory", "type", "veth", "peer", "name", "mallory6", "netns", "server"),
        (*core, "addr", "add", "10.99.0.1/30", "dev", "mallory"),
        (*core, "link", "set", "mallory", "up"),
        (*core, "route", "add", "198.18.0.0/15", "via", "10.99.0.2"),
        (*node, "link", "set", "lo", "up"),
        (*node, "link", "set", "net", "up"),
        (*node, "addr", "add", "10.99.0.2/30", "dev", "net"),
        (*node, "route", "add", "default", "via", "10.99.0.1"),
        (*node, "route", "add", "local", "198.18.0.0/15", "dev", "lo"),
        (*node, "addr", "add", f"{FORGED}/32", "dev", "lo"),
        (*server, "link", "set", "mallory6", "up"),
        (*server, "addr", "add", f"{V6}/48", "dev", "mallory6", "nodad"),
        (*node, "link", "set", "net6", "up"),
        (*node, "addr", "add", "2001:db8:ffff::2/48", "dev", "net6", "nodad"),
        (*server, "route", "add", "2001:db8::/32", "via", "2001:db8:ffff::2"),
        (*node, "route", "add", "local", "2001:db8:1::/48", "dev", "lo"),
        (*node, "route", "add", "local", "2001:db8:2::/48", "dev", "lo"),
        ("ip", "netns", "exec", "mallory", "sh", "-c", "echo 1 >/proc/sys/net/ipv6/ip_nonlocal_bind"),
        ("ip", "netns", "exec", "core", "sh", "-c", "for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 >$f; done"),
    ):
        subprocess.run(words, check=True)


class Server:
    """A rendezvous of its own for each attack. Its log is read, unless it is to stall."""

    def __init__(self, ip, *options, stalled=False):
        self.address = f"[{ip}]:{PORT}" if ":" in ip else f"{ip}:{PORT}"
        if stalled:  # and has a lot to write
            os.environ["RUST_LOG"] = "rendezvous_proto=trace"
        self.process = start("server", "rendezvous", "--json", "--ip", ip, "--port", PORT, *options)
        os.environ.pop("RUST_LOG", None)
        assert self.process.stdout.readline(), self.process.stderr.read()
        self.log = []
        self.reader = threading.Thread(target=lambda: self.log.extend(self.process.stderr), daemon=True)
        if not stalled:
            self.read()

    def read(self):
        if not self.reader.ident:
            self.reader.start()

    def end(self):
        """Whatever has become of its log."""
        self.process.terminate()
        try:
            code = self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = None
        self.read()
        self.reader.join()
        ended = [json.loads(words)["stats"] for words in self.log if '"event":"ended"' in words]
        return code, ended[-1] if ended else {}


def client(node, server, address, *options, seconds=SECONDS):
    """The honest client: kind → asked, got, median in ms, error codes."""
    told = subprocess.run(
        ("ip", "netns", "exec", node, TOOL, "client", server.address, address, seconds, *options),
        capture_output=True, text=True, timeout=120)
    noticed = {}
    for kind, asked, got, median, codes in (words.split() for words in told.stdout.splitlines()):
        noticed[kind] = int(asked), int(got), None if median == "-" else float(median), codes
    return noticed, told.stderr


def attacked(what, server, attack, quiet, honest, talks=False):
    """Watch the honest client under an attack; `attack` is kind, address, prefixes and rate."""
    kind, *where = attack
    words = ("ip", "netns", "exec", "mallory", TOOL, "attack", kind, server.address, *map(str, where), "120")
    mallory = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    begun = mallory.stdout.readline() == "begun\n"
    noticed, why = honest()
    check(f"{what}: the honest client gets all that it asks for",
          begun and quiet and noticed.keys() == quiet.keys() and all(asked == got > 0 and codes == "-" for asked, got, _, codes in noticed.values()),
          f"{noticed} {why}")
    if talks:
        options = ("--server", server.address)
        waits = start("bob", "punch", "--name", "punch-b", "--json", "--timeout", "20", *options)
        met = line(waits, "registered as")
        code, _, log = end(start("alice", "punch", "--name", "punch-a", "--peer", "punch-b", "--json", "--timeout", "20", *options))
        check(f"{what}: punch reaches its peer", met and code == 0, log)
        end(waits)
        if FIGURES or kind == "introductions":
            chats = chats_meet(options, options)
            talk(*chats, what, count=3)
            for chat in chats:
                chat.process.terminate()
                chat.code()
    running = mallory.poll() is None
    said, log = mallory.communicate(timeout=60)  # its stdin ends
    _, sent, codes = said.split() if said else (None, "0", "-")
    check(f"{what}: the attack went on all the time", running and int(sent) > 0, log)
    server.read()
    code, counts = server.end()
    check(f"{what}: the server ends as ever", code == 0, code)
    # of the allocations and connections, not of each datagram
    least = 0 if kind in ("relay", "streams") else int(sent) / 4
    check(f"{what}: and the attack has come to it", sum(counts.values()) > least, (sent, counts))
    if FIGURES:
        print(f"{what}: {sent} sent, answers {codes}, counted by the server {counts}")
        for kind, (asked, got, median, codes) in noticed.items():
            was = quiet.get(kind)
            ratio = f"{median / was[2]:5.2f}" if median and was and was[2] else "    -"
            print(f"  {kind:14} {got:4} of {asked:4}  median {median or 0:8.3f} ms, quiet {was[2] if was else 0:8.3f} ms, ratio {ratio}  {codes}")


def v4():
    server = Server(S1)
    honest = lambda: client("alice", server, "0.0.0.0")
    quiet, why = honest()
    check("without an attack the honest client gets all that it asks for",
          len(quiet) == 4 and all(asked == got > 0 for asked, got, _, _ in quiet.values()), f"{quiet} {why}")
    server.end()
    for what, *attack in (
        ("new names at the permitted rate from two prefixes", "names", MALLORY, 2, 1900),
        ("calls among own names", "introductions", MALLORY, 1, 1900),
        ("Bindings with forged sources of the client's prefix", "bindings", FORGED, 1, 20000),
        ("Bindings with forged sources of 512 prefixes", "bindings", MALLORY, 512, 40),
        ("TCP connections with half a message each", "streams", MALLORY, 16, 1),
        ("garbage", "garbage", MALLORY, 4, 2500),
    ):
        server = Server(S1)
        attacked(what, server, attack, quiet, honest, talks=True)
    what = "a log that nobody reads"
    server = Server(S1, stalled=True)
    attacked(what, server, ("garbage", MALLORY, 4, 2500), quiet, honest, talks=True)
    dropped = any('"event":"dropped"' in words for words in server.log)
    check(f"{what}: once it is read it says what was dropped", dropped, server.log[-3:])


def v6():
    server = Server(V6, "--relay", stalled=True)
    honest = lambda: client("mallory", server, ALICE6, "relay")
    quiet, why = honest()
    check("the same with a relay, in IPv6", len(quiet) == 5 and all(asked == got > 0 for asked, got, _, _ in quiet.values()), f"{quiet} {why}")
    attacked("allocations of one /64", server, ("relay", MALLORY6, 1, 200), quiet, honest)

def unread():
    """The server ends, although nobody reads what it still has to write."""
    server = Server(S1, stalled=True)
    noise = subprocess.Popen(
        ("ip", "netns", "exec", "mallory", TOOL, "attack", "garbage", server.address, MALLORY, "1", "10000", "1"),
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    noise.wait(timeout=20)
    code, _ = server.end()
    check("with a log that nobody reads the server ends as ever", code == 0, code)



if __name__ == "__main__":
    network()
    v4()
    v6()
    unread()
    done()
