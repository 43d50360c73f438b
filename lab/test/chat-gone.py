"""Peers that are gone, servers that are not there, ports that are taken."""

import os
import signal
import subprocess
import time

from nodes import Udp, check, done
from chats import Chat, meet

alice, bob = meet(alice_args=["--timeout", "6"])
bob.process.send_signal(signal.SIGKILL)
lines = [f"into the void {n}" for n in range(3)]
alice.type(*lines)
lost = [alice.wait("undelivered", 60) for _ in lines]
check("who is killed is given up, and what was not delivered is told", all(lost) and [e["text"] for e in lost] == lines, alice.events[-4:])
alice.process.terminate()
check("that is exit 1", alice.code() == 1)

bob = Chat("bob", "bob")
bob.wait("registered")
alice = Chat("alice", "alice", "--peer", "bob", stay=False)
alice.type("one", "two")
check("a filter delivers and ends with 0", alice.end() == 0, alice.errors)
check("bob has both", bob.hears(["one", "two"], "alice")[0])
check("and hears that alice has left", bob.wait("left", peer="alice"))
alice = Chat("alice", "alice")
bob.type("are you there?")
check("bob's line finds alice anew", alice.wait("message", text="are you there?"), bob.events[-3:])
alice.type("yes")
check("and what alice types goes to who opened the conversation", bob.wait("message", text="yes"), alice.events)
bob.process.terminate()
check("who leaves is told of", alice.wait("left", peer="bob"))
alice.process.terminate()
alice.code()

alice = Chat("alice", "alice", "--peer", "nobody", "--timeout", "1", stay=False)
alice.type("hello?")
check("nobody there", alice.wait("not_yet")["cause"]["code"] == "PEER_OFFLINE")
check("is exit 1", alice.end() == 1)

alice = Chat("alice", "alice", "--server", "203.0.113.254", "--peer", "bob", "--timeout", "1", stay=False)
check("no rendezvous is exit 2", alice.end() == 2, alice.errors)
check("and says so", any(b"rendezvous" in line for line in alice.errors), alice.errors)

taken = Udp("alice", port=8900)
alice = Chat("alice", "alice", "--sip", "203.0.113.1", "--sport", "8848")
check("a taken port is no obstacle", alice.wait("registered"))
check("and is told", any(b"8900 is taken" in line for line in alice.errors), alice.errors)
alice.process.terminate()
alice.code()

alice = Chat("alice", "alice")
alice.wait("registered")
second = Chat("alice", "alice", "--cport", "8901")
check("a second chat of one name and home is exit 2", second.code() == 2, second.errors)
check("and says who has it", any(f"by process {alice.process.pid}".encode() in line for line in second.errors), second.errors)
alice.process.kill()
alice.code()
alice = Chat("alice", "alice")
check("who was killed keeps nobody out", alice.wait("registered"), alice.errors)
alice.process.terminate()
alice.code()

run = ["ip", "netns", "exec", "alice", "chat", "--name", "alice"]
env = os.environ | {"PINHOLE_HOME": alice.home}
said = subprocess.run(run + ["--peer", "alice"], env=env, stdin=subprocess.DEVNULL, capture_output=True)
check("talking to oneself is exit 2", said.returncode == 2, said.stderr)
said = subprocess.run(run + ["--server", ""], env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
check("an empty server is exit 2", said.returncode == 2, said.stderr)
bare = {key: value for key, value in env.items() if key != "PINHOLE_SERVER"}
said = subprocess.run(run, env=bare, stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
check("no server and nobody to ask is exit 2", said.returncode == 2, said.stderr)
done()
