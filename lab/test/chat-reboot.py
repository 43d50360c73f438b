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
check("nothing was given up", not alice.said("undelivered") and not bob.said("undelivered"))
done()
