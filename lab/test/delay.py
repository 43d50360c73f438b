"""Delay every packet that alice's or bob's side sends through core, without netem; argv: milliseconds.

Core routes such a packet to a TUN device, where this program takes it, and gives it back later. Run it in core.
"""

import fcntl
import os
import select
import struct
import subprocess
import sys
import time
from collections import deque

delay = float(sys.argv[1]) / 1000
tun = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH", b"delay", 0x1001))  # TUNSETIFF: IFF_TUN | IFF_NO_PI
for words in ("link set delay up", "route add default dev delay table 100",
              "rule add iif alice lookup 100", "rule add iif bob lookup 100"):
    subprocess.run(["ip", *words.split()], check=True)
print("ready", flush=True)
waiting = deque()
while True:
    left = max(0, waiting[0][0] - time.monotonic()) if waiting else None
    if select.select([tun], [], [], left)[0]:
        waiting.append((time.monotonic() + delay, os.read(tun, 65536)))
    while waiting and waiting[0][0] <= time.monotonic():
        os.write(tun, waiting.popleft()[1])
