"""rendezvous status: what the table and the JSON say of a server, who may ask, and that the terminal's table follows."""

import json
import os
import pty
import re
import signal
import stat
import subprocess
import threading

from chats import Chat
from nodes import S1, check, done, line, until
from peers import end, start
from schemas import wrong

HERE = "/run/pinhole/status"
SOCKET = f"{HERE}/socket"
os.makedirs(HERE, exist_ok=True)


def serve(*more):
    process = start("server", "rendezvous", "--ip", S1, "--port", "9000", "--relay", "--key", f"{HERE}/key", *more)
    assert line(process, "listening on", of="stdout")
    return process


def status(*more):
    return end(start("server", "rendezvous", "status", "--status", SOCKET, *more))


def report():
    code, said, log = status("--json")
    value = json.loads(said) if code == 0 else {}
    check("status --json is as rendezvous-status.json describes it", code == 0 and not wrong("rendezvous-status", value), wrong("rendezvous-status", value) or log)
    return value


code, _, log = status()
check("without a server: exit 2, and what to do", code == 2 and "no rendezvous answers" in log and "--status" in log, log)
server = serve("--status", SOCKET)
check("its socket is its user's alone", stat.S_IMODE(os.stat(SOCKET).st_mode) == 0o600, oct(os.stat(SOCKET).st_mode))
first = report()
check("nobody is registered", first["names"] == first["stats"]["registrations"] == first["relay"]["in_use"] == 0, first)
code, said, log = status()
check("the table is printed once where there is no terminal", code == 0 and re.search(r"^names +0$", said, re.M) and "\x1b" not in said, said + log)

terminal, end_of_it = pty.openpty()
view = subprocess.Popen(("ip", "netns", "exec", "server", "rendezvous", "status", "--status", SOCKET), stdin=end_of_it, stdout=end_of_it, stderr=end_of_it)
os.close(end_of_it)
seen = []


def read():
    try:
        while part := os.read(terminal, 65536):
            seen.append(part.decode())
    except OSError:
        pass


reader = threading.Thread(target=read, daemon=True)
reader.start()


def screen():
    """What is drawn last."""
    return "".join(seen).split("\x1b[H\x1b[J")[-1]


check("on a terminal, nobody is registered", until(lambda: re.search(r"^names +0\r$", screen(), re.M)), screen())
alice = Chat("alice", "alice", "--server", f"{S1}:9000")
check("alice registers", alice.wait("registered"), alice.errors)
check("the table on the terminal follows", until(lambda: re.search(r"^names +1\r$", screen(), re.M)), screen())
check("with the requests of the last second", until(lambda: re.search(r"^registrations and refreshes +\d+\.\d +\d+\r$", screen(), re.M)), screen())
now = report()
check("and so does the JSON", now["names"] == 1 and now["stats"]["registrations"] >= 1 and now["uptime_s"] > first["uptime_s"], now)
count = sum(count for _, count in now["latency"]["buckets"]) + now["latency"]["above"]
check("each datagram is in a bucket", count >= now["stats"]["registrations"], now["latency"])
check("no name and no address of hers is in it", not re.search(r"alice|192\.168|203\.0\.113\.17", json.dumps(now)), now)
second = start("server", "rendezvous", "--ip", S1, "--port", "9002", "--key", f"{HERE}/key", "--status", SOCKET)
code, _, log = end(second)
check("two servers do not share a socket: exit 2", code == 2 and "cannot listen on --status" in log, log)
view.send_signal(signal.SIGINT)
check("Ctrl-C ends it", view.wait(30) is not None)
alice.process.terminate()
alice.code()

server.kill()
server.wait()
check("a server that is killed leaves its socket", os.path.exists(SOCKET))
server = serve("--status", SOCKET)
check("and the next one takes it over", report()["names"] == 0)
server.terminate()
code, _, log = end(server)
check("it ends with 0, and takes the socket away", code == 0 and not os.path.exists(SOCKET), log)

os.environ["RUNTIME_DIRECTORY"] = HERE
server = serve()
check("without --status it is in the runtime directory", stat.S_ISSOCK(os.stat(f"{HERE}/status").st_mode))
code, said, log = end(start("server", "rendezvous", "status"))
check("where it is found", code == 0 and "names" in said, said + log)
server.terminate()
check("it ends with 0", end(server)[0] == 0)
done()
