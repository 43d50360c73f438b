"""TURN between the lab's nodes: our client (an example of crates/net) and rendezvous --relay, with
each other and with coturn's; argv: which story."""

import base64
import hashlib
import hmac
import os
import re
import subprocess
import sys
import time

from nodes import S1, S2, Udp, check, done, until

PORT = os.environ["PINHOLE_PORT"]
BIN = os.environ["PINHOLE_BIN"]
ROOM = "/run/pinhole"
SECRET = "a secret that the lab tells everybody"
NET = S1.rsplit(".", 1)[0]
A, B = f"{NET}.17", f"{NET}.33"


class Turn:
    """Our client on a node."""

    def __init__(self, node, *words):
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", node, f"{BIN}/examples/relay", *words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.said, self.rest = [], b""

    def tell(self, line):
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()

    def says(self, pattern, deadline=60):
        """The first line that matches, now or soon."""
        end = time.monotonic() + deadline
        while True:
            self.rest += self.process.stdout.read() or b""
            *lines, self.rest = self.rest.split(b"\n")
            self.said += [line.decode() for line in lines]
            for line in self.said:
                if found := re.search(pattern, line):
                    return found
            if time.monotonic() > end:
                return None
            time.sleep(0.01)

    def relayed(self):
        found = self.says(r"^allocated (\S+):(\d+) (\S+) (\d+)$")
        assert found, self.said
        return found[1], int(found[2])


def serve(port, *command, log="/dev/null"):
    """Start it on the server's node; it is up when it holds the port."""
    out = open(log, "w")
    process = subprocess.Popen(["ip", "netns", "exec", "server", *command], stdout=out, stderr=out)
    end = time.monotonic() + 10
    while f":{port} " not in subprocess.check_output(["ip", "netns", "exec", "server", "ss", "-Hlnu"], text=True):
        assert process.poll() is None and time.monotonic() < end, f"{command[0]} does not come up: {open(log).read()}"
        time.sleep(0.02)
    return process


def rendezvous(port, *options):
    with open(f"{ROOM}/secret", "w") as file:
        file.write(SECRET + "\n")
    return serve(port, f"{BIN}/rendezvous", "--ip", S2, "--port", str(port), *options, log=f"{ROOM}/{port}.log")


def credentials(name, lifetime=600):
    username = f"{int(time.time()) + lifetime}:{name}"
    digest = hmac.new(SECRET.encode(), username.encode(), hashlib.sha1).digest()
    return username, base64.b64encode(digest).decode()


def log():
    with open("/run/rendezvous.log") as file:
        return file.read()


def ours():
    """What no hole joins here: two symmetric NATs."""
    alice, bob = Turn("alice", f"{S1}:{PORT}", "alice"), Turn("bob", f"{S1}:{PORT}", "bob")
    a, b = alice.relayed(), bob.relayed()
    check("a registered name gets a relayed address of the rendezvous", a[0] == b[0] == S1, (a, b))
    seen = alice.says(r"^allocated \S+ (\S+):\d+ 600$")
    check("and its own, as the rendezvous sees it", seen and seen[1] == A, alice.said)
    check("the rendezvous' log has it", until(lambda: f"relay: alice at {A}:" in log()), log())
    alice.tell(f"bind {b[0]}:{b[1]}")
    bob.tell(f"permit {a[0]}")
    check("the relay's own addresses may be permitted", bob.says(f"^permitted {S1}$"), bob.said)
    check("and have a channel", alice.says(f"^bound {b[0]}:{b[1]}$"), alice.said)
    alice.tell(f"send {b[0]}:{b[1]} good morning")
    check("what one symmetric host sends by channel, the other hears", bob.says(f"^heard {a[0]}:{a[1]} good morning$"), bob.said)
    bob.tell(f"send {a[0]}:{a[1]} good evening")
    check("and back, without a channel on that side", alice.says(f"^heard {b[0]}:{b[1]} good evening$"), alice.said)

    # A peer without a relayed address: it is heard only when it is permitted, by its outer address.
    peer = Udp("bob")
    early = peer.send(a)
    alice.tell(f"permit {B}")
    check("a peer's outer address may be permitted", alice.says(f"^permitted {B}$"), alice.said)
    late = peer.send(a)
    heard = alice.says(rf"^heard {B}:(\d+) {late.decode()}$")
    check("what it sends then is heard", heard, alice.said)
    check("what it sent before is not", not any(early.decode() in line for line in alice.said), alice.said)
    alice.tell(f"send {B}:{heard[1]} thanks")
    check("and is answered through its symmetric NAT", peer.hear(b"thanks") == a, alice.said)

    alice.tell("close")
    check("who leaves is told so", alice.says("^failed closed$"), alice.said)
    gone = f"relay: alice no longer has {a[0]}:{a[1]}, after "
    check("and the address is given back", until(lambda: gone in log()), log())
    check("its socket is closed", f":{a[1]} " not in subprocess.check_output(
        ["ip", "netns", "exec", "server", "ss", "-Hlnu"], text=True))
    bob.process.kill()


def refusals():
    secret = ["--relay", "--relay-secret", f"{ROOM}/secret"]
    processes = [rendezvous(4000), rendezvous(5000, *secret, "--relay-per-name", "1"),
                 rendezvous(6000, *secret, "--relay-ports", "7000-7001", "--relay-allow", "10.0.0.0/8")]
    silent = Turn("alice", f"{S2}:4000", *credentials("alice"))
    alice = Turn("alice", f"{S2}:5000", *credentials("alice"))
    alice.relayed()
    for peer in ("192.168.2.2", "127.0.0.1", "10.0.0.1", "169.254.169.254", S1, f"{NET}.254"):
        alice.tell(f"permit {peer}")
        if peer.endswith(".254") and peer != "169.254.169.254":
            check(f"control: {peer}, which is public, may be a peer", alice.says(f"^permitted {peer}$"), alice.said)
        else:
            check(f"{peer} may not be a peer", alice.says(f"^refused {peer}$"), alice.said)
    again = Turn("alice", f"{S2}:5000", *credentials("alice"))
    check("--relay-per-name holds", again.says("^failed .*486"), again.said)
    expired = Turn("alice", f"{S2}:5000", *credentials("carol", -5))
    check("expired credentials do not allocate", expired.says("^failed .*401"), expired.said)
    name, password = credentials("carol")
    wrong = Turn("alice", f"{S2}:5000", name, password[::-1])
    check("a wrong password does not, either", wrong.says("^failed .*401"), wrong.said)
    few = [Turn("alice", f"{S2}:6000", *credentials(name)) for name in ("carol", "dave")]
    check("--relay-ports holds", {each.relayed()[1] for each in few} == {7000, 7001}, [each.said for each in few])
    third = Turn("alice", f"{S2}:6000", *credentials("erin"))
    check("and when they are used up, the next is told so", third.says("^failed .*508"), third.said)
    few[0].tell("permit 10.0.0.1")
    check("--relay-allow allows", few[0].says("^permitted 10.0.0.1$"), few[0].said)
    check("without --relay there is none", silent.says("^failed .*does not answer", 15), silent.said)
    for process in processes:
        process.terminate()
    for each in [alice, *few]:
        each.process.kill()
    for options, why in (
        (["--relay"], "--relay-ip"),
        (["--relay-ports", "1-2"], "--relay"),
        (["--ip", S1, "--relay", "--relay-ports", "9-8"], "lower one first"),
        (["--ip", S1, "--relay", "--relay-secret", "/dev/null"], "at least 16"),
        (["--ip", S1, "--relay", "--relay-allow", "10.0.0.0/33"], "range of addresses"),
    ):
        ended = subprocess.run([f"{BIN}/rendezvous", *options], capture_output=True, text=True, timeout=10)
        check(f"rendezvous {' '.join(options)} is refused", ended.returncode == 2 and why in ended.stderr, ended)


def coturn():
    turnserver = serve(
        3478, "turnserver", "-n", "--no-cli", "--no-tls", "--no-dtls", "--log-file=stdout", "-L", S2, "-p", "3478",
        "--realm=elsewhere", "--use-auth-secret", f"--static-auth-secret={SECRET}", "--stale-nonce=600",
        f"--pidfile={ROOM}/coturn.pid", f"--userdb={ROOM}/coturn.db", log=f"{ROOM}/coturn.log")
    alice = Turn("alice", f"{S2}:3478", *credentials("alice"))
    relayed = alice.relayed()
    check("our client has a relayed address of coturn's", relayed[0] == S2, alice.said)
    check("and its own", alice.says(rf"^allocated \S+ {A}:\d+ \d+$"), alice.said)
    peer = Udp("bob")
    bob = subprocess.check_output(["ip", "netns", "exec", "bob", "ip", "-br", "-4", "addr", "show", "eth0"], text=True)
    bob = bob.split()[2].split("/")[0]
    alice.tell(f"permit {bob}")
    check("coturn permits a peer", alice.says(f"^permitted {bob}$"), alice.said)
    alice.tell(f"send {bob}:{peer.port} by indication")
    check("a Send indication arrives through coturn", peer.hear(b"by indication") == relayed, alice.said)
    said = peer.send(relayed)
    check("and a Data indication comes back", alice.says(f"^heard {bob}:{peer.port} {said.decode()}$"), alice.said)
    alice.tell(f"bind {bob}:{peer.port}")
    check("coturn binds a channel", alice.says(f"^bound {bob}:{peer.port}$"), alice.said)
    alice.tell(f"send {bob}:{peer.port} by channel")
    check("channel data arrives through coturn", peer.hear(b"by channel") == relayed, alice.said)
    said = peer.send(relayed)
    check("and comes back", alice.says(f"^heard {bob}:{peer.port} {said.decode()}$"), alice.said)
    alice.tell("close")
    check("coturn takes the address back", alice.says("^failed closed$"), alice.said)
    name, password = credentials("alice")
    wrong = Turn("alice", f"{S2}:3478", name, password[::-1])
    check("coturn's 401 is told as such", wrong.says("^failed .*401"), wrong.said)
    turnserver.terminate()


def uclient():
    server = rendezvous(3478, "--relay", "--relay-secret", f"{ROOM}/secret", "--relay-per-name", "8")
    bob = subprocess.check_output(["ip", "netns", "exec", "bob", "ip", "-br", "-4", "addr", "show", "eth0"], text=True)
    bob = bob.split()[2].split("/")[0]
    echo = subprocess.Popen(["ip", "netns", "exec", "bob", "turnutils_peer", "-L", bob, "-p", "3480"],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def run(what, *options, secret=SECRET):
        # RFC 8656 reserves the numbers over 0x4fff; this client takes any up to 0x7fff, so it gets no channel unless it is lucky.
        words = ["turnutils_uclient", "-c", "-s", "-u", "alice", "-W", secret, "-n", "20", "-e", bob, "-r", "3480", *options, S2]
        ended = subprocess.run(["ip", "netns", "exec", "alice", "timeout", "30", *words], capture_output=True, text=True)
        text = ended.stdout + ended.stderr
        lost = re.findall(r"Total lost packets (\d+)", text)
        got = re.findall(r"tot_recv_msgs=(\d+)", text)
        return text, lost[-1:] == ["0"] and got and int(got[-1]) > 0, ended.returncode

    for what, options in (
        ("Send indications", []),
        ("between clients of its own", ["-y", "-m", "2"]),
        ("extra requests", ["-G"]),
        ("long messages", ["-l", "1200"]),
    ):
        text, good, code = run(what, *options)
        check(f"coturn's client through our relay: {what}", good and code == 0, text[-600:])
    text, good, code = run("", secret="another secret that is as long")
    check("with another secret it gets nothing", not good, text[-600:])
    echo.terminate()
    server.terminate()


if __name__ == "__main__":
    {"ours": ours, "refusals": refusals, "coturn": coturn, "uclient": uclient}[sys.argv[1]]()
    done()
