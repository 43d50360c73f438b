"""Two that have nothing to say keep the path; argv: how long they are silent, in seconds, and
arguments of both chats. As long as it takes, for once:
lab/netns.sh {port-restricted,timeout=20s,ports=random}{,} -- python3 lab/test/chat-idle.py 3600"""

import sys
import time

from nodes import check, done
from chats import meet, talk

alice, bob = meet(sys.argv[2:], sys.argv[2:])
talk(alice, bob, "before", 3)
# It is the silence that is tested: there is no condition to wait for.
time.sleep(float(sys.argv[1]))
took = talk(alice, bob, "after", 3)
check("at once, over the same path", took < 1 and alice.said("connected") == 1, f"{took:.1f} s, {alice.events[-5:]}")
done()
