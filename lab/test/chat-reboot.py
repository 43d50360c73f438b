"""Both NATs forget everything in the middle of a conversation, and it goes on; argv: routers."""

import sys
import time

from nodes import check, done
from chats import meet, reboot, talk

alice, bob = meet()
talk(alice, bob, "before")
for router in sys.argv[1:]:
    reboot(router)
took = talk(alice, bob, "after", deadline=45)
print(f"info  the conversation went on after {took:.1f} s", flush=True)

# Again, and bob, who has nothing to say, does not know that there is something to hear.
for router in sys.argv[1:]:
    reboot(router)
start = time.monotonic()
alice.type("are you there?")
check("who only listens is found again", bob.wait("message", 45, text="are you there?"), alice.events[-3:])
took = time.monotonic() - start
print(f"info  who only listens was found after {took:.1f} s", flush=True)
check("before it would have registered anew without a doubt", took < 11, took)
check("nothing was given up", not alice.said("undelivered") and not bob.said("undelivered"))
done()
