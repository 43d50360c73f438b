"""Files beside the conversation: broken paths, restarts, nasty names; argv: megabytes."""

import atexit
import hashlib
import os
import subprocess
import sys
import time

from nodes import check, done, slow
from chats import HOMES, Chat, meet, reboot, talk

size = int(float(sys.argv[1]) * 1024 * 1024)


def made(folder, name, content):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(content)
    return path


def same(path, content):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).digest() == hashlib.sha256(content).digest()


def progress(chat, least):
    """Until so much of a file is there; how much that is."""
    while told := chat.wait("progress", 10):
        if told["bytes"] >= least:
            return told["bytes"]
    return 0


alice, bob = meet(bob_args=["--accept-files"])
content = os.urandom(size)
big = made(alice.home, "big file.bin", content)

start = time.monotonic()
alice.type(f"/send {big}")
came = bob.wait("received", 120)
check("a file arrives whole", came and same(came["path"], content), bob.events[-2:])
took = time.monotonic() - start
print(f"info  {size / 2**20:.0f} MiB in {took:.2f} s, {size / took / 2**20:.0f} MiB/s", flush=True)
check("its sender is told", alice.wait("sent", name="big file.bin"))

slow(size, 2.5)

# Again, with both NATs forgetting everything when a part is there.
alice.type(f"/send {big}")
there = progress(bob, size // 5)
reboot("nat-alice")
reboot("nat-bob")
talk(alice, bob, "meanwhile", 5, deadline=60)
came = bob.wait("received", 120)
check("over a broken path it arrives whole", came and same(came["path"], content), bob.events[-3:])
check("under a name that is free", came and os.path.basename(came["path"]) == "big file (1).bin", came)
check("and is resumed", there > 0, there)
check("its sender is told", alice.wait("sent", name="big file.bin"))

# The receiver dies in the middle and starts anew.
alice.type(f"/send {big}")
progress(bob, size // 5)
bob.kill()
part = [name for name in os.listdir(bob.downloads) if name.endswith(".part")]
kept = os.path.getsize(os.path.join(bob.downloads, part[0])) if part else 0
bob = Chat("bob", "bob", "--accept-files")
alice.type("are you there again?")
check("a message wakes the conversation", bob.wait("message", 60), alice.events[-3:])
came = bob.wait("received", 120)
check("after a restart it arrives whole", came and same(came["path"], content), bob.events[-3:])
check("from a part that was kept", kept > 0, part)
check("its sender is told", alice.wait("sent", name="big file.bin", deadline=60))

# So he does again, and meanwhile the file becomes another one of that size.
alice.type(f"/send {made(alice.home, 'changing', content)}")
progress(bob, size // 5)
bob.kill()
made(alice.home, "changing", content[::-1])
bob = Chat("bob", "bob", "--accept-files")
alice.type("and again?")
came = bob.wait("received", 120)
check("a file that has changed arrives as it is now", came and same(came["path"], content[::-1]), bob.events[-3:])
check("its sender is told", alice.wait("sent", name="changing", deadline=60))

# Several at once, one of them empty, with names that mean harm.
small = {name: os.urandom(50_000 * n) for n, name in enumerate(("empty", "-rf", "ümläut 👋.txt", ".hidden"))}
for name, data in small.items():
    alice.type(f"/send {made(alice.home, name, data)}")
for name, data in small.items():
    came = bob.wait("received")
    check("one of several arrives", came and same(came["path"], small[came["name"]]), came)
check("nothing is outside, hidden or half", all(not name.startswith(".") for name in os.listdir(bob.downloads)))

alice.type("/send /nonexistent")
check("a file that is not there", alice.wait("problem"))
alice.type("/send /run")
check("a folder is no file", alice.wait("problem"))

# Without --accept-files somebody is asked. Her disk has room for one mebibyte.
disk = os.path.join(HOMES, "carol", "downloads")
os.makedirs(disk)
subprocess.check_call(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk])
atexit.register(subprocess.run, ["umount", "--lazy", disk])
carol = Chat("alice2", "carol", "--peer", "bob")
carol.wait("connected")
bob.type("/to carol", f"/send {big}")
offer = carol.wait("offered")
check("who is not asked to take all is asked", offer and offer["size"] == size, carol.events[-2:])
carol.type("/decline")
check("a refusal is told", bob.wait("file_ended", peer="carol"))
bob.type(f"/send {made(bob.home, 'large', os.urandom(2 << 20))}")
carol.wait("offered")
carol.type("/accept")
full = bob.wait("file_ended", peer="carol", name="large")
check("a file that has no room is refused", full and "1.00 MiB free" in full["why"], full)
check("before its first byte", not carol.said("progress"), carol.events[-3:])
check("and no part stays", os.listdir(disk) == [], os.listdir(disk))
bob.type(f"/send {made(bob.home, 'yes', b'yes')}")
carol.wait("offered")
carol.type("/accept")
check("and an acceptance", carol.wait("received") and bob.wait("sent", to="carol"))
done()
