"""natprobe --path: the round trip and the loss by hop, and the path MTU."""

import json
import os
import subprocess

from nodes import check, done

CORE = os.environ["PINHOLE_S1"].rsplit(".", 1)[0] + ".254"


def measured():
    said = subprocess.run(["ip", "netns", "exec", "alice", "natprobe", "--path", "--json"], stdout=subprocess.PIPE, check=True, timeout=60).stdout
    return json.loads(said)["path"]


def told():
    said = subprocess.run(["ip", "netns", "exec", "alice", "natprobe", "--path"], text=True, stdout=subprocess.PIPE, check=True, timeout=60).stdout
    return said, {row[:10].strip(): row for row in said.splitlines()}


def wall(rule):
    """core drops on the way to the server what this matches, and nothing else."""
    subprocess.run(["ip", "netns", "exec", "core", "nft", "-f", "-"], check=True, text=True, input=(
        "table ip wall\ndelete table ip wall\n"
        f"table ip wall {{\n chain forward {{\n type filter hook forward priority 0\n oifname server {rule} drop\n }}\n}}\n"))


path = measured()
hops, mtu = path["quality"], path["mtu"]
check("there is a line for each router and for the server", path["complete"] and len(hops) == len(path["hops"]) + 1 == 3, path)
check("each has a round trip", all(hop["rtt_ms"] is not None for hop in hops), hops)
check("nothing is lost, though routers limit their ICMP errors", [hop["loss"] for hop in hops] == [0, 0, 0] and hops[2]["answered"] == 20, hops)
check("control: what the own interface takes comes to the server whole", mtu == {"fits": 1500, "interface": 1500, "limit": "interface", "router": None}, mtu)
wall("ip ttl 1 numgen inc mod 3 0")  # of what is just far enough for the server, every third packet
path = measured()
check("loss behind the last router is seen at the server", path["complete"] and path["quality"][-1]["loss"] in (0.3, 0.35), path)
said, rows = told()
check("and people are told", "round trip " in rows["hop 3"] and rows["hop 3"].endswith(("loss 30 %", "loss 35 %")), said)
wall("meta length > 1400")
mtu = measured()["mtu"]
check("a router that drops what is larger than 1400 bytes in silence: 1400, and nobody is named", mtu == {"fits": 1400, "interface": 1500, "limit": "silence", "router": None}, mtu)
wall("ip ttl 0")
subprocess.run(["ip", "netns", "exec", "core", "ip", "link", "set", "server", "mtu", "1400"], check=True)
mtu = measured()["mtu"]
check("a link of 1400 bytes behind core: core is named", mtu == {"fits": 1400, "interface": 1500, "limit": "router", "router": CORE}, mtu)
said, rows = told()
check("and people are told that", "1400 bytes" in rows["path MTU"] and f"limited at {CORE}" in rows["path MTU"], said)
subprocess.run(["ip", "netns", "exec", "alice", "ip", "link", "set", "eth0", "mtu", "1300"], check=True)
mtu = measured()["mtu"]
check("an interface of 1300 bytes: that is the limit", mtu == {"fits": 1300, "interface": 1300, "limit": "interface", "router": None}, mtu)
done()
