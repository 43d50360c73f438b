"""Two that have nothing to say keep the path; argv: how long they are silent, in seconds."""

import sys
import time

from nodes import check, done
from chats import meet, talk

alice, bob = meet()
talk(alice, bob, "before", 3)
# It is the silence that is tested: there is no condition to wait for.
time.sleep(float(sys.argv[1]))
took = talk(alice, bob, "after", 3)
check("at once, over the same path", took < 1 and alice.said("connected") == 1, f"{took:.1f} s, {alice.events[-5:]}")
done()
