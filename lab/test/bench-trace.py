"""A benchmark, not a test: what a traced lab is to carry. argv: spray N | file MIB"""

import os
import sys

from chats import meet
from nodes import Udp

what, amount = sys.argv[1], int(sys.argv[2])
if what == "spray":
    sender = Udp("alice").socket
    for n in range(amount):
        sender.sendto(n.to_bytes(4, "big") * 16, ("203.0.113.33", 1024 + n))
else:
    alice, bob = meet(bob_args=["--accept-files"])
    path = os.path.join(alice.home, "file")
    with open(path, "wb") as file:
        for _ in range(amount):
            file.write(os.urandom(1 << 20))
    alice.type(f"/send {path}")
    os.unlink(bob.wait("received", 300)["path"])
