"""A benchmark, not a test: a file by chat and the same file by bare quinn, through the same NATs,
in turn; argv: MiB, rounds, and the folder of the example "bare". Wants bob's NAT to be a full cone
that keeps ports, since bare quinn cannot punch."""

import os
import statistics
import subprocess
import sys
import time

from chats import meet
from nodes import S1, Udp

mib, rounds, examples = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
alice, bob = meet(bob_args=["--accept-files"])
path, copy = os.path.join(alice.home, "file"), os.path.join(bob.home, "copy")
with open(path, "wb") as file:
    file.write(os.urandom(mib * 2**20))


def chat():
    start = time.monotonic()
    alice.type(f"/send {path}")
    came = bob.wait("received", 300)
    took = time.monotonic() - start
    os.unlink(came["path"])
    return took


def bare(port):
    opener = Udp("bob", port=port)
    opener.send((S1, 8848))
    opener.socket.close()
    run = ["ip", "netns", "exec"]
    server = subprocess.Popen(run + ["bob", f"{examples}/bare", "serve", f"0.0.0.0:{port}", copy], stdout=subprocess.PIPE)
    assert server.stdout.readline() == b"ready\n"
    took = float(subprocess.check_output(run + ["alice", f"{examples}/bare", "send", f"203.0.113.33:{port}", path]))
    assert server.wait() == 0 and os.path.getsize(copy) == mib * 2**20
    os.unlink(copy)
    return took


took = {"chat": [], "bare": []}
for n in range(rounds):
    took["chat"].append(chat())
    took["bare"].append(bare(9000 + n))
for what, seconds in took.items():
    print(f"{what}: {mib / statistics.median(seconds):.0f} MiB/s, of {[round(mib / s) for s in seconds]}")
ratios = [bare / chat for chat, bare in zip(took["chat"], took["bare"])]
print(f"chat / bare: {statistics.median(ratios):.2f}, of {[round(ratio, 2) for ratio in ratios]}")
