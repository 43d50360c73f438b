"""A gateway that refuses, is slow, silent or talks nonsense, and a second address of the rendezvous that does not answer:
none of them delays a direct path.

argv: nothing, or what a gateway does (then this is that gateway)."""

import os
import random
import socket
import subprocess
import sys
import time

from nodes import check, done, line
from punch import end

# A helper that is waited for costs a second (in ms) at least: requests by PCP and NAT-PMP are repeated for that long.
WAITED_FOR = 1000
GATEWAY = "192.168.1.1"
TROUBLES = {"refuses": "refuses", "slow": "is slow", "silent": "is silent", "nonsense": "talks nonsense"}


def gateway(trouble):
    """Speaks to whoever asks for a port; says first that it is there."""
    asked = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    asked.bind((GATEWAY, 5351))
    print("listens", flush=True)
    while True:
        request, sender = asked.recvfrom(2000)
        print("is asked", flush=True)
        if trouble == "refuses":  # result 2: not authorized, by NAT-PMP and by PCP
            pcp = request[0] == 2
            answer = bytes([2, request[1] | 0x80, 0, 2]) + request[4:] if pcp else bytes([0, request[1] | 0x80, 0, 2, 0, 0, 0, 1])
        elif trouble == "slow":
            time.sleep(2)
            answer = bytes([0, 128, 0, 0, 0, 0, 0, 1, 203, 0, 113, 17])
        elif trouble == "nonsense":
            answer = random.randbytes(random.choice([1, 12, 60]))
        else:
            continue
        asked.sendto(answer, sender)


def node(name, *command, **more):
    return subprocess.Popen(["ip", "netns", "exec", name, *command], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)


def punch(name, *options):
    return node(name, "punch", "--name", name, "--json", "--quick", *options)


def meets(what, control=None):
    """alice's report and log; control: her report when nothing was the matter, on this machine."""
    bob = punch("bob", "--from", "alice", "--timeout", "30")
    assert line(bob, "registered as"), "bob is not registered"
    alice = punch("alice", "--peer", "bob", "--timeout", "30")
    (code, one, log), (code2, other, log2) = end(alice), end(bob)
    check(f"{what}: the path is direct, on both sides", code == code2 == 0 and one["result"] == other["result"] == "direct", (one, log, other, log2))
    if control:
        check(f"{what}: and was not waited for", one["total_ms"] < control["total_ms"] + WAITED_FOR, (one["total_ms"], control["total_ms"], log))
    return one, log


def main():
    control, _ = meets("control: nothing is the matter")
    for trouble, does in TROUBLES.items():
        fake = node("nat-alice", sys.executable, __file__, trouble)
        assert line(fake, "listens", of="stdout"), fake.stderr.read()
        _, log = meets(f"a gateway that {does}", control)
        check("and no port of it is told", "our router maps" not in log, log)
        fake.kill()
        said, _ = fake.communicate()
        check("and it was asked", "is asked" in said, said)
    second = os.environ["PINHOLE_S2"]
    for how in ("drop", "reject"):
        subprocess.run(["ip", "netns", "exec", "server", "nft", "-f", "-"], check=True, text=True, input=(
            "table ip trouble\ndelete table ip trouble\n"
            f"table ip trouble {{\n chain in {{\n type filter hook input priority 0\n ip daddr {second} {how}\n }}\n}}\n"))
        meets(f"a second address whose host has a rule to {how}", control)
    done()


if __name__ == "__main__":
    gateway(sys.argv[1]) if sys.argv[1:] and sys.argv[1] in TROUBLES else main()
