"""Runs the commands of the pages, and compares what they print with what the pages show.

documents.py REPOSITORY [PAGE…]. PINHOLE_BIN is the folder of the tools. Prints one line a check.

A fenced block of the language sh is run by bash, which ends at a failure; one that begins with "$ " has its output
below it. The blocks without a language that follow are what it prints. documents.toml says how the other blocks are
run, which are not, and why. Each page has namespaces of its own (processes, mounts, network), a copy of the
repository, and an empty HOME; 203.0.113.1 and 203.0.113.2 are addresses of its loopback interface. Blocks run in the
order of the page.

Output is compared in shape: an endpoint's port, a number that stands alone, six hexadecimal digits and a key after #
may be others, several spaces are as one, and "…" is anything (alone on a line: any lines)."""

import concurrent.futures
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

from dialogue import hold

DEADLINE = 90
root = Path(sys.argv[1]).resolve()
plan = tomllib.loads((Path(__file__).parent / "documents.toml").read_text())
pages = [p.relative_to(root) for p in [*root.glob("*.md"), *root.glob("docs/**/*.md"), *root.glob("crates/*.md")]]
pages = sorted(str(p) for p in pages if p.name != "README.zh-CN.md")  # whose commands pages.py compares


def blocks(page):
    """The fenced blocks of a page: (language, lines)."""
    block = None
    for line in (root / page).read_text().splitlines():
        if fence := re.match(r" *```(\w*)$", line):
            if block is None:
                block = (fence[1], [])
                indent = len(line) - len(line.lstrip())
            else:
                yield block
                block = None
        elif block is not None:
            block[1].append(line[indent:])


def entry(kind, page, lines):
    """What documents.toml says of this block."""
    found = [e for e in plan.get(kind, []) if e["page"] == page and "\n".join([*lines, ""]).startswith(e["begins"])]
    assert len(found) < 2, (kind, page, lines[0])
    return found[0] if found else {}


def shape(text):
    text = re.sub(r"#[0-9a-f]{4,}…?", "#K", text)
    text = re.sub(r"\b[0-9a-f]{6}\b", "H", text)
    text = re.sub(r"(\d+\.\d+\.\d+\.\d+|\*):\d+", r"\1:N", text)
    text = re.sub(r"(?<![\w.:])\d+(\.\d+)?(?![\w.]\d|\w)", "N", text)
    return re.sub(r"[ \t]+", " ", text).strip()


def pattern(line):
    return re.escape(shape(line)).replace("…", ".*")


def missing(shown, printed, any_order):
    """The first line that is shown and was not printed (there, in that order); None if all were."""
    text = "".join(shape(line) + "\n" for line in printed.splitlines())
    if any_order:
        return next((l for l in shown if l != "…" and not re.search(f"^{pattern(l)}$", text, re.M)), None)
    wanted = "^"
    for line in shown:
        wanted += r"(?:.*\n)*?" if line.strip() == "…" else pattern(line) + r"\n"
        if not re.search(wanted, text, re.M):
            return line
    return None


def unlike(example, got, at=""):
    """Where a JSON example has another shape than what was got. null in the example says nothing."""
    kind = lambda v: "number" if isinstance(v, (int, float)) and not isinstance(v, bool) else type(v).__name__
    if example is None:
        return None
    if kind(example) != kind(got):
        return f"{at or 'all'} is {kind(got)}, not {kind(example)}"
    if isinstance(example, dict):
        parts = ((f"{at}.{k}", v, got[k]) if k in got else (f"there is no {at}.{k}",) for k, v in example.items())
        return next((p for part in parts if (p := part[0] if len(part) == 1 else unlike(part[1], part[2], part[0]))), None)
    if isinstance(example, list) and example:
        wrong = [unlike(example[0], element, f"{at}[]") for element in got]
        return None if None in wrong else (wrong or [f"{at} is empty"])[0]
    return None


class Run:
    """A page that is run."""

    def __init__(self, page, home):
        self.page, self.home = page, Path(home)
        self.settings = next((p for p in plan["page"] if p["page"] == page), {})
        self.folder = self.home / "pinhole"
        self.folder.mkdir()
        for part in ("lab", "docs"):
            shutil.copytree(root / part, self.folder / part)
        tools = self.home / "bin"
        tools.mkdir()
        (tools / "sudo").write_text('#!/bin/sh\nexec "$@"\n')
        (tools / "sudo").chmod(0o755)
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("PINHOLE_") and k != "SUDO_USER"} | {
            "HOME": str(self.home), "TMPDIR": str(self.home), "PINHOLE_BIN": os.environ["PINHOLE_BIN"],
            "PATH": f"{tools}:{os.environ['PINHOLE_BIN']}:{os.environ['PATH']}"}
        if self.settings.get("lab"):
            self.do(f"lab/netns.sh up {self.settings['lab']} --name the-page --no-verify")
        if self.settings.get("before"):
            self.do(self.settings["before"])

    def tell(self, what, wrong=""):
        what = what.splitlines()[0][:100]
        print(f"FAIL  {self.page}: {what}: {wrong}" if wrong else f"ok    {self.page}: {what}", flush=True)

    def there(self, node, script):
        """The words that run a script in a node, by its user; or in the page's own namespaces."""
        if not node:
            return ["bash", "-c", script]
        home = self.home / node
        home.mkdir(exist_ok=True)
        forget = [word for name in ("HOME", "NAME", "SERVER") for word in ("-u", f"PINHOLE_{name}")]
        return ["lab/netns.sh", "exec", node, "--name", "the-page", "--", "env", *forget, f"HOME={home}", "bash", "-c", script]

    def start(self, node, script, **streams):
        log = tempfile.NamedTemporaryFile("w+", dir=self.home, delete=False)
        process = subprocess.Popen(
            self.there(node, script), cwd=self.folder, env=self.env, start_new_session=True,
            **{"stdin": subprocess.DEVNULL, "stdout": log, "stderr": subprocess.STDOUT} | streams)
        process.log = Path(log.name)
        return process

    def do(self, script, node="", until="", code=0, background=False):
        """Runs a script; what it printed, and what is wrong."""
        process = self.start(node, script)
        end = time.monotonic() + DEADLINE
        while process.poll() is None and time.monotonic() < end:
            if until in process.log.read_text() if until else background:
                break
            time.sleep(0.02)
        ended = process.poll()
        if ended is None and not background:
            os.killpg(process.pid, signal.SIGINT if until and until in process.log.read_text() else signal.SIGKILL)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
        said = process.log.read_text()
        wrong = ""
        if until and until not in said:
            wrong = f"it did not print {until!r}: {said[-300:]!r}"
        elif not until and not background and ended != code:
            wrong = f"exit {ended if ended is not None else 'by the deadline'}, not {code}: {said[-300:]!r}"
        return process, wrong

    def instead(self, text, how):
        for words, others in how.get("instead", []):
            if words not in text:
                self.tell(text, f"documents.toml replaces {words!r}, which is not there")
            text = text.replace(words, others)
        return text

    def sh(self, lines, how):
        """Runs a block; the processes whose output it has."""
        what = how.get("what", lines[0].split("  #")[0].strip())
        if how.get("if") and self.do(how["if"])[1]:
            print(f"note  {self.page}: not run, {how['else']}: {what}", flush=True)
            return None
        for place in ("before", "with"):
            if how.get(place):
                wrong = self.do(how[place], how.get("at", ""), background=place == "with")[1]
                if wrong:
                    self.tell(what, f"{place}: {wrong}")
        script = "\n".join(lines if how.get("goes-on") else ["set -e", *lines] if "lines" not in how else lines)
        script = self.instead(script, how)
        if "lines" not in how:
            process, wrong = self.do(script, how.get("node", ""), how.get("until", ""), how.get("exit", 0), how.get("background", False))
            self.tell(what, wrong)
            return [process]
        runs = []
        for number, *rest in how["lines"]:
            where, _, until = f" {rest[0] if rest else ''}".partition(" until ")
            node = where.replace("&", "").strip()
            line = script.splitlines()[number - 1] if number else rest[1]
            process, wrong = self.do(line, node, until, background="&" in where)
            self.tell(line.split("  #")[0].strip(), wrong)
            runs.append(process)
        return runs

    def prints(self, shown, runs, how):
        """Compares a block with what was printed; what still runs may print it yet."""
        end = time.monotonic() + 10
        while line := missing(shown, said := "".join(p.log.read_text() for p in runs), how.get("any-order", False)):
            if time.monotonic() > end or all(p.poll() is not None for p in runs):
                break
            time.sleep(0.1)
        self.tell(f"it prints: {next(l for l in shown if l != '…')}", line and f"no {line!r} in its place in {said[-2000:]!r}")

    def run(self):
        runs = None
        for language, lines in blocks(self.page):
            if entry("shown", self.page, lines):
                continue
            if how := entry("dialogue", self.page, lines):
                self.tell(f"a dialogue: {lines[0]}", hold(self, lines, how, shape))
            elif language == "sh" or lines[0].startswith("$ "):
                how = entry("sh", self.page, lines)
                if how.get("skip"):
                    runs = None
                    continue
                if lines[0].startswith("$ "):
                    runs = self.sh([lines[0][2:]], how)
                    self.prints(lines[1:], runs, how)
                else:
                    runs = self.sh(lines, how)
            elif language == "json":
                how = entry("json", self.page, lines)
                if not how:
                    self.tell(lines[0], "documents.toml does not say what prints this JSON")
                    continue
                process, wrong = self.do(how["command"] + " 2>/dev/null", how.get("node", ""))
                self.tell(f"{how['command']} prints its JSON", wrong or unlike(json.loads("\n".join(lines)), json.loads(process.log.read_text())))
            elif how := entry("file", self.page, lines):
                path = self.home / how["path"]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(self.instead("\n".join(lines), how) + "\n")
            elif language:
                self.tell(lines[0], f"documents.toml does not say what to do with this block of {language}")
            else:
                how = entry("output", self.page, lines)
                if how.get("command"):
                    process, wrong = self.do(how["command"], code=how.get("exit", 0))
                    self.tell(how["command"], wrong)
                    self.prints(lines, [process], how)
                elif runs:
                    self.prints(lines, runs, how)
                else:
                    self.tell(lines[0], "no command is above this output, and documents.toml does not list it")


def apart(page):
    """A page in namespaces of its own."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    prepare = ("mount -t tmpfs page /run && ip link set lo up && ip address add 203.0.113.1/32 dev lo && "
               'ip address add 203.0.113.2/32 dev lo && "$@"; exit $?')  # sh reaps orphans, whose namespace does not end before
    with tempfile.TemporaryDirectory(prefix="page-") as home:
        return subprocess.run(
            ["unshare", *user, "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", prepare,
             "sh", sys.executable, __file__, root, "--inside", page, home], capture_output=True, text=True)


def stale():
    """Entries of documents.toml that no block has."""
    for kind, entries in plan.items():
        for e in entries:
            if kind == "page":
                if e["page"] not in pages:
                    yield f"there is no page {e['page']}"
            elif e["page"] not in pages or not any("\n".join([*lines, ""]).startswith(e["begins"]) for _, lines in blocks(e["page"])):
                yield f"{kind}: no block of {e['page']} begins with {e['begins']!r}"


def main():
    if sys.argv[2:3] == ["--inside"]:
        Run(*sys.argv[3:]).run()
        return
    wrong = list(stale())
    print(f"FAIL  documents.toml names blocks that exist: {'; '.join(wrong)}" if wrong else "ok    documents.toml names blocks that exist")
    for e in plan["sh"] + plan["shown"]:
        if reason := e.get("skip") or e.get("reason"):
            print(f"note  not run: {e['page']}: {e['begins'].splitlines()[0]}: {reason}")
    chosen = sys.argv[2:] or [p for p in pages if any(True for _ in blocks(p))]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for page, result in zip(chosen, pool.map(apart, chosen)):
            print(result.stdout, end="")
            if result.returncode:
                print(f"FAIL  {page}: exit {result.returncode}: {result.stderr[-600:]}")


if __name__ == "__main__":
    main()
