"""natprobe's hint at a carrier-grade NAT; argv: whether alice is behind one."""

import json
import subprocess
import sys

from nodes import check, done, line

CARRIER = sys.argv[1] == "carrier"
GATEWAY = """
import socket, sys
asked = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asked.bind(("192.168.1.1", 5351))
print("listens", flush=True)
while True:
    request, sender = asked.recvfrom(2000)
    if request[:2] == bytes(2):  # NAT-PMP: which address do you have outside?
        asked.sendto(bytes([0, 128, 0, 0, 0, 0, 0, 1]) + socket.inet_aton(sys.argv[1]), sender)
"""


def hint(node, *options):
    """The text of the hint, and the report."""
    said = subprocess.run(["ip", "netns", "exec", node, "natprobe", "--json", *options], stdout=subprocess.PIPE, check=True, timeout=60).stdout
    report = json.loads(said)
    found = [note["text"] for note in report["notes"] if note["code"] == "CARRIER_NAT"]
    return (found[0] if found else ""), report


text, report = hint("alice")
check("without options, and with a home router in between, there is no sign of a carrier", not text, report["notes"])
text, report = hint("alice", "--path")
check(f"--path: {'the router of the carrier is a sign' if CARRIER else 'the home router is none'}",
      ("100.64.1.1, of 100.64.0.0/10" in text) if CARRIER else not text, report)
outside = subprocess.check_output(["ip", "netns", "exec", "nat-alice", "ip", "-j", "addr", "show", "dev", "wan"])
outside = json.loads(outside)[0]["addr_info"][0]["local"]
fake = subprocess.Popen(["ip", "netns", "exec", "nat-alice", sys.executable, "-c", GATEWAY, outside], text=True, stdout=subprocess.PIPE)
assert line(fake, "listens", of="stdout"), "no gateway"
text, report = hint("alice", "--port-mapping")
check(f"--port-mapping: that the gateway has {outside} outside is {'a sign' if CARRIER else 'none'}",
      (f"outside address is {outside}, which is not a public one" in text) if CARRIER else not text, report)
fake.kill()
fake.communicate()
text, report = hint("nat-alice")
check(f"the home router itself, which has {outside}: {'that is a sign' if CARRIER else 'no sign'}", ("this host has 100.64.1.2" in text) if CARRIER else not text, report)
said = subprocess.run(["ip", "netns", "exec", "nat-alice", "natprobe"], text=True, stdout=subprocess.PIPE, timeout=60).stdout
check("and people are told the same", ("note: a carrier-grade NAT (CGN) is likely" in said) == CARRIER, said)
done()
