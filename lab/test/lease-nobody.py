"""A lease where nobody may be believed: a gateway that maps nothing, and a neighbour who says he is one."""

import os
import socket
import subprocess
import threading
import time

from nodes import check, done, enter

program = f"{os.environ['PINHOLE_BIN']}/examples/lease"
DESCRIPTION = """<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0"><device>
<deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1</deviceType><serviceList><service>
<serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType><controlURL>/control</controlURL>
<SCPDURL>/scpd</SCPDURL></service></serviceList></device></root>"""
SCPD = """<?xml version="1.0"?><scpd xmlns="urn:schemas-upnp-org:service-1-0"><actionList><action>
<name>AddPortMapping</name><argumentList></argumentList></action></actionList></scpd>"""
asked = []


def lease(protocol):
    """The first line that it says; it is over then."""
    command = ["ip", "netns", "exec", "alice", program, "40000", protocol]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    line = process.stdout.readline().strip()
    process.stdin.close()
    process.wait()
    return line


def search(listener, web):
    """Answers every search: the gateway is here."""
    while True:
        _, sender = listener.recvfrom(2000)
        answer = f"HTTP/1.1 200 OK\r\nLOCATION: http://192.168.1.3:{web.getsockname()[1]}/root.xml\r\n\r\n"
        listener.sendto(answer.encode(), sender)


def serve(web):
    while True:
        connection, _ = web.accept()
        path = connection.recv(4000).split()[1].decode()
        asked.append(path)
        body = SCPD if path == "/scpd" else DESCRIPTION
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        connection.sendall((head + body).encode())
        connection.close()


begun = time.monotonic()
line = lease("pcp")
check("a gateway that maps nothing is told, with the protocol", line.startswith("nothing by PCP: "), line)
check("and within the second that it is given", time.monotonic() - begun < 2)

enter("alice2")
listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
listener.bind(("", 1900))
group = socket.inet_aton("239.255.255.250") + socket.inet_aton("192.168.1.3")
listener.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
web = socket.create_server(("192.168.1.3", 0))
threading.Thread(target=search, args=(listener, web), daemon=True).start()
threading.Thread(target=serve, args=(web,), daemon=True).start()
line = lease("upnp-igd")
check("a neighbour who says that he is the gateway is found", "/scpd" in asked, asked)
check("and not believed", line == "nothing by UPnP-IGD: no answer", line)
check("nor asked for anything", "/control" not in asked, asked)
done()
