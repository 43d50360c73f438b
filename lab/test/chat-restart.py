"""The rendezvous dies in the middle of a conversation, and another takes its place, knowing nobody."""

import os
import signal
import subprocess

from nodes import S1, S2, check, done
from chats import Chat, meet, reboot, talk


def rendezvous():
    """Its pid; there is one in a lab."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with open(f"/proc/{pid}/comm") as comm:
            if comm.read() == "rendezvous\n":
                return int(pid)
    return None


alice, bob = meet()
talk(alice, bob, "before", 5)
os.kill(rendezvous(), signal.SIGKILL)
talk(alice, bob, "without a rendezvous", 5)
check("the conversation is the same", alice.said("connected") == bob.said("connected") == 1 and not alice.said("broken"))

command = ["ip", "netns", "exec", "server", f"{os.environ['PINHOLE_BIN']}/rendezvous", "--ip", S1, "--alt-ip", S2]
anew = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
check("another rendezvous comes up", anew.stdout.readline())
carol = Chat("alice2", "carol", "--peer", "bob")
way = carol.wait("connected", 30)
check("who comes now reaches bob, once he has registered anew", way and way["how"] == "direct", carol.events[-3:])
carol.type("hello")
check("and talks to him", bob.wait("message", text="hello", **{"from": "carol"}))

reboot("nat-bob")
bob.type("/to alice")
talk(alice, bob, "over a new path", 5, deadline=45)
check("nothing was given up", not alice.said("undelivered") and not bob.said("undelivered"))
anew.terminate()
anew.wait()
done()
