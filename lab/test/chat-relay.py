"""Conversations over the relay, and away from it; argv: which story."""

import os
import subprocess
import sys

from nodes import S1, check, done, enter, until
from chats import Chat, leave, meet, send, takes, talk
from terminal import Terminal

NET = S1.rsplit(".", 1)[0]
WALL = f"""table ip wall {{ chain packets {{ type filter hook forward priority 0;
ip saddr {NET}.16/28 ip daddr {NET}.32/28 drop; ip saddr {NET}.32/28 ip daddr {NET}.16/28 drop; }}; }}"""


def way(chat, how):
    """What it says of the way to its one peer."""
    chat.type("/path")
    told = (chat.wait("paths") or {"paths": []})["paths"]
    check(f"{chat.name} says that the way is {how}", [path["how"] for path in told] == [how], told)
    return told[0] if told else {"why": "", "remote": ""}


def over():
    """For want of a direct path."""
    alice, bob = meet(["--accept-files"], ["--accept-files"])
    for chat, remote in ((alice, f"{NET}.33:"), (bob, f"{S1}:")):
        told = way(chat, "relay")
        check("and why", "relay" in told["why"], told)
        check("and where it leads", told["remote"].startswith(remote), told)
    talk(alice, bob, "over the relay")
    for sender, receiver in ((alice, bob), (bob, alice)):
        takes(receiver, send(sender, 500_000))
    leave(alice, bob)
    check("what was relayed was given back", until(lambda: "relay: alice no longer has " in open("/run/rendezvous.log").read()))


def direct_only():
    """Who wants no relay is told why there is no path."""
    bob = Chat("bob", "bob")
    bob.wait("registered")
    alice = Chat("alice", "alice", "--peer", "bob", "--direct-only", "--timeout", "6", stay=False)
    alice.type("hello?")
    told = alice.wait("not_yet")
    check("a pair that cannot be punched is told so", told and told["cause"]["code"] == "SYM_SYM", alice.events)
    check("and its message was not delivered", alice.wait("undelivered"), alice.events)
    check("that is exit 1", alice.end() == 1)


def relay_only():
    """Who wants a relay alone gets no other."""
    alice, bob = meet(["--relay-only"])
    talk(alice, bob, "behind the relay", 5)
    for chat in (alice, bob):
        way(chat, "relay")
        check("there was no other path", chat.said("connected") == 1, chat.events)
    leave(alice, bob)


def move():
    """A direct path comes late, and the conversation moves there with all that is on its way."""
    enter("core")
    subprocess.run(["nft", "-f", "-"], input=WALL, check=True, text=True)
    alice, bob = meet(["--accept-files"], ["--accept-files"])
    way(alice, "relay")
    # At the relay's pace it takes seconds.
    content = send(alice, 4_000_000)
    check("a file is on its way", bob.wait("progress", 10), bob.events[-3:])
    enter("core")
    subprocess.check_call(["nft", "delete", "table", "ip", "wall"])
    talk(alice, bob, "meanwhile", 200)
    moved = [chat.wait("connected", 10, how="direct") or
             [told for told in chat.events if told["event"] == "connected" and told["how"] == "direct"]
             for chat in (alice, bob)]
    check("both are told of the direct path", all(moved), alice.events[-3:])
    way(alice, "direct")
    way(bob, "direct")
    talk(alice, bob, "after", 5)
    if not any(told["event"] == "received" for told in bob.events):
        takes(bob, content)
    check("nothing was given up or broken", not any(chat.said(what) for chat in (alice, bob)
          for what in ("undelivered", "broken", "file_ended")), alice.events[-5:])
    leave(alice, bob)


def limited():
    """A person sees why a file is slow."""
    bob = Chat("bob", "bob", "--accept-files")
    bob.wait("registered")
    options = ["--server", S1, "--name", "alice", "--peer", "bob", "--relay-only"]
    alice = Terminal("alice", *options)
    check("alice meets bob", alice.sees("bob is connected: relay"), alice.seen)
    with open("/run/big", "wb") as file:
        file.write(os.urandom(14_000_000))
    alice.type("/send /run/big\r")
    # What --relay-rate is unless it is said.
    check("the bar says what limits it", alice.sees("limited by the relay to 976.56 KiB/s", 30), alice.seen[-500:])
    check("and the file arrives", bob.wait("received", 60), bob.events[-2:])
    for chat in (alice, bob):
        chat.process.terminate()


{"over": over, "limited": limited, "direct_only": direct_only, "relay_only": relay_only, "move": move}[sys.argv[1]]()
done()
