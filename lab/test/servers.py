"""natprobe against the servers of others; argv: type, then its class, mapping and filtering."""

import json
import os
import subprocess
import sys
import time

from nodes import S1, S2, check, done

kind, wanted = sys.argv[1], sys.argv[2:5]
room = "/run/pinhole"


def serve(port, *command):
    """Start it on the server's node; it is up when it holds the port."""
    process = subprocess.Popen(["ip", "netns", "exec", "server", *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 10
    while f":{port} " not in subprocess.check_output(["ip", "netns", "exec", "server", "ss", "-Hlnu"], text=True):
        assert process.poll() is None and time.monotonic() < end, f"{command[0]} does not come up"
        time.sleep(0.02)
    return process


def coturn(port, *addresses):
    listen = [word for address in addresses for word in ("-L", address)]
    alone = f"{room}/coturn-{port}-{addresses[0]}"
    return serve(
        port, "turnserver", "-n", "-S", "--no-cli", "--no-tls", "--no-dtls", "--log-file=stdout", *listen,
        "-p", str(port), f"--alt-listening-port={port + 1}", f"--pidfile={alone}.pid", f"--userdb={alone}.db",
    )


def measure(*args):
    command = ["ip", "netns", "exec", "alice", f"{os.environ['PINHOLE_BIN']}/natprobe", "--json", *args]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def axes(report):
    return [report[key] for key in ("class", "mapping", "filtering")]


def codes(report):
    return {note["code"] for note in report["notes"]}


running = [
    serve(3001, "stund", "-h", S1, "-a", S2, "-p", "3000", "-o", "3001"),
    coturn(3478, S1, S2),
    coturn(4478, S1),
    coturn(4478, S2),
]
for name, port in (("stund", 3000), ("coturn", 3478)):
    report = measure("--s1", f"{S1}:{port}")
    check(f"natprobe measures {kind} against {name}, knowing one address", axes(report) == wanted, report)
    unsolicited = "delivered" if wanted[2] == "endpoint-independent" else None
    check(f"{kind}: by {name}, what a stranger gets is {unsolicited}", report["unsolicited"] == unsolicited, report)

alone = measure("--s1", f"{S1}:4478")
check(f"{kind}: a server with one address tells neither axis, and says so", axes(alone)[1:] == [None, None] and "ONE_ADDRESS" in codes(alone), alone)
two = measure("--s1", f"{S1}:4478", "--s2", f"{S2}:4478")
at_least = "address-dependent" if wanted[1] != "endpoint-independent" else wanted[1]
check(f"{kind}: two such tell the mapping, and no filtering", axes(two)[1:] == [at_least, None], two)
several = measure("--stun", f"{S2}:4478", f"{S2}:9", f"{S1}:3478")
check(f"{kind}: of several, the one with two addresses shows both axes", axes(several) == wanted and several["server"] == f"{S1}:3478", several)
check(f"{kind}: and the one that is silent has a note", f"{S2}:9 does not answer" in [note["text"] for note in several["notes"]], several["notes"])
for process in running:
    process.terminate()
done()
