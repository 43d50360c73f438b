"""Messages to a peer that is not there wait on disk, sealed, and are sent when it is back."""

import os
import signal

from nodes import check, done
from chats import Chat

TEXTS = ["first words to wait", "second", "third"]
KEEPS = ["--keep", "--timeout", "2"]
SERVER = "203.0.113.1:8848"


def files(home):
    for place, _, names in os.walk(home):
        for name in names:
            yield os.path.join(place, name)


def plain(home, text):
    """The files that have this text in them as it is."""
    return [path for path in files(home) if text.encode() in open(path, "rb").read()]


alice = Chat("alice", "alice", "--peer", "bob", *KEEPS)
alice.wait("registered")
alice.type(*TEXTS)
kept = alice.wait("kept", waiting=3)
check("messages to a peer that is not there are kept", kept, alice.events)
check("and not called lost", not alice.said("undelivered"), alice.events)
alice.type("/pending")
told = alice.wait("pending")
check("/pending lists them in order", told and [kept["text"] for kept in told["messages"]] == TEXTS, told)
alice.process.send_signal(signal.SIGINT)
check("to leave with messages that wait gives 1", alice.code() == 1, alice.events[-3:])
PENDING = os.path.join(alice.home, "pending", f"alice@{SERVER}")
check("they are on the disk", os.path.exists(PENDING), list(files(alice.home)))
check("and nobody else can read them there", not plain(alice.home, TEXTS[0]), plain(alice.home, TEXTS[0]))

alice = Chat("alice", "alice", *KEEPS)
alice.wait("registered")
alice.type("/connect bob")
check("who connects to a peer that was called without a word is told", alice.wait("gave_up", 10, peer="bob"), alice.events)
alice.process.send_signal(signal.SIGINT)
alice.code()

bob = Chat("bob", "bob", "--keep")
check("bob is there", bob.wait("registered"), bob.events)
alice = Chat("alice", "alice", *KEEPS)
check("after a new start, alice's chat calls bob by itself", *bob.hears(TEXTS, "alice"))
for text in TEXTS:
    check(f"alice is told that bob has it: {text}", alice.wait("delivered", text=text), alice.events)
alice.type("/pending")
told = alice.wait("pending")
check("nothing waits any more", told and told["messages"] == [], told)
bob.type("/to alice", "hello")
alice.wait("message")
alice.type("/to bob", "/history 3")
told = alice.wait("history")
last = [(said["text"], said["ours"]) for said in told["messages"]] if told else told
check("/history shows what was said, both ways", last == [("second", True), ("third", True), ("hello", False)], last)
alice.process.send_signal(signal.SIGINT)
check("to leave with nothing that waits gives 0", alice.code() == 0, alice.events[-3:])
check("nobody else can read the history", not plain(alice.home, "hello"), plain(alice.home, "hello"))

alice = Chat("alice", "alice", *KEEPS, "--new-key")
check("alice has a new key", alice.wait("new_key"), alice.events)
alice.type("/history 1")
told = alice.wait("history")
check("what was kept is there as before", told and [said["text"] for said in told["messages"]] == ["hello"], told)
alice.process.send_signal(signal.SIGINT)
alice.code()

with open(PENDING, "wb") as file:
    file.write(b"damaged")
alice = Chat("alice", "alice", *KEEPS)
problem = alice.wait("problem")
check("a file that does not open is set aside, and named", problem and ".unreadable-1" in problem["text"], problem)
done()
