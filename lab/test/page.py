"""The page of a trace in a real browser: clicks, keys, a phone's width, 10,000 packets. argv: nattrace, and the page of
a matrix, whose first cell must lead to its packets."""

import json
import os
import subprocess
import sys
import tempfile

from chromium import Chromium

HOSTILE = "</script><script>document.title = 'taken'</script><img src=x onerror=\"document.title = 'taken'\">"
NODES = ["alice", "nat-alice", "core", "nat-bob", "bob", "server"]
ALICE, OUTER, BOB, SERVER = "192.168.1.2:41000", "203.0.113.17:41000", "203.0.113.33:42000", "203.0.113.1:8848"


def check(what, fine, shown=""):
    print(f"{'ok   ' if fine else 'FAIL '} {what}{'' if fine else f': {shown}'}")


def header(src, dst, ttl, payload):
    (a, p), (b, q) = (address.split(":") for address in (src, dst))
    ends = bytes(int(n) for n in f"{a}.{b}".split("."))
    udp = int(p).to_bytes(2, "big") + int(q).to_bytes(2, "big") + (8 + len(payload)).to_bytes(2, "big") + bytes(2)
    return bytes([0x45, 0]) + (28 + len(payload)).to_bytes(2, "big") + bytes([0, 7, 0, 0, ttl, 17, 0, 0]) + ends + udp + payload


def packet(number):
    """alice asks the server, which answers; or she sends to bob, whose NAT drops it."""
    t = number * 1.5
    kind = number % 3
    ways = {
        0: (SERVER, ["alice", "nat-alice", "nat-alice", "core", "core", "server"], "delivered", "server", None),
        1: (BOB, ["alice", "nat-alice", "nat-alice", "core", "core", "nat-bob"], "dropped", "nat-bob", "FILTER_PORT"),
        2: (BOB, ["alice", "nat-alice", "nat-alice", "core"], "ttl-exceeded", "core", None),
    }
    dst, nodes, how, end, reason = ways[kind]
    seen = []
    for step, node in enumerate(nodes):
        out = step % 2 == 0
        seen.append({"t_ms": t + step * 0.1, "node": node, "interface": "wan" if out else "lan", "direction": "out" if out else "in",
                     "src": ALICE if step < 2 else OUTER, "dst": dst, "ttl": 64 - step // 2})
    stun = bytes.fromhex("0001000c2112a442") + number.to_bytes(12, "big") + bytes.fromhex("00200008") + bytes.fromhex("0001a1472112a443")
    return {"id": number, "protocol": "udp", "what": f"{HOSTILE} {number}" if number == 4 else f"probe request {number:06x}",
            "payload_len": len(stun), "payload_sha256": f"{number:064x}", "bytes": header(ALICE, dst, 64, stun).hex(),
            "retransmission_of": None, "about": None, "sightings": seen,
            "end": {"how": how, "node": end, "reason": reason, "text": HOSTILE if number == 4 else f"{how} at {end}"}}


def trace(count):
    mapping = {"protocol": "udp", "inside": ALICE, "outside": OUTER, "destination": None, "permits": [SERVER], "anyone": False}
    tables = [{"t_ms": 0.15, "node": "nat-alice", "mappings": [mapping]},
              {"t_ms": 1.65, "node": "nat-alice", "mappings": [mapping | {"permits": [SERVER, BOB]}]},
              {"t_ms": count * 1.4, "node": "nat-alice", "mappings": []}]
    return {"schema": 1, "started_unix_ns": 0, "journeys": [packet(n) for n in range(count)], "tables": tables, "gaps": [],
            "nodes": [{"name": node, "description": HOSTILE, "interfaces": [{"name": "lan", "addresses": []}]} for node in NODES],
            "cause": {"code": "FILTER_PORT", "text": HOSTILE, "journey": 1, "next": None}}


def text(browser, selector):
    return browser.value(f"document.querySelector({json.dumps(selector)})?.textContent ?? ''")


def rows(browser):
    return browser.value("document.querySelectorAll('#scroll .row').length")


def chosen(browser):
    return browser.value("document.querySelector('.row.chosen')?.dataset.id ?? ''")


def count(browser):
    return text(browser, "#count")


def few(browser):
    browser.screen(1280, 800)
    check("the cause is on top", "FILTER_PORT" in text(browser, "#cause"))
    check("the packet that shows it is chosen", chosen(browser) == "1", chosen(browser))
    check("rows are shown", rows(browser) >= 15, rows(browser))
    check("and say for a screen reader what became of each packet", browser.value(
        "document.querySelector('#row-1').getAttribute('aria-label').includes('from alice, dropped: dropped at nat-bob')"))
    check("every control has a name", browser.value(
        "[...document.querySelectorAll('button, input, select, [tabindex=\"0\"]')].every(it => it.ariaLabel || it.labels?.length || it.textContent.trim())"))

    # pointer
    browser.click("#row-3")
    check("a click opens the packet", "#3 probe request 000003" in text(browser, "#packet h2"), text(browser, "#packet h2"))
    check("with its way", browser.value("document.querySelectorAll('#packet tbody tr').length") == 6)
    check("and where it was translated", text(browser, "#packet mark") == OUTER, text(browser, "#packet mark"))
    shown = text(browser, "#packet")
    check("decoded", all(part in shown for part in ("IPv4", "UDP", "STUN", "XOR-MAPPED-ADDRESS", "0.0.0.1:32853")), shown)
    browser.click("#shows")
    check("the cause leads to its packet", chosen(browser) == "1" and "#1 " in text(browser, "#packet h2"))
    browser.click("#packet .title button")
    check("and the button closes it", browser.value("document.querySelector('#packet').hidden"))

    # filter
    browser.click("#text")
    browser.type("00000a")
    check("a filter narrows", rows(browser) == 1 and count(browser) == "1 of 60 packets", count(browser))
    browser.key("Escape")
    check("and Escape clears it", count(browser) == "60 packets", count(browser))
    for select, value, left in ("#outcome", "dropped FILTER_PORT", 20), ("#flow", f"udp {OUTER} ↔ {SERVER}", 20):
        browser.value(f"(it => {{ it.value = {json.dumps(value)}; it.dispatchEvent(new Event('input')); }})(document.querySelector('{select}'))")
        browser.frame()
        check(f"so does {select}", count(browser) == f"{left} of 60 packets", count(browser))
        browser.value(f"(it => {{ it.value = ''; it.dispatchEvent(new Event('input')); }})(document.querySelector('{select}'))")

    # keys
    browser.value("document.querySelector('#scroll').focus()")
    browser.key("Home")
    check("Home goes to the first packet", chosen(browser) == "0", chosen(browser))
    check("whose NAT lets the server in", "203.0.113.1:8848" in text(browser, "#tables") and "203.0.113.33" not in text(browser, "#tables"))
    browser.key("ArrowDown"), browser.key("ArrowDown")
    check("an arrow goes to the next one", chosen(browser) == "2", chosen(browser))
    check("and the table is that of its time", "203.0.113.33:42000" in text(browser, "#tables"), text(browser, "#tables"))
    browser.key("Enter")
    check("Enter opens it", "#2 " in text(browser, "#packet h2") and browser.value("document.activeElement.id") == "packet")
    browser.key("Escape")
    check("Escape closes it", browser.value("document.querySelector('#packet').hidden && document.activeElement.id") == "scroll")
    browser.key("/")
    check("/ goes to the filter", browser.value("document.activeElement.id") == "text")
    browser.key("Escape")
    height = "document.querySelector('.row rect').getAttribute('height')"
    before = browser.value(height)
    browser.key("+")
    check("+ makes rows larger", float(browser.value(height)) > float(before))
    browser.key("-")

    # time
    check("the table has the mapping", text(browser, "#tables").count(OUTER) == 1)
    x, y, width = browser.value("(box => [box.x, box.y + box.height / 2, box.width])(document.querySelector('#moment').getBoundingClientRect())")
    browser.press(x + width - 4, y)
    check("the slider at the end shows that it is gone", "no mapping" in text(browser, "#tables"), text(browser, "#tables"))
    browser.press(x + width / 2, y)
    check("and in the middle that it is there", OUTER in text(browser, "#tables"), text(browser, "#tables"))

    # text of packets
    browser.key("Escape")
    browser.value("document.querySelector('#scroll').focus()")
    browser.key("Home")
    for _ in range(4):
        browser.key("ArrowDown")
    browser.key("Enter")
    check("text of a packet stays text", HOSTILE in text(browser, "#packet h2") and browser.value("document.title") != "taken"
          and browser.value("document.querySelectorAll('img').length") == 0)
    browser.key("Escape")

    for dark in False, True:
        browser.screen(360, 720, dark, phone=True)
        browser.frame()
        wide = browser.value("[document.documentElement.scrollWidth, document.querySelector('#scroll').scrollWidth]")
        check(f"on a phone, {'dark' if dark else 'light'}, nothing has to be moved sideways", max(wide) <= 360, wide)
        colour = browser.value("getComputedStyle(document.body).backgroundColor")
        check("and the colours are the system's", (colour == "rgb(13, 17, 23)") == dark, colour)
    box = browser.value("(box => [box.x + 100, box.y + 150])(document.querySelector('#scroll').getBoundingClientRect())")
    browser.press(*box)
    check("a touch opens a packet there, too", "#" in text(browser, "#packet h2"))
    wide = browser.value("document.documentElement.scrollWidth")
    check("which is as narrow", wide <= 360, wide)
    browser.key("Escape")


SCROLL = """new Promise(done => {
  const box = document.querySelector('#scroll'), times = [];
  let last = performance.now();
  const step = () => {
    const began = performance.now();
    box.scrollTop += 900;
    box.dispatchEvent(new Event('scroll'));
    requestAnimationFrame(() => {
      times.push([performance.now() - began, performance.now() - last]);
      last = performance.now();
      times.length < 120 ? step() : done(times);
    });
  };
  step();
})"""


def many(browser):
    browser.screen(1280, 800)
    check("10,000 packets are there", count(browser) == "10,000 packets", count(browser))
    most = 0
    frames = sorted(whole for _, whole in browser.value(SCROLL))
    most = max(most, rows(browser))
    check("and only those in view are drawn", 15 <= most <= 60, most)
    print(f"note  a scroll through 10,000 packets: {frames[60]:.1f} ms a frame (median), {frames[-6]:.1f} ms (95th percentile)")
    browser.value("document.querySelector('#scroll').focus()")
    browser.key("End")
    check("End goes to the last one", chosen(browser) == "9999", chosen(browser))


def main():
    with tempfile.TemporaryDirectory() as folder, Chromium() as browser:
        for length, story in (60, few), (10_000, many):
            source, page = f"{folder}/{length}.json", f"{folder}/{length}.html"
            with open(source, "w", encoding="utf-8") as file:
                json.dump(trace(length), file)
            subprocess.run([sys.argv[1], "convert", source, page], check=True)
            print(f"note  {length} packets: {os.path.getsize(page) >> 10} KiB of page, {os.path.getsize(source) >> 10} KiB of JSON")
            browser.loaded.clear()
            browser.open(f"file://{page}")
            browser.frame()
            story(browser)
            check("the page loads nothing else", browser.loaded == [f"file://{page}"], browser.loaded)
        browser.open(f"file://{os.path.abspath(sys.argv[2])}")
        browser.click(".grid td a")
        browser.wait("document.querySelector('#ladder') !== null && document.readyState === 'complete'")
        browser.frame()
        check("a cell of a matrix leads to the packets of its run", rows(browser) >= 10 and "alice" in browser.value("document.title"), rows(browser))
        check("whose NATs' tables are there", "nat-alice" in text(browser, "#tables"), text(browser, "#tables"))
        check("the console has no error", not browser.said, browser.said)


main()
