"""natprobe, many times at once, behind a known NAT; argv: runs, then FIELD=VALUE as the report must have.

A field may be a path (allocation.policy) and a value anything of JSON; what is no JSON is a string,
and one with bars in it is a choice.
ASK: what else to ask of natprobe. LOSSY=1: a field may also be null, but never another value, except for the two axes.
"""

import json
import os
import subprocess
import sys

from nodes import check, done

runs, wanted = int(sys.argv[1]), dict(word.split("=", 1) for word in sys.argv[2:])
spec, lossy = os.environ["SPEC"], os.environ.get("LOSSY")
firm = ("class", "nat", "mapping", "filtering")
command = ["ip", "netns", "exec", "alice", f"{os.environ['PINHOLE_BIN']}/natprobe", "--json", *os.environ.get("ASK", "").split()]


def find(report, path):
    for key in path.split("."):
        report = report[key] if report is not None else None
    return report


def literal(text):
    try:
        return json.loads(text)
    except ValueError:
        return text


def start():
    return subprocess.Popen(command, stdout=subprocess.PIPE)


# First of all, on a NAT that holds nothing yet: a port that has been used keeps its mapping.
if not lossy and wanted.get("allocation.policy") == "sequential":
    foretold = find(json.loads(subprocess.check_output(command)), "allocation.next_port")
    got = json.loads(subprocess.check_output(command))["mapped"][0]
    check(f"natprobe: {spec}: it foretells the next port", got.endswith(f":{foretold}"), f"{got}, not {foretold}")

# A few at a time, so that a run does not wait for the machine; one by one where they would take
# turns in drawing ports.
reports, abreast = [], 1 if runs < 5 or wanted.get("allocation.policy") == "sequential" else 5
for _ in range(0, runs, abreast):
    batch = [start() for _ in range(abreast)]
    reports += [json.loads(process.communicate()[0]) for process in batch]
for path, value in wanted.items():
    got = [find(report, path) for report in reports]
    # A socket on a port that a run before has used tells nothing of early packets: the NAT still
    # knows it. That happens once in some thousand runs, and "not tested" is then the right answer.
    # So does what a stranger gets, where a port that one of the runs had serves another remote, too.
    may_lack = path in ("remaps_after_early_inbound", "unsolicited") or (lossy and path not in firm)
    right = [literal(word) for word in value.split("|")]
    good = [g in right or (may_lack and g is None) for g in got]
    known = sum(g is not None for g in got)
    enough = literal(value) is None or known >= (runs // 2 if lossy else runs - 1)
    check(f"natprobe{' under loss' if lossy else ''}: {spec}: {path} is {value} in {runs} runs", all(good) and enough, got)

done()
