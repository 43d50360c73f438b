"""chat on a pseudo-terminal, as a person sees it. Import after nodes."""

import os
import pty
import select
import subprocess
import termios
import time

from chats import HOMES


class Terminal:
    """chat on a terminal of its own."""

    def __init__(self, node, *args, env=(), folder=None):
        self.near, far = pty.openpty()
        termios.tcsetwinsize(far, (40, 120))
        self.far = far
        self.before = termios.tcgetattr(far)
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", node, "chat", *args],
            stdin=far,
            stdout=far,
            stderr=far,
            start_new_session=True,
            cwd=folder,
            env={k: v for k, v in os.environ.items() if k not in ("PINHOLE_SERVER", "PINHOLE_NAME")}
            | {"TERM": "xterm", "PINHOLE_HOME": os.path.join(HOMES, "terminal")} | dict(env),
        )
        self.seen = self.all = ""

    def type(self, text):
        os.write(self.near, text.encode())

    def sees(self, text, deadline=10):
        """Whether this appears from now on; what came before it is taken."""
        end = time.monotonic() + deadline
        while text not in self.seen:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.near], [], [], left)[0]:
                return False
            read = os.read(self.near, 65536).decode(errors="replace")
            self.seen += read
            self.all += read
        self.taken, self.seen = self.seen.split(text, 1)
        return True
