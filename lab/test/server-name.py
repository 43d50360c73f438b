"""A server's name with several addresses, and one that leads elsewhere later."""

import os
import subprocess
import threading

from nodes import S1, check, done

BIN = os.environ["PINHOLE_BIN"]
NOBODY = "203.0.113.99"
PORT = os.environ["PINHOLE_PORT"]
HOSTS = "/etc/netns/alice/hosts"


def name(name, *addresses):
    """In place: alice's namespace has this very file mounted."""
    with open(HOSTS) as file:
        others = [line for line in file if not line.rstrip().endswith(name)]
    with open(HOSTS, "w") as file:
        file.writelines([*others, *(f"{address} {name}\n" for address in addresses)])


def alice(*command, **options):
    return subprocess.Popen(["ip", "netns", "exec", "alice", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def first_line(process, word):
    """The first line of stderr that has the word, within a minute."""
    timer = threading.Timer(60, process.kill)
    timer.start()
    lines = []
    for line in process.stderr:
        lines.append(line)
        if word in line:
            break
    timer.cancel()
    return lines


name("several", NOBODY, S1)
process = alice(f"{BIN}/punch", "--server", f"several:{PORT}", "--name", "alice", "--no-measure")
said = first_line(process, "registered")
check("a dead first address of a server's name is passed over", any("registered as alice" in line for line in said), said)
process.terminate()
process.wait()

name("moving", NOBODY)
process = alice(f"{BIN}/punch", "--server", f"moving:{PORT}", "--name", "alice", "--no-measure", "--trust-server")
first_line(process, "punch:")
name("moving", S1)
said = first_line(process, "registered")
check("a silent server's name is looked up again", any("registered as alice" in line for line in said), said)
process.terminate()
process.wait()

name("moving", NOBODY)
process = alice(f"{BIN}/chat", "--server", f"moving:{PORT}", "--name", "alice", "--trust-server", stdin=subprocess.PIPE)
name("moving", S1)
said = first_line(process, "registered as")
check("by chat as well", any("registered as" in line for line in said), said)
process.terminate()
process.wait()
done()
