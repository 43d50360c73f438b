"""punch --trace as root: the packets of all its sockets, and nobody else's."""

import re
import subprocess
import threading

from nodes import S1, S2, Udp, check, done
from peers import PORT, end, line, meet, start

GATEWAY = "192.168.1.1"

# What another program of this host sends meanwhile is not ours.
other, over = Udp("alice"), threading.Event()


def chatter():
    while not over.wait(0.002):
        other.send((S1, int(PORT)))


talks = threading.Thread(target=chatter)
talks.start()
(code, one, log), _ = meet("alice", "bob", "--trace")
over.set()
talks.join()
trace = one["trace"]
local, own = one["local"], lambda p: p["src"] if p["direction"] == "out" else p["dst"]
check("they connect, and the trace has packets", code == 0 and trace, (one, log))
measured = [p for p in trace if own(p) != local and p["dst"].startswith((S1, S2))]
check("those of the measurement of our NAT are in it", any("other" in p.get("text", "") for p in measured), trace)
asked = [p for p in trace if p["dst"] == f"{GATEWAY}:5351"]
check("and the request for a port, which takes less than a millisecond", asked, trace)
check("and its answer", any(p["src"] == f"{GATEWAY}:5351" for p in trace), trace)
check("and none of another program", not any(p for p in trace if own(p).endswith(f":{other.port}")), trace)

(code, one, log), _ = meet("alice", "bob", "--tcp", "--trace")
segments = [p for p in one["trace"] if p["kind"] == "tcp"]
to = {p["dst"] for p in segments if p["flags"] == "SYN"}
check("with --tcp, the SYNs to the server and to the peer are in it", {one["remote"], f"{S1}:{PORT}"} <= to, one["trace"])
check("and the messages in the stream", any((p["text"] or "").startswith("probe answer") for p in segments), segments)

# A gateway that has UPnP alone: the library that asks it opens its sockets itself.
deaf = "table inet deaf { chain input { type filter hook input priority 0; udp dport 5351 drop; }; }"
subprocess.run(["ip", "netns", "exec", "nat-alice", "nft", "-f", "-"], input=deaf, text=True, check=True)
bob = start("bob", "punch", "--name", "bob", "--watch")
line(bob, "registered as")
alice = start("alice", "punch", "--name", "alice", "--peer", "bob", "--watch", "--trace")
search, connection = None, None
deadline = threading.Timer(60, alice.kill)
deadline.start()
for said in iter(alice.stdout.readline, ""):
    search = search or re.search(r"> 239\.255\.255\.250:1900 .* UPnP search", said)
    connection = connection or re.search(rf"> {re.escape(GATEWAY)}:\d+ .* TCP ACK, \d+ bytes", said)
    if connection:
        break
deadline.cancel()
check("the search for a UPnP gateway is in it", search)
check("and its conversation by HTTP", connection)
for process in (alice, bob):
    process.terminate()
    end(process)
done()
