"""What part of the packets arrives, each way; argv: the loss in percent."""

import socket
import sys

from nodes import S1, Udp, check, done

percent = int(sys.argv[1])
MANY = 1000
alice, server = Udp("alice", port=48000), Udp("server", S1, 7001)
for sender, receiver, to in ((alice, server, (S1, 7001)), (server, alice, ("203.0.113.18", 48000))):
    arrived = 0
    receiver.socket.setblocking(False)
    for _ in range(MANY):
        sender.send(to)
        try:
            while True:
                receiver.socket.recv(100)
                arrived += 1
        except BlockingIOError:
            pass
    receiver.socket.settimeout(0.1)
    try:
        while True:
            receiver.socket.recv(100)
            arrived += 1
    except socket.timeout:
        pass
    lost = 100 - 100 * arrived / MANY
    check(f"--loss {percent}: {sender.node} to {receiver.node} loses that", abs(lost - percent) <= (8 if 0 < percent < 100 else 0), f"{lost} %")
done()
