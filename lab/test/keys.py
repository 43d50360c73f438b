"""The keys of the rendezvous and of peers, with real processes: given, trusted on first use, changed, wrong."""

import json
import os
import re

from nodes import S1, check, done
from chats import HOMES, Chat
from peers import end, line, start

PORT = 9000
AT = f"{S1}:{PORT}"
homes = 0


def home():
    """A new folder for keys."""
    global homes
    homes += 1
    return os.path.join(HOMES, f"keys-{homes}")


def rendezvous(*options, where=None):
    """A rendezvous on another port, and what it says at its start."""
    process = start("server", "rendezvous", "--json", "--ip", S1, "--port", str(PORT), *options, home=where)
    return process, json.loads(process.stdout.readline())


def stop(process):
    process.terminate()
    return end(process)


def punch(name, *options, where=None, server=None):
    return start("alice", "punch", "--server", server or AT, "--name", name, *options, home=where or home())


def known(where):
    with open(os.path.join(where, "known-servers")) as file:
        return file.read()


first, second = (os.path.join(HOMES, name) for name in ("first-key", "second-key"))
server, said = rendezvous("--key", first)
key = said["key"]
check("the rendezvous shows its key, and what clients are given", re.fullmatch("[0-9a-f]{64}", key) and said["clients"] == f"{AT}#{key}", said)
check("its file is for its owner alone", os.stat(first).st_mode & 0o777 == 0o600)

# Given.
there = home()
ben = start("bob", "punch", "--server", f"ben@{said['clients']}", home=there)
log = []
while (text := ben.stderr.readline()) and "registered as ben" not in text:
    log.append(text)
check("with the right key, and our name with it, we register without a question", "registered as ben" in text and not log, log)
check("the key is kept", known(there) == f"{AT} {key}\n", known(there))
code, out, log = end(punch("anna", "--peer", "ben", "--direct-only", server=said["clients"]))
check("and are introduced", code == 0, out + log)
end(ben)
wrong = "ab" * 32
code, out, log = end(punch("anna", "--peer", "bob", server=f"{AT}#{wrong}"))
check("with a wrong key: exit 2, and both keys are told", code == 2 and f"has another key: expected {wrong}, got {key}" in log, log)
code, out, log = end(punch("anna", "--peer", "bob", "--timeout", "1", server=f"{AT}#{wrong}"))
check("also where there was less time", code == 2 and "has another key" in log, log)
code, out, log = end(punch("anna", "--peer", "bob", server=f"{AT}#12"))
check("what is not a key is refused", code == 2 and "64 hex digits" in log, log)
code, out, log = end(punch("anna", "--peer", "bob", server=f"carol@{AT}"))
check("two names are refused", code == 2 and "carol" in log and "anna" in log, log)
code, out, log = end(start("alice", "natprobe", "--s1", f"carol@{said['clients']}", "--json"))
check("natprobe takes the same string", code in (0, 1) and json.loads(out)["server"] == AT, out + log)

# In config.toml.
there = home()
os.makedirs(there)
with open(os.path.join(there, "config.toml"), "w") as file:
    file.write(f'server = "dave@{said["clients"]}"\n')
environment = {k: v for k, v in os.environ.items() if k not in ("PINHOLE_SERVER", "PINHOLE_NAME")}
os.environ.clear()
os.environ.update(environment)
dave = start("alice", "punch", home=there)
check("config.toml has server, key and name in one string", line(dave, "registered as dave"))
stop(dave)

# On first use.
there = home()
code, out, log = end(punch("erin", "--peer", "nobody", "--timeout", "1", where=there))
check("a key is trusted on first use, and told", code == 1 and log.count(f"trusting the key {key} of the rendezvous at {AT} on first use") == 1, log)
code, out, log = end(punch("erin", "--peer", "nobody", "--timeout", "1", where=there))
check("once", code == 1 and "trusting" not in log, log)
chatter = Chat("alice", "frank", "--server", AT, home=home())
told = chatter.wait("server_key")
check("chat tells it, too", told and told["key"] == key and told["first_use"], chatter.events)
chatter.process.terminate()
chatter.code()

# Peers' keys.
bob = Chat("bob", "bob", "--server", AT)
bob.wait("registered")
bob.type("/who")
who = bob.wait("who")
check("/who has what peers type", who and re.fullmatch("bob#[0-9a-f]{64}", who["address"]) and who["server_address"] == f"{AT}#{key}", who)
alice = Chat("alice", "alice", "--server", who["server_address"], "--peer", who["address"], stay=False)
alice.type("hello")
check("a peer with the key that is given is reached", bob.wait("message", text="hello") and alice.end() == 0, alice.events)
mallory = f"bob#{wrong}"
alice = Chat("alice", "ida", "--server", AT, "--peer", mallory, home=home(), stay=False)
alice.type("a secret")
changed = alice.wait("key_changed", peer="bob")
check("one with another key is not: nothing is sent", changed and alice.end() == 1, alice.events)
check("and bob has not heard it", all(event.get("text") != "a secret" for event in bob.events))
there = home()
code, out, log = end(punch("gina", "--peer", mallory, where=there))
check("nor by punch: exit 2", code == 2 and "another key" in log, log)
code, out, log = end(punch("gina", "--peer", who["address"], where=there))
pinned = who["address"].removeprefix("bob#")
check("a key that is not the pinned one is refused, with both and the way out", code == 2 and wrong in log and pinned in log and "known-peers" in log, log)
alice = Chat("alice", "jack", "--server", AT, home=home())
alice.wait("registered")
alice.type(f"/connect {who['address']}", "over the prompt")
check("/connect takes a key", bob.wait("message", text="over the prompt"), alice.events)
alice.type(f"/connect {mallory}")
problem = alice.wait("problem")
check("and refuses another", problem and wrong in problem["text"] and pinned in problem["text"], alice.events)
for chatter in (alice, bob):
    chatter.process.terminate()
    chatter.code()

# Changed.
stop(server)
server, said = rendezvous("--key", first)
check("the key outlives a restart", said["key"] == key, said)
stop(server)
server, said = rendezvous("--key", second)
new = said["key"]
there = home()
os.makedirs(there)
with open(os.path.join(there, "known-servers"), "w") as file:
    file.write(f"{AT} {key}\n")
code, out, log = end(punch("hugo", "--peer", "nobody", where=there))
check("a changed key: exit 2, with both keys and what to do", code == 2 and f"expected {key}, got {new}" in log and f"--server {AT}#{new}" in log and "--trust-server" in log, log)
chatter = Chat("alice", "hugo", "--server", AT, home=there, stay=False)
code = chatter.code()
check("chat, too", code == 2 and any(b"has another key" in text for text in chatter.errors), chatter.errors)
check("and the known key stays", known(there) == f"{AT} {key}\n", known(there))
code, out, log = end(punch("hugo", "--peer", "nobody", "--timeout", "1", "--trust-server", where=there))
check("--trust-server takes it", code == 1 and f"is {new} from now on" in log and known(there) == f"{AT} {new}\n", log)
code, out, log = end(punch("hugo", "--peer", "nobody", "--timeout", "1", where=there))
check("and keeps it", code == 1 and "key" not in log, log)
with open(os.path.join(there, "known-servers"), "w") as file:
    file.write(f"other:1 {wrong}\n{AT} {key}\n")
code, out, log = end(punch("hugo", "--peer", "nobody", "--timeout", "1", where=there, server=f"{AT}#{new}"))
check("so does the key that is given", code == 1 and known(there) == f"other:1 {wrong}\n{AT} {new}\n", log + known(there))
stop(server)

# Without a place for a key.
server, said = rendezvous(where="/proc/none")
code, out, log = stop(server)
check("without a place, the key is for this run, and that is told", re.fullmatch("[0-9a-f]{64}", said["key"]) and "for this run only" in log, log)
server = start("server", "rendezvous", "--port", str(PORT), "--key", "/proc/none/key")
code, out, log = end(server)
check("a file that is given and cannot be used: exit 2", code == 2 and "cannot use the file of --key" in log, log)
done()
