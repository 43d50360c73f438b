"""A benchmark, not a test: a file by chat and the same bytes by bare quinn, over one path, in
turn; argv: MiB, rounds, and the folder of the example "bare". Needs bob with a public address."""

import os
import statistics
import subprocess
import sys
import time

from chats import meet

mib, rounds, examples = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
alice, bob = meet(bob_args=["--accept-files"])
path = os.path.join(alice.home, "file")
with open(path, "wb") as file:
    file.write(os.urandom(mib * 2**20))
speeds = {"chat": [], "bare": []}
for n in range(rounds):
    start = time.monotonic()
    alice.type(f"/send {path}")
    came = bob.wait("received", 300)
    speeds["chat"].append(mib / (time.monotonic() - start))
    os.unlink(came["path"])
    where = f"203.0.113.34:{9000 + n}"
    server = subprocess.Popen(["ip", "netns", "exec", "bob", f"{examples}/bare", "serve", where])
    time.sleep(0.2)
    took = subprocess.check_output(["ip", "netns", "exec", "alice", f"{examples}/bare", "send", where, str(mib)])
    server.wait()
    speeds["bare"].append(mib / float(took))
for what, figures in speeds.items():
    print(f"{what}: {statistics.median(figures):.0f} MiB/s, of {[round(figure) for figure in figures]}")
print(f"chat / bare: {statistics.median(speeds['chat']) / statistics.median(speeds['bare']):.2f}")
