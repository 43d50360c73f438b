"""alice and bob talk, both ways at once; argv: how long it may take, in seconds."""

import sys

from nodes import check, done
from chats import meet, talk

deadline = float(sys.argv[1]) if len(sys.argv) > 1 else 30
alice, bob = meet()
talk(alice, bob, "talk", deadline=deadline)
alice.process.terminate()
check("alice leaves, all delivered", alice.code() == 0, alice.code())
check("bob is told", bob.wait("left", peer="alice"))
bob.process.terminate()
check("bob leaves, all delivered", bob.code() == 0, bob.code())
done()
