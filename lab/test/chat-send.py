"""Files for whoever has the code: a file, a folder, a wrong code, interruptions; argv: megabytes, kind of path."""

import hashlib
import os
import signal
import subprocess
import sys

from nodes import check, done, slow
from handover import HOMES, Side, receive, send, wrong

size = int(float(sys.argv[1]) * 1024 * 1024)
how = sys.argv[2]


def made(name, content):
    path = os.path.join(HOMES, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)
    return path


def content(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def files(folder):
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            found[os.path.relpath(path, folder)] = content(path)
    return found


def progress(side, least):
    while told := side.wait("progress", 30):
        if told["bytes"] >= least:
            return told["bytes"]
    return 0


big = made("big file.bin", os.urandom(size))
inbox = os.path.join(HOMES, "in")

# One file.
sender, code = send(big)
receiver = receive(code, inbox)
check("a file arrives", receiver.code() == 0, receiver)
check("its sender ends", sender.code() == 0, sender)
check("whole, under its name", files(inbox) == {"big file.bin": content(big)}, os.listdir(inbox))
ways = {told["how"] for side in (sender, receiver) for told in side.told("proven")}
check(f"over a path that both know: {how}", how in ways, ways)

# Once more: it is there already.
sender, code = send(big)
receiver = receive(code, inbox)
check("a file that is there is not doubled", receiver.code() == 0 and sender.code() == 0, f"{receiver} {sender}")
check("it stays as it was", files(inbox) == {"big file.bin": content(big)}, os.listdir(inbox))

# Another one of the same name and size.
other = made("other/big file.bin", os.urandom(size))
sender, code = send(other)
receiver = receive(code, inbox)
check("another file of that name arrives", receiver.code() == 0 and sender.code() == 0, f"{receiver} {sender}")
both = {"big file.bin": content(big), "big file (1).bin": content(other)}
check("beside the first, which is not overwritten", files(inbox) == both, files(inbox))

# A folder, with names that mean harm; and an empty file.
for n in range(40):
    made(f"photos/sea {n % 3}/{n}.jpg", os.urandom(1000 * n))
made("photos/.hidden", b"hidden")
made("photos/-rf", b"")
os.symlink("/etc/passwd", os.path.join(HOMES, "photos/link"))
sender, code = send(os.path.join(HOMES, "photos"), big)
receiver = receive(code, inbox + "2")
check("a folder and a file arrive", receiver.code() == 0 and sender.code() == 0, f"{receiver} {sender}")
expected = {f"photos/{name}": digest for name, digest in files(os.path.join(HOMES, "photos")).items()}
expected.pop("photos/link")
expected["big file.bin"] = content(big)
check("as they were, without the symbolic link", files(inbox + "2") == expected, files(inbox + "2"))
check("the link is named", sender.told("left_out"), sender)

# A wrong code: the sender says nothing, and ends.
sender, code = send(big)
receiver = receive(wrong(code), inbox + "3")
check("a wrong code ends the receiver with 1", receiver.code() == 1, receiver)
check("and the sender: one guess is all", sender.code() == 1, sender)
told = receiver.told("ended")
check("who is told why", told and "the code is wrong" in told[0]["why"], receiver)
check("no name of a file was told", not receiver.told("parcel"), receiver)
check("and nothing was written", not os.path.exists(inbox + "3") or not os.listdir(inbox + "3"))

# A code that is in use, and one that nobody waits with.
sender, code = send(big)
second = Side("alice2", "send", big, "--code", code)
check("a code that is in use is refused with 2", second.code() == 2, second)
nobody = receive("123456-croissant-lavender", inbox + "3", args=["--timeout", "2"])
check("who calls nobody ends with 1", nobody.code() == 1, nobody)
check("and was told what to look at", nobody.told("nobody"), nobody)

# The sender leaves before anybody comes.
sender.process.send_signal(signal.SIGINT)
check("an interrupted sender ends with 1", sender.code() == 1, sender)
late = receive(code, inbox + "3", args=["--timeout", "2"])
check("who comes later finds nobody", late.code() == 1, late)

# The receiver is interrupted, and goes on with the same command.
slow(size, 4)
for interrupt in (signal.SIGINT, signal.SIGKILL):
    folder = f"{inbox}-{interrupt}"
    sender, code = send(big)
    receiver = receive(code, folder)
    had = progress(receiver, size // 4)
    receiver.process.send_signal(interrupt)
    receiver.code()
    kept = sum(os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder))
    receiver = receive(code, folder)
    resumed = receiver.wait("progress", 60)
    check(f"after {interrupt.name} it goes on", receiver.code() == 0 and sender.code() == 0, f"{receiver} {sender}")
    check("from what was there", 0 < kept <= (resumed or {}).get("bytes", 0), f"{had} {kept} {resumed}")
    check("and arrives whole", files(folder) == {"big file.bin": content(big)}, os.listdir(folder))

# The sender dies, and sends again with the same code.
folder = inbox + "7"
sender, code = send(big)
receiver = receive(code, folder)
progress(receiver, size // 4)
sender.kill()
sender = Side("alice", "send", big, "--code", code)
check("after a new start of the sender it goes on", receiver.code() == 0 and sender.code() == 0, f"{receiver} {sender}")
check("and arrives whole", files(folder) == {"big file.bin": content(big)}, os.listdir(folder))

# A disk that has no room for it.
subprocess.check_call(["mount", "--mkdir", "-t", "tmpfs", "-o", f"size={size // 2}", "tmpfs", inbox + "6"])
sender, code = send(big)
receiver = receive(code, inbox + "6")
check("a full disk ends the receiver with 1", receiver.code() == 1, receiver)
told = receiver.told("file_ended")
check("who is told so", told and "MiB free" in told[0]["why"], receiver)
check("and the sender", sender.code() == 1 and sender.told("file_ended"), sender)
subprocess.check_call(["umount", inbox + "6"])

# Somebody else with the code cannot take the place of the receiver that was interrupted.
sender, code = send(big, args=["--wait", "60"])
receiver = receive(code, inbox + "4")
progress(receiver, size // 4)
receiver.process.send_signal(signal.SIGINT)
check("the sender waits for its receiver", receiver.code() == 1 and sender.wait("interrupted"), sender)
thief = receive(code, inbox + "5", node="alice2")
check("another one with the code gets nothing", thief.code() == 1 and not thief.told("parcel"), thief)
receiver = receive(code, inbox + "4")
check("and the receiver still gets all", receiver.code() == 0 and sender.code() == 0, f"{receiver} {sender}")
done()
