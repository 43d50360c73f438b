"""chat receive on a terminal: the question whether the files are wanted, and its answers."""

import os

from nodes import check, done
from chats import HOMES
from handover import SERVER, Side, send
from terminal import Terminal

HELLO = os.path.join(HOMES, "hello.txt")
with open(HELLO, "w") as file:
    file.write("hello")
QUESTION = "hello.txt (5 B), into in: receive? [Y/n]"


def receive(code, *args):
    return Terminal("bob", "receive", code, "--server", SERVER, "--into", "in", *args, folder=HOMES)


sender, code = send(HELLO)
bob = receive(code)
check("bob is asked", bob.sees(QUESTION), bob.seen)
bob.type("n\n")
check("no ends it with 1", bob.process.wait(10) == 1, bob.all)
check("and the sender, who is told", sender.code() == 1 and "declined" in sender.told("ended")[0]["why"], sender)
check("nothing was written", not os.path.exists(os.path.join(HOMES, "in")))

sender, code = send(HELLO)
bob = receive(code)
bob.sees(QUESTION)
bob.type("what?\n")
check("what is neither yes nor no is asked for again", bob.sees("type y to receive, n to decline"), bob.seen)
bob.type("y\n")
check("yes brings it", bob.process.wait(20) == 0 and sender.code() == 0, f"{bob.all} {sender}")
check("verified", bob.sees("hello.txt (5 B), verified"), bob.seen)

# Control-D before there is a question: nobody can answer it.
bob = receive(code, "--timeout", "5")
bob.sees("looking for the sender")
bob.type("\x04")
_, status, used = os.wait4(bob.process.pid, 0)
bob.process.returncode = os.waitstatus_to_exitcode(status)
check("without a sender it ends with 1", bob.process.returncode == 1, bob.all)
seconds = used.ru_utime + used.ru_stime
check("and has waited without work", seconds < 1, f"{seconds:.2f} s of processor time")
bob = receive(code)
bob.sees("looking for the sender")
bob.type("\x04")
sender = Side("alice", "send", HELLO, "--code", code)
check("a question that nobody can answer is a no", bob.process.wait(30) == 1 and sender.code() == 1, f"{bob.all} {sender}")
check("and is no wrong code", bob.sees("declined"), bob.all)
done()
