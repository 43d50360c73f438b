"""What plain sockets see of a link that natlink carries, while it is changed: delay, loss, duplicates, order, MTU, rate.

The lab has --link alice=delay:50ms and alice is open; server and bob have links of veth.
"""

import hashlib
import json
import os
import socket
import subprocess
import threading
import time

from nodes import S1, Udp, check, done, enter, until

ALICE = "203.0.113.18"
natlink = [f"{os.environ['PINHOLE_BIN']}/natlink"]
alice, server = Udp("alice", ALICE, 48000), Udp("server", S1, 7001)


def set_link(words):
    subprocess.run([*natlink, "set", f"alice={words}"], check=True)


def round_trip():
    """Seconds from alice to the server and back."""
    start = time.monotonic()
    server.hear(alice.send((S1, 7001)))
    alice.hear(server.send((ALICE, 48000)))
    return time.monotonic() - start


def state():
    """What natlink tells of the frames from alice to core."""
    both = json.loads(subprocess.check_output([*natlink, "show", "--json"], text=True))["links"]
    return next(one for one in both if one["direction"] == "up")


def under_way():
    return state()["under_way"]


def dropped(why, direction, said):
    """Whether there is a record of the frame with these words."""
    with open("/run/dropped-frames.json") as lines:
        records = [json.loads(line) for line in lines]
    now = time.time_ns()
    return any(
        record["why"] == why and record["direction"] == direction and record["link"] == "alice"
        and said.hex() in record["frame"] and 0 <= now - record["time_ns"] < 120e9
        for record in records
    )


trips = [round_trip()]
check("no round trip takes less than twice the delay", trips[0] >= 0.1, trips)
check("nor much more", until(lambda: trips.append(round_trip()) or trips[-1] < 0.125), trips)
set_link("down-delay:40ms")
check("a link is changed while it runs, for one direction", until(lambda: 0.04 <= round_trip() < 0.08))

set_link("up-loss:100%")
lost = alice.send((S1, 7001))
check("a lost frame is recorded, with its first bytes", until(lambda: dropped("loss", "up", lost)))
set_link("none")
check("and does not arrive", not server.hears(lost, alice.send((S1, 7001))))

set_link("up-mtu:1000")
alice.socket.sendto(b"m" * 1000, (S1, 7001))
check("a packet above the MTU is recorded", until(lambda: dropped("mtu", "up", b"m" * 40)))
check("a smaller one arrives", server.hear(alice.send((S1, 7001))) is not None)

set_link("up-duplicate:100%")
said = alice.send((S1, 7001))
check("a duplicate arrives", server.hear(said) is not None and server.hear(said) is not None)

set_link("up-delay:300ms")
first = alice.send((S1, 7001))
check("a frame is under way", until(under_way))
set_link("none")
second = alice.send((S1, 7001))
check("a frame does not pass one that was sent before it", server.hears(first, second))
set_link("up-delay:300ms,order:free")
first = alice.send((S1, 7001))
check("another is under way", until(under_way))
set_link("order:free")
second = alice.send((S1, 7001))
check("it does with order:free", server.hears(second, first))

# TCP sends super-frames with sums that no device has computed: what is carried are whole packets.
SIZE, RATE = 2 << 20, 40e6
set_link("rate:40mbit,delay:5ms")
enter("server")
listener = socket.create_server((S1, 7002))
got = []


def receive():
    stream, _ = listener.accept()
    digest, start = hashlib.sha256(), time.monotonic()
    while data := stream.recv(1 << 16):
        digest.update(data)
    got.append((digest.digest(), time.monotonic() - start))


thread = threading.Thread(target=receive)
thread.start()
enter("alice")
data = os.urandom(SIZE)
with socket.create_connection((S1, 7002), timeout=60) as stream:
    stream.sendall(data)
thread.join(60)
check("a file by TCP arrives whole", got and got[0][0] == hashlib.sha256(data).digest())
check("no faster than the rate", got and got[0][1] >= SIZE * 8 / RATE * 0.95, got and got[0][1])

wrong = subprocess.run([*natlink, "set", "carol=4g"], capture_output=True, text=True)
check("an unknown link is exit 2", wrong.returncode == 2 and "there are: alice" in wrong.stderr, wrong.stderr)
wrong = subprocess.run([*natlink, "set", "alice=6g"], capture_output=True, text=True)
check("so are words that say nothing", wrong.returncode == 2 and "not a kind of link" in wrong.stderr, wrong.stderr)
up = state()
check("what became of the frames adds up, with one copy", up["loss"] >= 1 and up["mtu"] >= 1
      and up["frames"] + 1 == sum(up[fate] for fate in ("arrived", "under_way", "loss", "mtu", "queue")), up)
done()
