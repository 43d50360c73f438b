"""Sends datagrams from nodes of the lab in which it runs. argv: steps, one after the other.

  NODE:PORT              open a socket there; it stays open
  NODE:PORT>ADDR:PORT    send from there, from a socket that is opened if there is none; …/TTL sets the TTL
  NODE:PORT?             wait until that socket has received one; ?NAME remembers its source, and >NAME sends there
  NODE>>ADDR:PORT        open a TCP connection, which must be refused
  NODE>>ADDR:PORT=NODE2/BYTES
                         the same, where NODE2 listens, and gets so many bytes
  SECONDS                let time pass, for what expires
"""

import ctypes
import errno
import re
import socket
import sys
import threading
import time

libc = ctypes.CDLL(None, use_errno=True)
sockets, sources = {}, {}
number = 0


def socket_in(node, kind):
    with open(f"/run/netns/{node}") as namespace:
        if libc.setns(namespace.fileno(), 0x40000000):
            raise OSError(ctypes.get_errno(), f"cannot enter {node}")
    return socket.socket(socket.AF_INET, kind)


def at(place):
    """The socket of NODE:PORT."""
    if place not in sockets:
        node, port = place.split(":")
        sockets[place] = socket_in(node, socket.SOCK_DGRAM)
        sockets[place].bind(("0.0.0.0", int(port)))
        sockets[place].settimeout(30)
    return sockets[place]


def stream(node, address, port, listener, size):
    """Sends bytes by TCP, and waits until all have come; without a listener, the connection must be refused."""
    client = socket_in(node, socket.SOCK_STREAM)
    client.settimeout(30)
    if not listener:
        error = client.connect_ex((address, int(port)))
        assert error == errno.ECONNREFUSED, error
        return
    server = socket_in(listener, socket.SOCK_STREAM)
    server.bind(("0.0.0.0", int(port)))
    server.listen()
    server.settimeout(30)

    def send():
        client.connect((address, int(port)))
        client.sendall(bytes(int(size)))
        client.close()

    sender = threading.Thread(target=send)
    sender.start()
    connection, _ = server.accept()
    connection.settimeout(30)
    came = 0
    while part := connection.recv(1 << 20):
        came += len(part)
    sender.join(30)
    assert came == int(size), came


for step in sys.argv[1:]:
    if re.fullmatch(r"[\d.]+", step):
        time.sleep(float(step))
    elif "?" in step:
        place, name = step.split("?")
        sources[name] = at(place).recvfrom(2000)[1]
    elif ">>" in step:
        stream(*re.fullmatch(r"(.+)>>(.+):(\d+)(?:=(.+)/(\d+))?", step).groups())
    elif ">" in step:
        place, to = step.split(">")
        to, _, ttl = to.partition("/")
        address, port = sources.get(to) or to.split(":")
        at(place).setsockopt(socket.IPPROTO_IP, socket.IP_TTL, int(ttl or 64))
        number += 1
        try:
            at(place).sendto(f"packet {number} from {place}".encode(), (address, int(port)))
        except OSError:
            pass  # an error of an earlier packet, or a firewall's
    else:
        at(step)
