"""What a trace says. argv: FILE, then for each journey that must be there one word of conditions, joined by commas:

  NAME=VALUE    a field: protocol, from and to (nodes of the first and the last sighting), what, how, node, reason
  NAME~PART     the field contains PART; also text
  no            … there must be no such journey
  cause=CODE    the cause of the trace; none: it has none
  cause~PART    its text contains PART
"""

import json
import re
import sys

trace = json.load(open(sys.argv[1]))
assert trace["schema"] == 1, trace["schema"]
names = [node["name"] for node in trace["nodes"]]


def fields(journey):
    end = journey["end"]
    return {
        "protocol": journey["protocol"], "what": journey["what"],
        "from": journey["sightings"][0]["node"], "to": journey["sightings"][-1]["node"],
        "how": end["how"], "node": end["node"], "reason": str(end["reason"]), "text": end["text"],
    }


for journey in trace["journeys"]:
    times = [at["t_ms"] for at in journey["sightings"]]
    assert times and times == sorted(times), journey
    assert journey["end"]["node"] in names, journey["end"]
journeys = [fields(journey) for journey in trace["journeys"]]
cause = trace["cause"] or {"code": "none", "text": "", "journey": None}
assert cause["journey"] is None or cause["journey"] < len(journeys), cause
for word in sys.argv[2:]:
    if re.match("cause[=~]", word):
        expected = word[len("cause="):]
        if not (cause["code"] == expected if word[5] == "=" else expected in cause["text"]):
            print(f"{word}, but it is {cause['code']}: {cause['text']}")
            sys.exit(1)
        continue
    conditions = word.split(",")
    absent = conditions[0] == "no"
    tests = [re.fullmatch(r"(\w+)([=~])(.*)", condition).groups() for condition in conditions[absent:]]
    found = [j for j in journeys if all(j[name] == value if sign == "=" else value in j[name] for name, sign, value in tests)]
    if absent == bool(found):
        print(f"{'a' if absent else 'no'} journey with {word}:", *(j["text"] for j in found or journeys), sep="\n  ")
        sys.exit(1)
