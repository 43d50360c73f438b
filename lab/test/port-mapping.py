"""natprobe --port-mapping with miniupnpd on alice's router, without it, and with one that is behind another NAT."""

import json
import os
import re
import subprocess
import time

from nodes import S1, check, done

room = "/run/pinhole"
ELSEWHERE = "9.9.9.9"


def router(*command):
    return subprocess.check_output(["ip", "netns", "exec", "nat-alice", *command], text=True)


def start(*lines):
    """miniupnpd on the router; it is up when it listens for all three protocols."""
    config = ["ext_ifname=wan", "listening_ip=lan", "enable_natpmp=yes", "enable_upnp=yes", *lines]
    with open(f"{room}/miniupnpd.conf", "w") as file:
        file.write("\n".join(config) + "\n")
    # -d also keeps it in the foreground; what it says shows what it was asked
    command = ["ip", "netns", "exec", "nat-alice", "miniupnpd", "-d", "-f", file.name, "-P", f"{room}/miniupnpd.pid"]
    log = open(f"{room}/miniupnpd.log", "w")
    process = subprocess.Popen(command, stdout=log, stderr=log)
    end = time.monotonic() + 10
    while not {":1900", ":5351"} <= set(re.findall(r":(?:1900|5351)\b", router("ss", "-Hlnu"))):
        assert process.poll() is None and time.monotonic() < end, open(log.name).read()
        time.sleep(0.02)
    return process


def stop(process):
    process.terminate()
    process.wait()
    with open(f"{room}/miniupnpd.log") as log:
        return log.read()


def natprobe(*args):
    command = ["ip", "netns", "exec", "alice", f"{os.environ['PINHOLE_BIN']}/natprobe", *args]
    return subprocess.check_output(command, text=True)


def measure(*args):
    return json.loads(natprobe("--json", *args))


mapped = S1.rsplit(".", 1)[0] + ".17"
silent = measure("--port-mapping")["port_mapping"]
nothing = {"gateway": "192.168.1.1", "nat_pmp": None, "pcp": None, "upnp_igd": None, "agrees": None}
check("a gateway that maps nothing is found to speak nothing", silent == nothing, silent)
check("unless asked, nothing is said", measure()["port_mapping"] is None)

process = start()
found = measure("--port-mapping")["port_mapping"]
table = natprobe("--port-mapping")
nat_pmp, pcp, upnp = (found[key] or {} for key in ("nat_pmp", "pcp", "upnp_igd"))
check("NAT-PMP is found and tells the outer address", nat_pmp.get("external") == mapped and nat_pmp["result"] == 0, found)
check("PCP is found", pcp.get("result") == 0, found)
check("UPnP-IGD is found and tells the outer address", upnp.get("external") == mapped, found)
check("and where it was found", re.fullmatch(r"http://192\.168\.1\.1:\d+/rootDesc\.xml", upnp.get("location", "")), found)
check("they agree with what the server saw", found["agrees"] is True, found)
check("the table has them in a row", re.search(r"^port mapping +UPnP-IGD, NAT-PMP, PCP +" + re.escape(mapped), table, re.M), table)
asked = stop(process)
# All that a mapping could be asked for with: in NAT-PMP it takes 12 bytes, in PCP 60, in UPnP an action of its own.
requests = set(re.findall(r"(?:(?:NAT-PMP|PCP) request received from \S+|SOAPAction:) (.*)", asked))
actions = {"2bytes", "24bytes", "urn:schemas-upnp-org:service:WANIPConnection:2#GetExternalIPAddress"}
check("it was asked for nothing but what it is", requests == actions, requests)

process = start(f"ext_ip={ELSEWHERE}")
found = measure("--port-mapping")["port_mapping"]
claimed = [(found[key] or {}).get("external") for key in ("nat_pmp", "upnp_igd")]
check("an outer address that the server did not see is told", claimed == [ELSEWHERE] * 2, found)
check("and means another NAT behind the gateway", found["agrees"] is False, found)
stop(process)
done()
