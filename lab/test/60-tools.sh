#!/usr/bin/env bash
# The lab with the tools: measured before use, the demonstration, the matrix.
source "${BASH_SOURCE[0]%/*}/words.sh"

tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
[[ ${PINHOLE_BIN:-} ]] || export PINHOLE_BIN=${test%/*/*}/target/release

said=$("$netns" full-cone restricted 2>&1)
code=$?
if [[ $code == 0 ]]; then ok 'the main job: full-cone × restricted connect as expected'; else bad "the main job: exit $code: ${said//$'\n'/; }"; fi
for part in 'asked full-cone' 'asked restricted' 'alice → server  registers its name' 'bob ✗ alice   opener, to end at core; nat-bob now accepts packets from alice$' \
	'alice → bob     chooses this path' '^direct: alice at 192.168.1.2:.* reaches bob at 203.0.113.33:' ' ms after alice began, with .*: no port was guessed$' '^Expected was direct: '; do
	check "it says: $part" grep -q -- "$part" <<<"$said"
done
# short WHAT: what was said fits a terminal
short() {
	local lines
	mapfile -t lines <<<"$said"
	check "$1 has at most 40 lines" test ${#lines[@]} -le 40
	check 'of at most 100 columns' bash -c '! LC_ALL=C.UTF-8 grep -nE ".{101,}" <<<"$1"' x "$(grep -v '^punch: ' <<<"$said")"
	check 'without escape codes in a pipe' test "${said//$'\e'}" == "$said"
}
short 'the main job'
said=$("$netns" full-cone restricted --no-verify -v 2>&1)
for part in 'alice: punch --peer bob --trace' 'bob: punch --from alice --trace' 'register request of alice' 'nat-alice: nattrace table'; do
	check "with -v it says: $part" grep -q -- "$part" <<<"$said"
done

said=$("$netns" udp-blocked open 2>&1)
code=$?
if [[ $code == 0 && $said == *UDP_BLOCKED*'Expected was failed'* ]]; then ok 'a failure that is expected is exit 0, with its cause'; else bad "udp-blocked × open: exit $code: ${said//$'\n'/; }"; fi
short 'a failure'
said=$("$netns" port-restricted symmetric 2>&1)
code=$?
if [[ $code == 0 && $said == *'punch: spray: 99.99 %'*': spray'*'Expected was direct'* ]]; then ok 'a spray is announced, and connects'; else bad "port-restricted × symmetric: exit $code: ${said//$'\n'/; }"; fi
short 'a spray'
said=$("$netns" symmetric symmetric --no-verify 2>&1)
check 'a relayed pair says so' grep -q '^relay: alice reaches bob through the relay at ' <<<"$said"
short 'a relayed pair'
said=$("$netns" --json full-cone cgnat 2>&1)
check 'the demonstration as JSON' python3 -c 'import json, sys; o = json.loads(sys.argv[1]); assert o["got"] == o["expected"] == "direct" and o["cause"] is None and o["how"] == "plain" and o["as_asked"] and o["punch"]["trace"] and o["nat_alice"]["node"] == "nat-alice"' "$said"
check 'and without a measurement' python3 -c 'import json, sys; o = json.loads(sys.argv[1]); assert o["got"] == "direct" and "measured" not in o' "$("$netns" --json full-cone open --no-verify 2>&1)"
said=$("$netns" open symmetric --no-verify --loss 100 2>&1)
code=$?
if [[ $code == 2 && $said == *$'\n'"failed: alice's punch could not tell: no answer from 203.0.113.1:8848"*' Expected was direct: '* ]]; then ok 'a call that could not be made is exit 2, with the reason'; else bad "loss of all: exit $code: ${said//$'\n'/; }"; fi
said=$("$netns" matrix symmetric --no-verify --loss 100 2>&1)
code=$?
if [[ $code == 1 && $said == *"NO CALL: symmetric × symmetric: alice's punch could not tell: no answer"* ]]; then ok 'and does not pass for a failure that was expected'; else bad "matrix with loss of all: exit $code: ${said//$'\n'/; }"; fi
cell='{"a":"open","b":"open","expected":"failed","got":"direct","how":"plain","elapsed_ms":1,"cause":null,"punch":{"cause":null},"measured":[{"cause":{"code":"SILENT"}}]}'
said=$("$PINHOLE_BIN/labreport" matrix <<<"$cell")
check "a cell's cause is punch's, not natprobe's" grep -q '^SURPRISE: open × open: direct, expected was failed (no cause)$' <<<"$said"
check 'matrix --json - is nothing but JSON' python3 -c 'import json, sys; assert len(json.loads(sys.argv[1])["cells"]) == 1' "$("$netns" matrix open --json - 2>/dev/null)"

probe=("$PINHOLE_BIN/natprobe" --s1 127.0.0.1:9 --timeout 50)
said=$(RUST_LOG=net=debug "${probe[@]}" 2>&1 >/dev/null)
check 'with RUST_LOG a tool logs to stderr what it does' grep -q '^[^ ]* DEBUG net::.*: socket opened .*local=127.0.0.1' <<<"$said"
check 'and without it, nothing' test -z "$(env -u RUST_LOG "${probe[@]}" 2>&1 >/dev/null)"

cp -r "${netns%/*}" "$tmp/lab"
sed -i 's/filtering\/endpoint-independent/filtering\/address-dependent/' "$tmp/lab/nat/full-cone.nft"
said=$("$tmp/lab/netns.sh" full-cone open -- true 2>&1)
code=$?
if [[ $code == 1 && $said == *'NOT AS ASKED'* ]]; then ok 'control: a NAT that is not what was asked is exit 1'; else bad "control: a false cone: exit $code: ${said//$'\n'/; }"; fi

said=$("$netns" matrix full-cone restricted port-restricted symmetric --json "$tmp/matrix.json" --junit "$tmp/matrix.xml" \
	--markdown "$tmp/matrix.md" --html "$tmp/matrix.html" 2>"$tmp/matrix.err")
code=$?
if [[ $code == 0 ]]; then ok 'the 4 × 4 matrix is as expected'; else bad "the matrix: exit $code: ${said//$'\n'/; } $(<"$tmp/matrix.err")"; fi
check 'and its file is JSON with 16 cells' python3 - "$tmp/matrix.json" <<'P'
import json, sys
cells = json.load(open(sys.argv[1]))["cells"]
assert len(cells) == 16, len(cells)
assert all(c["got"] in ("lan", "direct", "relay", "failed") for c in cells), cells
assert all(c["as_asked"] for c in cells if c["a"] == c["b"]), cells
P
"$netns" matrix open udp-blocked --junit "$tmp/m.xml" --html "$tmp/m.html" --markdown "$tmp/m.md" >/dev/null
check "a matrix in three formats more" python3 - "$tmp" <<'P'
import html.parser, os, sys, xml.etree.ElementTree as tree
tmp = sys.argv[1]
suite = tree.parse(f"{tmp}/m.xml").getroot()[0]
assert suite.attrib["tests"] == "4" and suite.attrib["failures"] == suite.attrib["errors"] == "0", suite.attrib
assert [case.attrib["name"] for case in suite] == [f"{a} × {b}" for a in ("open", "udp-blocked") for b in ("open", "udp-blocked")]
class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.links, self.ids, self.open = [], [], []
    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        assert tag not in ("script", "img", "link", "iframe"), tag
        self.ids += filter(None, [attributes.get("id")])
        self.links += filter(None, [attributes.get("href")])
        if tag != "meta":
            self.open.append(tag)
    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag
page = Page()
page.feed(open(f"{tmp}/m.html").read())
runs = [f"m.packets/{a}--{b}/run-1.html" for a in ("open", "udp-blocked") for b in ("open", "udp-blocked")]
assert not page.open and len(page.ids) == 4 and page.links == runs * 2, (page.open, page.links)  # the grid's, the rows'
assert all(os.path.getsize(f"{tmp}/{run}") > 10000 for run in runs)
rows = open(f"{tmp}/m.md").read().splitlines()
assert rows[0].count("|") == 4 and rows[2] == "| **open** | direct | failed |", rows
P
check 'its JUnit file has a case for each pair and for each NAT that was measured' python3 - "$tmp/matrix.xml" <<'P'
import sys
import xml.etree.ElementTree as xml
suites = xml.parse(sys.argv[1]).getroot()
assert suites.tag == "testsuites" and suites.attrib["tests"] == "20", suites.attrib
assert suites.attrib["failures"] == suites.attrib["errors"] == "0", suites.attrib
pairs, nats = suites
assert [len(pairs), len(nats)] == [16, 4]
assert pairs[1].attrib["name"] == "full-cone × restricted", pairs[1].attrib
assert "got: direct" in pairs[1].find("system-out").text
P
check 'its Markdown file has a row for each type' test "$(grep -c '^| \*\*.* | direct' "$tmp/matrix.md")" = 4
check 'its HTML file has a row for each pair' test "$(grep -o '<tr id="pair-' "$tmp/matrix.html" | wc -l)" = 16
check 'labreport shows the same matrix from its JSON file' test "$("$PINHOLE_BIN/labreport" matrix "$tmp/matrix.json")" = "$said"

# text that would be markup, in every place where a cell has text
cell='{"a":"<b>&\"","b":"x]]>","expected":"direct","got":"failed","how":"<i>","elapsed_ms":1,"cause":"<u>\u0001","punch":{"cause":{"code":"<u>\u0001","text":"<script>1</script>"}}}'
check 'markup in a cell is text in JUnit and HTML' python3 - "$PINHOLE_BIN/labreport" "$cell" <<'P'
import subprocess, sys
import xml.etree.ElementTree as xml
from html.parser import HTMLParser
def made(form):
    return subprocess.run([sys.argv[1], "matrix", form, "-"], input=sys.argv[2], capture_output=True, text=True).stdout
case = xml.fromstring(made("--junit"))[0][0]
assert case.attrib["name"] == '<b>&" × x]]>', case.attrib
assert "<script>1</script>" in case.find("failure").text
class Page(HTMLParser):
    tags, text = set(), ""
    def handle_starttag(self, tag, attrs): self.tags.add(tag)
    def handle_data(self, data): self.text += data
page = Page()
page.feed(made("--html"))
assert not page.tags & {"b", "u", "script"}, page.tags
assert "<script>1</script>" in page.text and '<b>&"' in page.text
P

P=$tmp/lab/nat/port-restricted.nft
sed -i 's/endpoint-independent/address-and-port-dependent/; s/preserve/random/' "$P"
if "$tmp/lab/netns.sh" matrix port-restricted --json "$tmp/false.json" >/dev/null 2>&1; then bad 'control: a false matrix is not seen'; else ok 'control: a matrix of a false NAT is exit 1'; fi
