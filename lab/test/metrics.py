"""What --metrics serves: counters that follow what clients do, health, and nothing to strangers."""

import json
import os
import re
import socket
import struct

from nodes import S1, check, done, enter, until
from chats import Chat
from peers import end, start


def http(port, request):
    """The whole answer, or an empty one where nobody listens."""
    enter("server")
    said = b""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
            client.sendall(request.encode())
            while part := client.recv(65536):
                said += part
    except ConnectionError:
        pass
    return said.decode()


def get(path, port=9110):
    head, _, body = http(port, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").partition("\r\n\r\n")
    return head.split("\r\n")[0], body


def ask(ip, port, times):
    """Binding requests, one after the other."""
    enter("server")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(30)
        for _ in range(times):
            client.sendto(struct.pack("!HHI12s", 1, 0, 0x2112A442, os.urandom(12)), (ip, port))
            client.recv(1000)


def metric(name):
    found = re.search(rf"^rendezvous_{re.escape(name)} (\S+)$", get("/metrics")[1], re.M)
    return found and float(found[1])


# systemd, as far as the server sees it
enter("server")
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.settimeout(30)
manager.bind("\0pinhole-manager")
os.environ["NOTIFY_SOCKET"] = "@pinhole-manager"
server = start("server", "rendezvous", "--ip", S1, "--port", "9000", "--state", "/run/pinhole/names", "--relay", "--metrics", "9110")
server.stdout.readline()
del os.environ["NOTIFY_SOCKET"]
check("the service manager is told when it listens", manager.recv(100) == b"READY=1")
check("it is healthy", get("/healthz") == ("HTTP/1.1 200 OK", "ok\n"))
check("and ready", get("/readyz") == ("HTTP/1.1 200 OK", "ready\n"))
check("another path is 404", get("/")[0].startswith("HTTP/1.1 404"))
check("another method is 405", http(9110, "POST /metrics HTTP/1.1\r\n\r\n").startswith("HTTP/1.1 405"))
check("what is not HTTP is 400", http(9110, "hello\r\n\r\n").startswith("HTTP/1.1 400"))
check("a head without end is 400", http(9110, "GET /metrics HTTP/1.1\r\n" + "x" * 9000).startswith("HTTP/1.1 400"))
check("nobody is registered", metric("names") == 0 and metric("registrations_total") == 0)
alice = Chat("alice", "alice", "--server", f"{S1}:9000")
check("alice registers", alice.wait("registered"), alice.errors)
check("and is counted", until(lambda: metric("names") == 1 and metric("registrations_total") >= 1))
text = get("/metrics")[1]
for path in ("/metrics", "/healthz"):
    check(f"no name and no address of hers is in {path}", not re.search(r"alice|\d+\.\d+\.\d+\.\d+", get(path)[1]))
buckets = [int(n) for n in re.findall(r'^rendezvous_datagram_seconds_bucket\{le="[^"]*"\} (\d+)$', text, re.M)]
count = int(re.search(r"^rendezvous_datagram_seconds_count (\d+)$", text, re.M)[1])
check("the histogram's buckets grow up to its count", buckets == sorted(buckets) and buckets[-1] == count > 0, text)
ask(S1, 9000, 7)
check("and it counts every datagram", until(lambda: metric("datagram_seconds_count") >= count + 7))
with open(os.path.join(os.path.dirname(__file__), "../../packaging/rendezvous-dashboard.json")) as file:
    used = set(re.findall(r"rendezvous_\w+", json.dumps(json.load(file)["panels"])))
known = set(re.findall(r"^(rendezvous_\w+)", text, re.M))
check("the dashboard uses metrics that are there", used and used <= known, used - known)
enter("alice")
try:
    socket.create_connection((S1, 9110), timeout=5).close()
    reached = True
except OSError:
    reached = False
check("nobody else reaches it", not reached)
alice.process.terminate()
alice.code()
server.terminate()
check("and when it ends", manager.recv(100) == b"STOPPING=1")
code, _, log = end(server)
check("it ends with 0", code == 0, log)
again = start("server", "rendezvous", "--ip", S1, "--port", "9000", "--state", "/run/pinhole/names")
again.stdout.readline()
second = start("server", "rendezvous", "--ip", S1, "--port", "9002", "--state", "/run/pinhole/names")
code, _, log = end(second)
check("two servers do not share a --state file: exit 2, and why", code == 2 and "another process has it open" in log, log)
thief = Chat("bob", "alice", "--server", f"{S1}:9000", home="/run/pinhole/thief")
check("after a restart, alice's name is refused to another key", thief.code() == 2 and any(b"taken" in line for line in thief.errors), thief.errors)
check("without --metrics nobody listens", http(9110, "GET /healthz HTTP/1.1\r\n\r\n") == "")
again.terminate()
end(again)
with open("/run/pinhole/names", "r+b") as file:
    file.write(b"not this file")
code, _, log = end(start("server", "rendezvous", "--ip", S1, "--port", "9000", "--state", "/run/pinhole/names"))
check("a damaged file is refused: exit 2, and what to do", code == 2 and "damaged" in log and "Put a copy" in log, log)
done()
