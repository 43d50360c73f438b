"""natprobe --path: the round trip and the loss by hop."""

import json
import subprocess

from nodes import check, done


def measured():
    said = subprocess.run(["ip", "netns", "exec", "alice", "natprobe", "--path", "--json"], stdout=subprocess.PIPE, check=True, timeout=60).stdout
    return json.loads(said)["path"]


path = measured()
hops = path["quality"]
check("there is a line for each router and for the server", path["complete"] and len(hops) == len(path["hops"]) + 1 == 3, path)
check("each has a round trip", all(hop["rtt_ms"] is not None for hop in hops), hops)
check("nothing is lost, though routers limit their ICMP errors", [hop["loss"] for hop in hops] == [0, 0, 0] and hops[2]["answered"] == 20, hops)
# Of what is just far enough for the server, core drops every third packet.
subprocess.run(["ip", "netns", "exec", "core", "nft", "-f", "-"], check=True, text=True, input=(
    "table ip wall {\n chain forward {\n type filter hook forward priority 0\n oifname server ip ttl 1 numgen inc mod 3 0 drop\n }\n}\n"))
path = measured()
hops = path["quality"]
check("loss behind the last router is seen at the server", path["complete"] and hops[-1]["loss"] in (0.3, 0.35), path)
said = subprocess.run(["ip", "netns", "exec", "alice", "natprobe", "--path"], text=True, stdout=subprocess.PIPE, timeout=60).stdout
row = next((row for row in said.splitlines() if row.startswith("hop 3 ")), "")
check("and people are told", "round trip " in row and row.endswith(("loss 30 %", "loss 35 %")), said)
done()
