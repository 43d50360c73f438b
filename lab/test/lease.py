"""A lease of crates/net behind miniupnpd: mapped, renewed, given back; argv: alice's type, protocol."""

import os
import re
import subprocess
import sys
import time

from nodes import S1, S2, Udp, check, done, learn

spec, protocol = sys.argv[1:3]
public = S1.rsplit(".", 1)[0] + ".17"
names = {"pcp": "PCP", "nat-pmp": "NAT-PMP", "upnp-igd": "UPnP-IGD", "any": "PCP|NAT-PMP|UPnP-IGD"}
LIFETIME = 2


def lease(port):
    command = ["ip", "netns", "exec", "alice", f"{os.environ['PINHOLE_BIN']}/examples/lease", str(port), protocol, str(LIFETIME)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def reached(to):
    """Whether somebody whom nobody knows is answered, and from where."""
    stranger = Udp("server", S2)
    return stranger.hear(stranger.send(to), 0.5)


def mapped():
    rules = subprocess.check_output(["ip", "netns", "exec", "nat-alice", "nft", "list", "chain", "inet", "miniupnpd", "upnp_in"], text=True)
    return set(re.findall(r"dport (\d+) dnat ip to 192\.168\.1\.2:\d+", rules))


def until(seconds, condition):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


what = f"{spec}, {protocol}"
holder = lease(40000)
said = holder.stdout.readline().strip()
# By PCP miniupnpd 2.3.9 grants no less than 120 s, as RFC 6887 §15 recommends: too long to see the end of.
brief = said.endswith(f" {LIFETIME}")
granted = rf"({names[protocol]}) {LIFETIME}" if brief else "PCP 120"
check(f"{what}: a port is mapped, the same outside as inside", re.fullmatch(rf"mapped {public}:40000 {granted}", said), said)
check(f"{what}: and no other", mapped() == {"40000"}, mapped())
outer = (public, 40000)
check(f"{what}: a stranger reaches it, and is answered from it", reached(outer) == outer)
if brief:
    # miniupnpd renews by taking its rules out and putting them in again: one packet may come in between.
    silence = until(2.5 * LIFETIME, lambda: reached(outer) != outer and reached(outer) != outer)
    check(f"{what}: it is renewed for longer than it was granted", not silence)
said, _ = holder.communicate()
check(f"{what}: nothing was lost meanwhile, and it is given back at the end", said == "given back\n" and holder.returncode == 0, said)
check(f"{what}: the gateway has forgotten it", mapped() == set(), mapped())
inside, server = Udp("alice", port=40000), Udp("server", S1)
seen = learn(inside, server)
came = inside.hears(Udp("server", S2).send(outer), server.send(seen))
check(f"{what}: no stranger comes in any more", not came)

killed = lease(40002)
killed.stdout.readline()
killed.kill()
killed.wait()
check(f"{what}: who is killed leaves a mapping", mapped() == {"40002"}, mapped())
if brief:
    check(f"{what}: that ends by itself", until(LIFETIME + 3, lambda: not mapped()), mapped())
done()
