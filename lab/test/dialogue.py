"""A dialogue of a page, held through a pseudo-terminal."""

import os
import pty
import re
import select
import signal
import subprocess
import time

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]")

CLOCK = re.compile(r"^\d\d:\d\d ")
TYPED = re.compile(r"→ \w+: (.*?) ✓.*|> (.*)")  # a message, and a command


def hold(page, lines, how, shape):
    """Types what the page shows as typed, and waits for what it shows in between; what is wrong, or "".

    Each line begins with a time. A line that is indented continues the one before it. The peer types its lines when
    it sees their cue."""
    shown = []
    for line in lines:
        if line.startswith("  ") and shown:
            shown[-1] += " " + line.strip()
        else:
            shown.append(line)
    peer = page.start(how["peer-node"], how["peer"], stdin=subprocess.PIPE)
    near, far = pty.openpty()
    subprocess.run(["stty", "-F", os.ttyname(far), "cols", "300", "rows", "50"], check=True)
    chat = page.start(how["node"], how["command"], stdin=far, stdout=far, stderr=far)
    seen, taken, cues = "", 0, [list(cue) for cue in how["cues"]]

    def sees(pattern):
        """Whether this comes after what was taken."""
        nonlocal seen, taken
        end = time.monotonic() + 20
        while not (found := re.compile(pattern).search("\n".join(map(shape, seen.split("\n"))), taken)):
            left = end - time.monotonic()
            if left <= 0 or not select.select([near], [], [], left)[0]:
                return False
            seen += ESCAPES.sub("", os.read(near, 65536).decode(errors="replace")).replace("\r", "\n")
            while cues and cues[0][0] in seen:
                peer.stdin.write(cues.pop(0)[1].encode() + b"\n")
                peer.stdin.flush()
        taken = found.end()
        return True

    try:
        for line in shown:
            line = CLOCK.sub("", line)
            if typed := TYPED.fullmatch(line):
                text, command = typed.groups()
                os.write(near, (text or command).encode() + b"\r")
                if text and not sees(re.escape(text) + " ✓"):
                    return f"{text!r} does not arrive: {seen[-500:]!r}"
            elif not sees(re.escape(shape(line)).replace("…", ".*").replace(r"\ ", r"\s+")):
                return f"no {line!r} in {seen[-500:]!r}"
        chat.wait(10)
        return ""
    finally:
        for process in (chat, peer):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
