"""Strangers call bob's chat twenty times a second; alice, whom bob knows, does not notice."""

import itertools
import os
import subprocess
import threading
import time

from nodes import S1, check, done, enter
from chats import HOMES, Chat

THREADS, NAMES, SECONDS = 8, 5, 25
BOB = f"{S1.rsplit('.', 1)[0]}.33"
calls, stop = [], threading.Event()


def stranger(number):
    """Names that call bob again and again. What bob then sends them does not arrive, so each attempt takes its time."""
    for turn in itertools.count():
        if stop.is_set():
            return
        name = f"stranger{number}-{turn % NAMES}"
        subprocess.run(
            ["ip", "netns", "exec", "alice2", "punch", "--name", name, "--peer", "bob", "--timeout", "0.3",
             "--quick", "--no-measure", "--no-port-mapping"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=20,
            env=os.environ | {"PINHOLE_HOME": os.path.join(HOMES, "strangers")})
        calls.append(name)


def hello(n):
    """alice says something, and leaves: exit code, and seconds."""
    alice = Chat("alice", "alice", "--peer", "bob", "--timeout", "12", stay=False)
    start = time.monotonic()
    alice.type(f"hello {n}")
    code = alice.end()
    return code, time.monotonic() - start, alice


enter("alice2")
subprocess.run(["nft", "-f", "-"], check=True, text=True, input=(
    f"table ip deaf {{\n chain input {{\n type filter hook input priority 0\n ip saddr {BOB} drop\n }}\n"
    f" chain output {{\n type filter hook output priority 0\n ip daddr {BOB} drop\n }}\n}}\n"))
bob = Chat("bob", "bob")
bob.wait("registered")
code, quiet, alice = hello(0)
check("without strangers alice reaches bob", code == 0, alice.events)

began = time.monotonic()
threads = [threading.Thread(target=stranger, args=(n,), daemon=True) for n in range(THREADS)]
for thread in threads:
    thread.start()
while len(calls) < THREADS * NAMES and time.monotonic() < began + 20:
    time.sleep(0.05)
check("strangers call", len(calls) >= THREADS * NAMES, calls)
took = []
while time.monotonic() < began + SECONDS and len(took) < 5:
    code, seconds, alice = hello(len(took) + 1)
    took.append(seconds)
    check(f"beside strangers alice reaches bob, {len(took)}", code == 0, (code, seconds, alice.events))
    check("and bob has it", bob.wait("message", text=f"hello {len(took)}"))
a_second = len(calls) / (time.monotonic() - began)
stop.set()
for thread in threads:
    thread.join(20)
print(f"      quiet {quiet:.2f} s, beside {a_second:.0f} calls a second {', '.join(f'{s:.2f}' for s in took)} s")
check("alice was tried five times", len(took) == 5, took)
done()
