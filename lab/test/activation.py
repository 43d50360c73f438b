"""Socket activation without systemd: a parent binds the sockets, and passes them as sd_listen_fds(3) says."""

import os
import socket
import struct
import subprocess
import sys

from nodes import S1, check, done, enter, line

# Moves the sockets to 3 and up, and becomes the server.
PASS = """
import fcntl, os, sys
count = int(sys.argv[1])
high = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 50) for fd in sys.argv[2 : 2 + count]]
for at, fd in enumerate(high):
    os.dup2(fd, 3 + at)
os.environ |= {"LISTEN_FDS": str(count), "LISTEN_PID": str(os.getpid())}
os.execvp("rendezvous", ["rendezvous", *sys.argv[2 + count :]])
"""
KEY = "/run/pinhole/activation-key"
DATAGRAM, STREAM = socket.SOCK_DGRAM, socket.SOCK_STREAM


def bound(kind, port, ip=S1, listens=True):
    made = socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, kind)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(kind == STREAM))
    made.bind((ip, port))
    if kind == STREAM and listens:
        made.listen()
    return made


def serve(sockets, *options):
    fds = [one.fileno() for one in sockets]
    return subprocess.Popen(
        (sys.executable, "-c", PASS, str(len(fds)), *map(str, fds), "--key", KEY, "--port", "9000", *(options or ("--ip", S1))),
        pass_fds=fds, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ask(client):
    """Sends a Binding request; what will be received is its answer."""
    client.send(struct.pack("!HHI12s", 1, 0, 0x2112A442, os.urandom(12)))


def asker(kind, port, ip=S1):
    client = socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, kind)
    client.settimeout(30)
    client.connect((ip, port))
    return client


def answered(client):
    try:
        return client.recv(1000)[:2] == b"\x01\x01"
    except OSError:
        return False


def refused(what, pattern, sockets, *options):
    process = serve(sockets, *options)
    _, log = process.communicate(timeout=60)
    check(f"{what}: exit 2, and why", process.returncode == 2 and pattern in log, log)
    for one in sockets:
        one.close()


enter("server")
four = [bound(kind, port) for kind in (DATAGRAM, STREAM) for port in (9000, 9001)]
early = [asker(kind, port) for kind in (DATAGRAM, STREAM) for port in (9000, 9001)]
for client in early:
    ask(client)
server = serve(reversed(four))
check("it listens", line(server, "listening on", of="stdout"))
check("what came before it ran is answered, by UDP and TCP on each port", all([answered(client) for client in early]))
server.terminate()
check("it ends with 0", server.wait(60) == 0)
meanwhile = asker(DATAGRAM, 9000)
ask(meanwhile)
server = serve(four)
check("what comes while none runs waits for the next", answered(meanwhile))
# Another process of this environment takes nothing over.
child = subprocess.run(("rendezvous", "--ip", S1, "--port", "9000", "--key", KEY), env=os.environ | {"LISTEN_FDS": "4", "LISTEN_PID": "1"},
                       capture_output=True, text=True, timeout=60)
check("sockets of another process are not taken over", child.returncode == 2 and "cannot listen on" in child.stderr, child.stderr)
server.terminate()
server.wait(60)
for one in four:
    one.close()

refused("a port that is not served", f"no UDP socket of {S1}:9000", [bound(DATAGRAM, 9009)])
refused("no TCP socket", f"no TCP socket of {S1}:9000", [bound(DATAGRAM, 9000), bound(DATAGRAM, 9001)])
refused("one too many", f"a UDP socket of {S1}:9009, which", [bound(kind, port) for kind in (DATAGRAM, STREAM) for port in (9000, 9001)] + [bound(DATAGRAM, 9009)])
refused("a TCP socket that does not listen", "file descriptor 3 of LISTEN_FDS: it is a TCP socket that does not listen", [bound(STREAM, 9000, listens=False)])
refused("a Unix socket", "file descriptor 3 of LISTEN_FDS: it is neither", [socket.socket(socket.AF_UNIX, DATAGRAM)])
alone = socket.socket(socket.AF_INET6, DATAGRAM)
alone.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
alone.bind(("::", 9000))
refused(":: for IPv6 alone", "BindIPv6Only=both", [alone], "--ip", "::")

four = [bound(kind, port, "::") for kind in (DATAGRAM, STREAM) for port in (9000, 9001)]
server = serve(four, "--ip", "::")
check("it listens on ::", line(server, "listening on", of="stdout"))
for ip in (S1, "::1"):
    for kind, name in ((DATAGRAM, "UDP"), (STREAM, "TCP")):
        client = asker(kind, 9000, ip)
        ask(client)
        check(f"on ::, {ip} answers by {name}", answered(client))
server.terminate()
check("and it ends with 0", server.wait(60) == 0)
done()
