"""A rendezvous with --config: what the file means, what is refused, what SIGHUP brings, and what the log has of clients."""

import os
import re
import signal
import socket
import struct
import subprocess

from chats import Chat
from nodes import S1, check, done, enter, line, until
from peers import end, start

HERE = "/run/pinhole/configuration"
FILE, LOG, KEY = f"{HERE}/rendezvous.toml", f"{HERE}/log", f"{HERE}/key"
os.makedirs(HERE, exist_ok=True)


def write(text):
    with open(FILE, "w") as file:
        file.write(text)


def logged(pattern):
    with open(LOG) as file:
        return re.search(pattern, file.read())


def checked():
    return end(start("server", "rendezvous", "--config", FILE, "--check-config"))


def metric(name):
    enter("server")
    with socket.create_connection(("127.0.0.1", 9110), timeout=30) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        said = b"".join(iter(lambda: client.recv(65536), b"")).decode()
    return int(re.search(rf"^rendezvous_{re.escape(name)} (\d+)$", said, re.M)[1])


def handled():
    """Binding requests that were answered, and those that were over the rate."""
    return metric("bindings_total"), metric('dropped_total{reason="over_rate"}')


def answers(requests=40):
    """How many of these Binding requests, sent at once, are answered."""
    before = handled()
    enter("server")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for _ in range(requests):
            client.sendto(struct.pack("!HHI12s", 1, 0, 0x2112A442, os.urandom(12)), (S1, 9000))
        check("each is answered or over the rate", until(lambda: sum(handled()) >= sum(before) + requests), (before, handled()))
    return handled()[0] - before[0]


def serve(*more):
    """One that runs with the file; it is at the place of the last one."""
    log = open(LOG, "w")
    process = subprocess.Popen(
        ("ip", "netns", "exec", "server", "rendezvous", "--config", FILE, *more), stdout=subprocess.PIPE, stderr=log, text=True)
    assert line(process, "listening on", of="stdout")
    return process


GOOD = f'ip = "{S1}"\nport = 9000\nkey = "{KEY}"\nmetrics = 9110\nrate = 5000\n'
write(GOOD + "relay = true\n")
code, said, log = checked()
check("--check-config of a good file: exit 0", code == 0, log)
check("it says what would run", f'ip = "{S1}"' in said and "rate = 5000" in said and "relay-total = 512" in said, said)
check("and makes no key", not os.path.exists(KEY))
write(said)
check("what it prints is such a file again", checked()[:2] == (0, said), checked())
write(GOOD + "max-nmes = 5\n")
code, said, log = checked()
wanted = "line 6: there is no option max-nmes. Did you mean max-names?"
check("--check-config of a bad file: exit 1, the line, and the option that is meant", code == 1 and wanted in log and not said, log)
code, said, log = end(start("server", "rendezvous", "--config", FILE))
check("which does not run: exit 2", code == 2 and wanted in log, log)
write(GOOD + f'reserve = "{HERE}/none"\n')
code, _, log = checked()
check("--check-config reads the files that it names", code == 1 and "--reserve" in log, log)

write("relay = true\n")
code, _, log = checked()
check("a relay without an address for its clients: exit 1, and what to give", code == 1 and "--relay-ip" in log, log)
write(GOOD + "relay-total = 5\n")
code, _, log = checked()
check("an option of the relay without a relay: exit 1", code == 1 and "--relay" in log, log)

write(GOOD)
server = serve("--max-names", "7")
check("it runs with the file: all requests within the rate are answered", answers() == 40)
alice = Chat("alice", "alice", "--server", f"{S1}:9000")
check("alice registers", alice.wait("registered"), alice.errors)
check("the log has her name", until(lambda: logged("alice registered, key")))
check("and no address", not logged(r"alice.*\d+\.\d+\.\d+\.\d+"))
write(GOOD.replace("rate = 5000", "rate = 10").replace("port = 9000", "port = 9002") + "max-names = 3\n")
server.send_signal(signal.SIGHUP)
check("SIGHUP: the log names what has changed, and what will", until(lambda: logged("changed: --rate; changes at the next start only: --port")))
check("but nothing that is typed", not logged("changed.*--max-names"))
count = answers()
check("the new rate counts", 0 < count <= 10, count)
write("rte = 10\n")
server.send_signal(signal.SIGHUP)
check("SIGHUP with a bad file: the log says why", until(lambda: logged("stays in use.*line 1: there is no option rte")))
check("and it goes on", until(lambda: answers() > 0))
alice.process.terminate()
alice.code()
server.terminate()
check("it ends with 0", server.wait(60) == 0)

write(GOOD)
server = serve("--log-addresses")
alice = Chat("alice", "alice", "--server", f"{S1}:9000")
check("--log-addresses: the log has hers", until(lambda: logged(r"alice registered from \d+\.\d+\.\d+\.\d+:\d+, key")))
alice.process.terminate()
alice.code()
server.terminate()
check("and ends with 0", server.wait(60) == 0)
done()
