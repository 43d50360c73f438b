"""What the tools print with --json, in every mode, against docs/schemas; argv: which story."""

import json
import os
import queue
import subprocess
import sys
import threading

from chats import HOMES, Chat, reboot
from nodes import S1, S2, check, done
from peers import end, line, meet, start
from schemas import wrong
from stay import Watch

HERE = os.path.join(HOMES, "reports")
os.makedirs(HERE, exist_ok=True)


def as_described(what, schema, text, code=None, wanted=0):
    """Each line of the text is as the schema says; the values."""
    values = [json.loads(line) for line in text.splitlines()]
    reasons = [reason for value in values if (reason := wrong(schema, value))]
    good = values and not reasons and code in (None, wanted)
    check(f"{what} is as {schema}.json describes it", good, reasons or f"exit {code}, {len(values)} lines")
    return values


def run(node, *words):
    """Its exit code and its output."""
    code, said, _ = end(start(node, *words))
    return code, said


def natprobe():
    plain = ["natprobe", "--json"]
    for what, node, words, wanted in [
        ("natprobe", "alice", [], 0),
        ("natprobe at a symmetric NAT", "bob", ["--rfc4787"], 0),
        ("natprobe with all tests", "alice", ["--hairpin", "--lifetime", "1", "--path", "--port-mapping", "--runs", "2", "--rfc4787"], 0),
        ("natprobe without a server", "alice", ["--server", f"{S1}:9", "--timeout", "100"], 2),
        ("natprobe on the server itself", "server", ["--server", S2], 0),
    ]:
        code, said = run(node, *plain, *words)
        as_described(what, "natprobe", said, code, wanted)
    both = [os.path.join(HERE, f"{name}.json") for name in ("alice", "bob")]
    for file, node in zip(both, ("alice", "bob")):
        with open(file, "w") as out:
            out.write(run(node, *plain)[1])
    code, said = run("alice", *plain, "--against", both[1])
    got, = as_described("natprobe --against", "natprobe", said, code)
    code, said = run("alice", "punch", "--plan", *both, "--json")
    plan, = as_described("punch --plan with guesses", "punch-plan", said, code)
    check("and both have the same odds", got["against"]["odds"] == plan["odds"] > 0.9, (got["against"], plan))
    code, said = run("alice", "punch", "--plan", both[0], both[0], "--json")
    plan, = as_described("punch --plan without guesses", "punch-plan", said, code)
    code, said = run("alice", *plain, "--against", both[0])
    got, = as_described("natprobe --against without guesses", "natprobe", said, code)
    check("and odds are null where nothing is guessed", got["against"]["odds"] is plan["odds"] is None, (got["against"], plan))
    watch = start("alice", *plain, "--watch", "1")
    reader = Lines(watch)
    as_described("natprobe --watch", "natprobe", reader.next())
    unplug("alice")
    as_described("natprobe --watch without a network", "natprobe", reader.next())
    watch.kill()
    watch.wait()


class Lines:
    """What a process prints, line by line, each within a deadline."""

    def __init__(self, process):
        self.lines = queue.Queue()
        threading.Thread(target=lambda: [self.lines.put(line) for line in process.stdout], daemon=True).start()

    def next(self):
        try:
            return self.lines.get(timeout=60)
        except queue.Empty:
            return ""


def unplug(node):
    subprocess.run(["ip", "netns", "exec", node, "ip", "route", "del", "default"], check=True)


def punch():
    for what, options in [("", []), (" --trace", ["--trace"]), (" --share", ["--share"]), (" --relay-only", ["--relay-only"]), (" --tcp", ["--tcp"]),
                          (" --direct-only with guesses", ["--direct-only", "--budget", "4000", "--max-pps", "4000", "--yes"])]:
        one, other = meet_text("alice", "bob", *options)
        as_described(f"punch{what}", "punch", one)
        as_described(f"punch{what}, the callee", "punch", other)
    trace = os.path.join(HERE, "trace.json")
    waits = start("bob", "punch", "--name", "bob", "--from", "alice")
    line(waits, "registered as")
    run("alice", "punch", "--name", "alice", "--peer", "bob", "--trace", trace)
    end(waits)
    with open(trace) as file:
        as_described("punch --trace FILE.json", "trace", file.read())
    code, said = run("alice", "punch", "--json", "--name", "alice", "--peer", "nobody")
    as_described("punch, of a peer that is not there", "punch", said, code, 1)
    code, said = run("alice", "punch", "--json", "--name", "alice", "--timeout", "1")
    as_described("punch, that nobody calls", "punch", said, code, 1)
    code, said = run("alice", "punch", "--json", "--trace", "--name", "alice", "--peer", "bob", "--timeout", "1")
    as_described("punch --trace of a failure", "punch", said, code, 1)


def meet_text(caller, target, *options):
    """What both print."""
    waits = start(target, "punch", "--name", target, "--from", caller, "--json", "--timeout", "20", *options)
    line(waits, "registered as")
    said = end(start(caller, "punch", "--name", caller, "--peer", target, "--json", "--timeout", "20", *options))[1]
    return said, end(waits)[1]


def watched():
    bob = Watch("bob", "--from", "alice")
    line(bob.process, "registered as")
    bob.follow()
    alice = Watch("alice", "--peer", "bob").follow()
    events = [alice.until("connected"), bob.until("connected")]
    reboot("nat-bob")
    events += [alice.until("lost"), alice.until("connected")]
    check("there was an event of each kind", all(events), events)
    report = alice.stop()[1]
    bob.stop()
    as_described("punch --watch", "punch", "\n".join(map(json.dumps, [*filter(None, events), report])))


def others():
    run("alice", "natprobe")
    for what, words in [("nattrace table", []), ("nattrace table --node", ["--node", "nat-alice"]), ("nattrace of no table", ["--table", "none"])]:
        code, said = run("nat-alice", "nattrace", "table", "--json", *words)
        as_described(what, "nattrace-table", said, code, int("none" in words))
    code, said = run("core", "natlink", "show", "--json")
    as_described("natlink show", "natlink-show", said, code)
    code, said = run("core", "natlink", "presets", "--json")
    as_described("natlink presets", "natlink-presets", said, code)
    subprocess.run(["ip", "netns", "exec", "alice", "ping", "-c3", "-i0.01", "-W1", "-q", S1], stdout=subprocess.DEVNULL)
    with open("/run/dropped-frames.json") as file:
        as_described("a frame that natlink dropped", "natlink-drop", file.read())


def server():
    """A rendezvous of our own, with a relay, a name that is taken over, and a caller of nobody."""
    process = start("server", "rendezvous", "--json", "--ip", S1, "--port", "9000")
    listening = process.stdout.readline()
    as_described("the first line of rendezvous", "rendezvous", listening)
    address = f"{S1}:9000"
    one, two = Chat("alice", "anna", "--server", address), Chat("bob", "ben", "--server", address)
    for chat in (one, two):
        check("a chat is registered", chat.wait("registered"))
    one.type("/connect ben")
    check("and they are connected", one.wait("connected", peer="ben"))
    with open(os.path.join(HERE, "file.bin"), "wb") as file:
        file.write(bytes(100_000))
    for words in ("hello", "/path", "/peers", "/who", "/help", "/verify ben", "/nonsense", "/send " + os.path.join(HERE, "file.bin")):
        one.type(words)
    check("ben is offered a file", two.wait("offered"))
    two.type("/accept", "/reject nobody")
    check("and it arrives", one.wait("sent"))
    one.type("/room tea ben", "hello all")
    two.wait("room_invited")
    two.type("/room tea", "/room")
    check("a line in a room arrives", two.wait("room_message") and one.wait("room_delivered"))
    two.type("/leave")
    check("ben leaves the room", one.wait("room_left"))
    one.type("/quit")
    two.wait("left")
    two.type("/quit")
    events = []
    for chat in (one, two):
        chat.process.wait(timeout=60)
        while (event := chat.queue.get(timeout=60)) is not None:
            chat.events.append(event)
        events += chat.events
    kinds = {event["event"] for event in events}
    wanted = {"message", "delivered", "registered", "connected", "paths", "peers", "who", "help", "problem", "offered", "sent", "received",
              "room", "room_entered", "room_ended", "room_invited", "room_joined", "room_left", "room_message", "room_delivered"}
    check("the chats have said what they can say", wanted <= kinds, sorted(wanted - kinds))
    as_described("what chat says", "chat", "\n".join(map(json.dumps, events)))
    check("the first line of a chat says which version it is", one.events[0].get("schema") == 1, one.events[0])
    process.terminate()
    code, _, log = end(process)
    logged = as_described("the log of rendezvous", "rendezvous", "\n".join(l for l in log.splitlines() if l.startswith("{")))
    kinds = {event["event"] for event in logged}
    check("it has a line for each kind of event", {"registered", "introduced", "unregistered", "ended"} <= kinds, kinds)


if __name__ == "__main__":
    {"natprobe": natprobe, "punch": punch, "watch": watched, "others": others, "server": server}[sys.argv[1]]()
    done()
