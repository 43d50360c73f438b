"""A caller whom chat does not know: on a terminal the user is asked first, and nothing goes to the caller before."""

from nodes import S1, check, done
from chats import Chat
from punch import counted, count
from terminal import Terminal

ALICE = f"{S1.rsplit('.', 1)[0]}.17"
count("nat-bob", to_alice=f"ip daddr {ALICE} meta l4proto udp")

bob = Terminal("bob", "--server", S1, "--name", "bob")
check("bob is there", bob.sees("registered as bob"), bob.seen)
alice = Chat("alice", "alice", "--peer", "bob", "--timeout", "60")
check("bob is asked, and shown the key", bob.sees("alice (key ") and bob.sees("wants to talk to you: type /accept alice"), bob.seen)
waits = alice.wait("not_yet")
check("alice hears that bob is asked", waits and waits["cause"]["code"] == "PEER_BUSY" and "is asked" in waits["cause"]["text"], waits)
check("bob sends nothing to alice before", counted("nat-bob", "to_alice") == 0)
bob.type("/peers\r")
check("/peers lists alice", bob.sees("alice            asks"), bob.seen)
bob.type("/accept\r")
check("/accept alone is for files", bob.sees("no file is on offer; to talk to alice, type /accept alice"), bob.seen)
bob.type("/accept al\t")
check("the name is completed", bob.sees("/accept alice "), bob.seen)
check("still nothing was sent", counted("nat-bob", "to_alice") == 0)
bob.type("\r")
check("bob has accepted: they are connected", bob.sees("alice is connected: direct") and alice.wait("connected"), (bob.seen, alice.events))
alice.type("thank you")
check("and they talk", bob.sees("alice\x1b[0m: thank you") and "wants" not in bob.taken, bob.seen)

carol = Chat("alice2", "carol", "--peer", "bob", "--timeout", "8", stay=False)
check("carol is asked about, too", bob.sees("carol (key ") and bob.sees("/accept carol"), bob.seen)
bob.type("/reject carol\r")
check("bob rejects carol", bob.sees("carol is ignored until you leave"), bob.seen)
given_up = carol.wait("gave_up", 20)
check("carol gives up, and hears no more than before", given_up and "is asked" in given_up["why"], (given_up, carol.events))
check("that is exit 1", carol.end() == 1)
again = Chat("alice2", "carol", "--peer", "bob", "--timeout", "4", stay=False)
check("carol calls again in vain", again.wait("gave_up", 20), again.events)
alice.type("one more")
check("and bob saw nothing of it", bob.sees("alice\x1b[0m: one more") and "carol" not in bob.taken, bob.taken)
bob.type("/accept carol\r")
check("nobody waits", bob.sees("no caller of the name carol waits"), bob.seen)
bob.type("/quit\r")
check("/quit ends it with 0", bob.process.wait(10) == 0)

bob = Terminal("bob", "--server", S1, "--name", "bob")
check("bob is back", bob.sees("registered as bob"), bob.seen)
alice.type("are you back?")
check("alice, whom bob knows now, is not asked about", bob.sees("alice\x1b[0m: are you back?") and "wants" not in bob.taken, bob.seen)
bob.type("/quit\r")
bob.process.wait(10)

dave = Terminal("bob", "--server", S1, "--name", "dave", "--open")
check("dave is there", dave.sees("registered as dave"), dave.seen)
erin = Chat("alice2", "erin", "--peer", "dave")
check("with --open erin is answered at once", dave.sees("erin is connected") and erin.wait("connected"), dave.seen)
done()
