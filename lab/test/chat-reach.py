"""chat reaches as far as punch, and moves with its host; argv: which story."""

import subprocess
import sys
import time

from nodes import check, done
from chats import Chat, leave, meet, talk


def path(chat):
    """The way to its one peer, and our NAT."""
    chat.type("/path")
    told = chat.wait("paths") or {"paths": [], "nat": None}
    return (told["paths"] or [{"how": None}])[0], told["nat"]


def becomes_direct(alice, bob):
    """Talking meanwhile: no message is lost, doubled or out of order."""
    talk(alice, bob, "before it is direct")
    end, rounds = time.monotonic() + 90, 0
    while (way := path(alice)[0])["how"] != "direct" and time.monotonic() < end:
        alice.wait("connected", 1, how="direct")
        talk(alice, bob, f"round {rounds}", count=3)
        rounds += 1
    check("the path becomes a direct one", way["how"] == "direct", way)
    talk(alice, bob, "directly")


def guesses():
    """A pair that takes guesses: over the relay at once, directly when one has hit."""
    alice, bob = meet()
    becomes_direct(alice, bob)
    nat = path(alice)[1]
    check("and /path tells our NAT", nat and nat["class"], nat)
    leave(alice, bob)


def maps():
    """Two symmetric NATs: a port of alice's router joins them."""
    alice, bob = meet(["--no-measure"], ["--no-measure"])
    becomes_direct(alice, bob)
    leave(alice, bob)


def roams():
    """alice's host moves behind another router in the middle of a file. A link would be found silent after minutes."""
    lasting = ["--keepalive", "60", "--accept-files"]
    alice, bob = meet(lasting, lasting)
    talk(alice, bob, "at home")
    content = b"pinhole " * (256 << 20 >> 3)
    with open(f"{alice.home}/big", "wb") as file:
        file.write(content)
    alice.type(f"/send {alice.home}/big")
    check("a file is on its way", alice.wait("progress"), alice.events[-2:])
    start = time.monotonic()
    subprocess.run(["lab", "roam", "alice", sys.argv[2]], check=True)
    again = alice.wait("connected", peer="bob", again=True)
    check("alice is back from her new address", again, alice.events[-3:])
    print(f"info  back after {time.monotonic() - start:.1f} s")
    came = bob.wait("received", 120)
    check("the file was not there before", bob.said("connected") > 1, bob.events[-3:])
    check("and the file comes whole", came and open(came["path"], "rb").read() == content, bob.events[-2:])
    talk(alice, bob, "elsewhere")
    leave(alice, bob)


{"guesses": guesses, "maps": maps, "roams": roams}[sys.argv[1]]()
done()
