"""How the tools end; argv: which story."""

import json
import os
import select
import signal
import subprocess
import sys
import time

from nodes import S1, S2, Udp, check, done
from peers import PORT, end, line, start


def unheard():
    """Nobody reads stderr: no tool panics for it."""
    for words, wanted in (
        (("punch", "--name", "bob", "--peer", "nobody", "--timeout", "0.5"), 1),
        (("natprobe", "--s1", "1.2.3:x"), 2),
        (("rendezvous", "--port", "0"), 2),
        (("nattrace", "table", "--json", "--table", "nix"), 1),
        (("chat", "--name", "bob", "--server", "1.2.3:x"), 2),
    ):
        for what, to in (("a full disk", "2>/dev/full"), ("no reader", "2> >(exec true)")):
            told = subprocess.run(("ip", "netns", "exec", "alice", "bash", "-c", f"exec {' '.join(words)} {to} >/dev/null </dev/null"), timeout=20)
            check(f"{words[0]}, with {what} for its log, ends as ever", told.returncode == wanted, told.returncode)
    waits = start("bob", "punch", "--name", "bob", "--json", "--timeout", "20")
    line(waits, "registered as")
    waits.stderr.close()
    code, _, log = end(start("alice", "punch", "--name", "alice", "--peer", "bob"))
    check("punch whose reader goes in the middle of it is reached", code == 0, log)
    check("and ends well itself", waits.wait(timeout=20) == 0, waits.returncode)


def unwritten():
    """A report that cannot be written is no success; one that nobody wants is none of ours to judge."""
    def ends(to):
        waits = start("bob", "punch", "--name", "bob", "--timeout", "20")
        line(waits, "registered as")
        words = "exec punch --name alice --peer bob --json --quick " + to
        told = subprocess.run(("ip", "netns", "exec", "alice", "bash", "-c", words), stderr=subprocess.PIPE, text=True, timeout=20)
        end(waits)
        return told.returncode, told.stderr

    code, log = ends(">/dev/full")
    check("punch whose disk is full: exit 2, and it says so", code == 2 and "No space left" in log, (code, log))
    code, log = ends("> >(exec true)")
    check("punch whose reader has gone: its outcome", code == 0, (code, log))


def full():
    """A rendezvous without room for another name is no reason to end: there may be room later."""
    one_name = start("server", "rendezvous", "--ip", S1, "--port", "9100", "--max-names", "1")
    check("a rendezvous for one name is up", line(one_name, "", of="stdout"))
    server = ("--server", f"{S1}:9100")
    first = start("alice", "punch", "--name", "alice", *server)
    check("the first name has its room", line(first, "registered as alice"))
    punch = start("bob", "punch", "--name", "bob", *server)
    check("punch says that there is no room", line(punch, "no room for another name"))
    chat = start("bob", "chat", "--stay", "--json", "--name", "carol", *server, stdin=subprocess.PIPE)
    check("and so does chat", line(chat, "no room for another name", of="stdout"))
    check("and both go on", punch.poll() is None and chat.poll() is None)
    chat.terminate()
    first.terminate()
    end(first)
    check("punch has the room of a name that was given back", line(punch, "registered as bob", deadline=30))
    for process in (punch, chat, one_name):
        process.terminate()
        end(process)


def twice():
    """One name in one home is used by one process at a time."""
    for holder in (("punch",), ("chat", "--stay")):
        first = start("alice", *holder, "--name", "carol", stdin=subprocess.PIPE)
        check(f"{holder[0]} has the name", line(first, "carol.* seen at") is not None)
        for words in (("punch",), ("punch", "--peer", "bob"), ("chat",)):
            code, said, log = end(start("alice", *words, "--name", "carol", stdin=subprocess.DEVNULL))
            check(f"{' '.join(words)} of the same name: exit 2, nothing on stdout, and it says who has it",
                  code == 2 and not said and f"in use at {S1}" in log and f"by process {first.pid}," in log, (code, said, log))
        check("and the first goes on", first.poll() is None)
        first.terminate()
        end(first)
    code, _, log = end(start("alice", "punch", "--name", "carol", "--peer", "nobody", "--timeout", "0.5"))
    check("once it has ended the name is free", code == 1, log)


def signals():
    """Who is told to end gives its name back."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # these tests may run under nohup themselves
    for told, name in ((signal.SIGINT, "SIGINT"), (signal.SIGTERM, "SIGTERM"), (signal.SIGHUP, "SIGHUP")):
        waits = start("bob", "punch", "--name", "bob")
        line(waits, "waiting for a peer")
        waits.send_signal(told)
        code, _, log = end(waits)
        check(f"{name}: exit 2, it was interrupted", code == 2 and "interrupted" in log, (code, log))
        code, said, log = end(start("alice", "punch", "--name", "alice", "--peer", "bob", "--json", "--timeout", "0.5"))
        check(f"{name}: its name is free", code == 1 and json.loads(said)["cause"]["code"] == "PEER_OFFLINE", said + log)
    waits = start("bob", "nohup", "punch", "--name", "bob", stdin=subprocess.DEVNULL)
    line(waits, "waiting for a peer")
    waits.send_signal(signal.SIGHUP)
    code, said, log = end(start("alice", "punch", "--name", "alice", "--peer", "bob", "--json"))
    check("SIGHUP with nohup: it goes on", code == 0, said + log)
    check("and is reached", end(waits)[0] == 0)


def patience():
    """Who is not introduced in time is told why, however short that time was."""
    mute = start("bob", "punch", "--name", "bob")
    line(mute, "waiting for a peer")
    os.kill(mute.pid, signal.SIGSTOP)
    for seconds in ("2", "4"):
        code, said, log = end(start("alice", "punch", "--name", "alice", "--peer", "bob", "--json", "--timeout", seconds))
        check(f"a silent peer, given {seconds} s: exit 1, PEER_SILENT", code == 1 and json.loads(said)["cause"]["code"] == "PEER_SILENT", said + log)
    code, said, log = end(start("alice", "punch", "--name", "alice", "--peer", "bob", "--json", "--timeout", "0.1"))
    check("no time to ask: exit 2, and it is the time that is blamed", code == 2 and "a longer --timeout" in log, said + log)
    picky = start("alice2", "punch", "--name", "alice2", "--from", "carol")
    line(picky, "waiting for carol, which connects by: punch --name carol --peer alice2")
    code, said, log = end(start("alice", "punch", "--name", "alice", "--peer", "alice2", "--json", "--timeout", "2"))
    check("a peer that waits for another: exit 1, PEER_BUSY", code == 1 and json.loads(said)["cause"]["code"] == "PEER_BUSY", said + log)
    check("and it goes on waiting", picky.poll() is None)
    picky.terminate()
    end(picky)
    code, said, log = end(start("alice", "punch", "--name", "alice", "--json", "--timeout", "1"))
    check("nobody comes: exit 1, NOBODY_ASKED", code == 1 and json.loads(said)["cause"]["code"] == "NOBODY_ASKED", said + log)
    code, said, log = end(start("alice", "punch", "--name", "alice", "--timeout", "1"))
    check("and as a sentence", code == 1 and "nobody asked for alice" in said, said + log)
    os.kill(mute.pid, signal.SIGCONT)
    mute.terminate()
    end(mute)


def far():
    """A rendezvous that answers after 0.4 s, and less time than two round trips."""
    gate, inside, waiting, senders = Udp("server", S1, 9010), Udp("server", S2), [], {}
    asks = start("alice", "punch", "--server", f"{S1}:9010", "--name", "alice", "--peer", "bob", "--timeout", "0.3")
    until = time.monotonic() + 60
    while asks.poll() is None and time.monotonic() < until:
        for readable in select.select([gate.socket, inside.socket], [], [], 0.01)[0]:
            said, sender = readable.recvfrom(2000)
            if readable is gate.socket:
                senders[said[8:20]] = sender
                inside.socket.sendto(said, (S1, int(PORT)))
            else:
                waiting.append((time.monotonic() + 0.4, said))
        while waiting and waiting[0][0] < time.monotonic():
            said = waiting.pop(0)[1]
            gate.socket.sendto(said, senders[said[8:20]])
    code, said, log = end(asks)
    check("no time for two round trips: exit 2, and it is the time that is blamed", code == 2 and "a longer --timeout" in log, said + log)


def this_host():
    """0.0.0.0 is this host to chat, as docs/how-to/chat.md says."""
    server = start("alice", "rendezvous", "--port", "9000")
    assert line(server, "", of="stdout"), "no rendezvous on alice"
    for words in (("--server", "0.0.0.0:9000"), ("--sip", "0.0.0.0", "--sport", "9000"), ("--sport", "9000")):
        talks = start("alice", "chat", "--name", "alice", "--stay", *words, stdin=subprocess.DEVNULL)
        check(f"chat {' '.join(words)} asks this host", line(talks, "seen at 127.0.0.1") is not None)
        talks.terminate()
        end(talks)
    server.terminate()
    end(server)


if __name__ == "__main__":
    globals()[sys.argv[1]]()
    done()
