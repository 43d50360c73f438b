"""Names at the rendezvous: reserved ones, new keys, a proof of work; argv: which story."""

import os
import shutil
import signal
import sys

from nodes import S1, check, done
from chats import HOMES, Chat, meet
from peers import end, line, start


def pinned(home, peer):
    """The keys that are known for a peer."""
    with open(os.path.join(home, "known-peers")) as file:
        return [words[1] for words in map(str.split, file) if words and words[0] == peer]


def secret(home, name, folder="keys"):
    path = os.path.join(home, folder, name)
    return open(path).read() if os.path.exists(path) else None


def leave(chat):
    chat.process.terminate()
    return chat.code()


def new_key():
    """Both sides give themselves new keys, and the other follows: as caller, and as callee."""
    alice, bob = meet()
    first, before = pinned(alice.home, "bob"), secret(bob.home, "bob")
    check("alice and bob leave", [leave(alice), leave(bob)] == [0, 0])

    bob = Chat("bob", "bob", "--new-key")
    told = bob.wait("new_key", name="bob")
    check("bob is told that the rendezvous has accepted his new key", told and told["before"] != told["now"], bob.events)
    check("and has it on disk, and no other", secret(bob.home, "bob") not in (None, before) and not secret(bob.home, "bob", "new-keys"))
    alice = Chat("alice", "alice", "--peer", "bob")
    rotated = alice.wait("key_rotated", peer="bob")
    check("alice, who calls, is told of it and follows", rotated and rotated["now"] == told["now"] and rotated["before"] == told["before"], alice.events)
    alice.type("to the new key")
    check("and bob hears her", bob.wait("message", text="to the new key"), alice.events)
    check("nobody was warned of a changed key", not alice.said("key_changed"))
    check("alice has pinned the new key, once", len(pinned(alice.home, "bob")) == 1 and pinned(alice.home, "bob") != first)
    leave(alice)

    alice = Chat("alice", "alice", "--new-key", "--peer", "bob")
    told = alice.wait("new_key", name="alice")
    check("bob, who is called, follows alice's new key", told and bob.wait("key_rotated", peer="alice", now=told["now"]), bob.events)
    bob.type("/to alice", "and back")
    check("and they talk", alice.wait("message", text="and back"), bob.events)

    os.makedirs(os.path.join(HOMES, "carol"), exist_ok=True)
    with open(os.path.join(HOMES, "carol", "known-peers"), "w") as file:
        file.write("bob " + "11" * 32 + "\n")
    carol = Chat("alice2", "carol", "--peer", "bob")
    check("carol, who knows another key, is warned as ever", carol.wait("key_changed", peer="bob"), carol.events)


def killed():
    """A new key, and a process that is killed: before it is accepted, and after."""
    home = os.path.join(HOMES, "bob")
    bob = Chat("bob", "bob")
    check("bob is registered", bob.wait("registered"))
    leave(bob)
    before = secret(home, "bob")
    nobody = Chat("bob", "bob", "--new-key", "--server", f"{S1}:9", "--timeout", "1")
    check("where there is no rendezvous, that is exit 2", nobody.code() == 2, nobody.errors)
    begun = secret(home, "bob", "new-keys")
    check("and the old key is where it was, beside the new one", secret(home, "bob") == before and begun)

    saved = home + "-saved"
    shutil.copytree(home, saved)
    bob = Chat("bob", "bob")
    check("the next start goes on, and says so", bob.wait("new_key", name="bob"), bob.events)
    check("with the key that was begun", secret(home, "bob") == begun)
    bob.kill()

    # As if it had been killed between the answer of the rendezvous and the disk.
    shutil.rmtree(home)
    shutil.copytree(saved, home)
    bob = Chat("bob", "bob")
    check("killed after it was accepted, the next start ends it", bob.wait("new_key", name="bob"), (bob.events, bob.errors))
    check("with the same key", secret(home, "bob") == begun and not secret(home, "bob", "new-keys"))
    leave(bob)

    # Whoever has the old key has no say any more.
    thief = os.path.join(HOMES, "thief")
    os.makedirs(os.path.join(thief, "keys"))
    with open(os.path.join(thief, "keys", "bob"), "w") as file:
        file.write(before)
    old = Chat("bob", "bob", home=thief)
    check("the old key is refused: exit 2", old.code() == 2 and any(b"taken" in line for line in old.errors), old.errors)
    stolen = Chat("bob", "bob", "--new-key", home=thief)
    check("also with a new key of its own, which is set aside", stolen.code() == 2 and secret(thief, "bob", "refused-keys"), stolen.errors)


def punch():
    home = os.path.join(HOMES, "bob")

    def connect():
        waits = start("bob", "punch", "--name", "bob", "--quick", "--timeout", "20", home=home)
        line(waits, "registered as")
        code, _, log = end(start("alice", "punch", "--name", "alice", "--peer", "bob", "--quick", home=os.path.join(HOMES, "alice")))
        end(waits)
        return code, log

    code, log = connect()
    check("punch connects, and pins bob's key", code == 0, log)
    first = pinned(os.path.join(HOMES, "alice"), "bob")
    bob = Chat("bob", "bob", "--new-key", stay=False)
    check("a script that only wants a new key ends when it has it", bob.end() == 0, bob.errors)
    bob.wait("new_key", 1)
    check("and is told", bob.said("new_key") == 1, bob.events)
    code, log = connect()
    check("punch follows", code == 0 and "bob has a new key" in log, log)
    now = pinned(os.path.join(HOMES, "alice"), "bob")
    check("and pins it", len(now) == 1 and now != first, now)
    code, log = connect()
    check("and says it once", code == 0 and "new key" not in log, log)
    begun = Chat("bob", "bob", "--new-key", "--server", f"{S1}:9", "--timeout", "1")
    check("where there is no rendezvous, a new key is begun and not accepted", begun.code() == 2 and secret(home, "bob", "new-keys"), begun.errors)
    waits = start("bob", "punch", "--name", "bob", home=home)
    check("punch goes on with it, and says so", line(waits, "the key of bob is"))
    waits.terminate()
    end(waits)
    check("and keeps it", not secret(home, "bob", "new-keys"))


def reserved():
    alice, bob = meet()
    key = pinned(bob.home, "alice")[0]
    check("alice and bob leave", [leave(alice), leave(bob)] == [0, 0])
    with open("/run/reserved", "w") as file:
        file.write(f"# the operator's names\nalice {key}\n")
    server = start("server", "rendezvous", "--ip", S1, "--port", "9000", "--reserve", "/run/reserved")
    server.stdout.readline()
    there = ("--server", f"{S1}:9000")
    thief = Chat("bob", "alice", *there, home=os.path.join(HOMES, "thief"))
    check("a reserved name is refused to another key before its owner was there: exit 2", thief.code() == 2 and any(b"taken" in line for line in thief.errors), thief.errors)
    alice = Chat("alice", "alice", *there)
    check("and its owner has it", alice.wait("registered"), alice.errors)
    leave(alice)
    before = secret(alice.home, "alice")
    alice = Chat("alice", "alice", "--new-key", *there)
    check("a new key of a reserved name is refused, with the reason", alice.code() == 2 and any(b"only the operator can change that" in line for line in alice.errors), alice.errors)
    check("and the old one stays", secret(alice.home, "alice") == before and not secret(alice.home, "alice", "new-keys"))
    alice = Chat("alice", "alice", *there)
    check("with which the next start registers", alice.wait("registered"), alice.errors)
    server.terminate()
    end(server)


def reload():
    """The file of reserved names is read again on SIGHUP, while the server runs."""
    def reserve(text, told):
        with open("/run/reserved", "w") as file:
            file.write(text)
        if told:
            server.send_signal(signal.SIGHUP)
            return line(server, told)

    reserve("", None)
    server = start("server", "rendezvous", "--ip", S1, "--port", "9000", "--reserve", "/run/reserved")
    server.stdout.readline()
    there = ("--server", f"{S1}:9000")
    alice = Chat("alice", "alice", *there)
    check("alice registers", alice.wait("registered"), alice.errors)
    leave(alice)
    check("SIGHUP reserves her name for another key", reserve("alice " + "11" * 32 + "\n", "reloaded"))
    alice = Chat("alice", "alice", *there)
    check("and it is refused to her", alice.code() == 2 and any(b"taken" in line for line in alice.errors), alice.errors)
    check("a file with a wrong line changes nothing, and the log says why", reserve("alice 11\n", "what was read before stays in use.*line 1"))
    alice = Chat("alice", "alice", *there)
    check("so it still is", alice.code() == 2, alice.errors)
    check("SIGHUP releases the name", reserve("", "reloaded"))
    alice = Chat("alice", "alice", *there)
    check("which is hers again", alice.wait("registered"), alice.errors)
    leave(alice)
    server.terminate()
    check("and the server has run all the time", end(server)[0] == 0)


def work():
    server = start("server", "rendezvous", "--ip", S1, "--port", "9000", "--max-names", "4")
    server.stdout.readline()
    there = ("--server", f"{S1}:9000")
    for n, node in enumerate(("alice", "alice2", "bob")):
        chat = Chat(node, f"peer-{n}", *there)
        check(f"name {n + 1} of 4 costs nothing", chat.wait("registered") and not chat.said("work_wanted"), chat.events)
    bob = Chat("bob", "bob", *there)
    check("the last one costs a proof of work, and the user is told", bob.wait("work_wanted"), bob.events)
    check("which chat makes", bob.wait("registered"), (bob.events, bob.errors))
    code, _, log = end(start("bob", "punch", "--name", "more", "--peer", "bob", "--timeout", "2", *there))
    check("there is no fifth of this network, and punch says so", "has no room for another name" in log, log)
    leave(bob)
    again = Chat("bob", "bob", *there)
    check("a name that is bound costs nothing, however full the table", again.wait("registered") and not again.said("work_wanted"), again.events)
    # The name of one that has ended makes room.
    leave(again)
    waits = start("bob", "punch", "--name", "more", *there)
    check("punch tells of the proof of work, too", line(waits, "asks for a proof of work"))
    check("and makes it", line(waits, "registered as more"))
    waits.terminate()
    end(waits)
    server.terminate()
    end(server)


if __name__ == "__main__":
    globals()[sys.argv[1]]()
    done()
