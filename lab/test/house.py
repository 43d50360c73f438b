"""The walls between the crates: what cargo knows against what ARCHITECTURE.md draws and crates/README.md
lists, and who may not link what. argv: the repository. Prints one line a check."""

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

root = Path(sys.argv[1])


def tell(what, problems):
    print(f"FAIL  {what}: {'; '.join(problems)}" if problems else f"ok    {what}")


def short(name):
    return name.removeprefix("pinhole-")


packages = json.loads(
    subprocess.run(
        ["cargo", "metadata", "--no-deps", "--format-version", "1"],
        cwd=root, check=True, capture_output=True, text=True,
    ).stdout
)["packages"]
knows = {
    short(p["name"]): {short(d["name"]) for d in p["dependencies"] if d.get("path") and d["kind"] is None}
    for p in packages
}
crates = {short(p["name"]) for p in packages if "/crates/" in p["manifest_path"]}


def reached(crate):
    return set().union(*({other} | reached(other) for other in knows[crate]))


def arrows():
    """Each arrow that no longer way through other crates implies."""
    for crate, others in knows.items():
        for other in others:
            if not any(other in reached(via) for via in others - {other}):
                yield crate, other


def differences(real, drawn, verb):
    missing = [f"{a} knows {b}, which is not {verb}" for a, b in sorted(real - drawn)]
    return missing + [f"{a} does not know {b}, which is {verb}" for a, b in sorted(drawn - real)]



def version(text):
    return tuple(int(part) for part in text.split("."))


said = {p["name"]: p["rust_version"] for p in packages}
oldest = said["natprobe"]
locked = json.loads(
    subprocess.run(
        ["cargo", "metadata", "--locked", "--filter-platform", "x86_64-unknown-linux-gnu", "--format-version", "1"],
        cwd=root, check=True, capture_output=True, text=True,
    ).stdout
)["packages"]
tell(
    f"no dependency says that it takes a newer Rust than {oldest}",
    [f"{p['name']} {p['version']} takes {p['rust_version']}" for p in locked
     if p["rust_version"] and p["name"] not in said and version(p["rust_version"])[:2] > version(oldest)[:2]],
)

page = (root / "ARCHITECTURE.md").read_text()
graph = re.search(r"```mermaid\n(.*?)```", page, re.S)
drawn = set(re.findall(r"^ *([\w-]+) --> ([\w-]+)$", graph[1], re.M)) if graph else set()
tell("ARCHITECTURE.md draws the arrows that cargo keeps", differences(set(arrows()), drawn, "drawn"))

table = (root / "crates/README.md").read_text()
rows = re.findall(r"^\| \[`([\w-]+)`\]\([\w-]+\) \|[^|]*\|([^|]*)\|$", table, re.M)
listed = {(crate, other) for crate, others in rows for other in re.findall(r"`([\w-]+)`", others)}
real = {(crate, other) for crate in crates for other in knows[crate]}
unlisted = [f"{crate} is not in the table" for crate in sorted(crates - {crate for crate, _ in rows})]
tell("crates/README.md lists what each crate knows", unlisted + differences(real, listed, "listed"))

tools = set(knows) - crates
tell("no tool knows another", [f"{t} knows {o}" for t in sorted(tools) for o in sorted(knows[t] & tools)])
tell("the simulator and the pages are for tests alone", sorted(c for c in knows if knows[c] & {"sim", "pages"}))

SANS_IO = {"stun", "nat", "sansio", "session", "gateway-proto", "discover", "rendezvous-proto", "peer-proto", "link", "sim"}
WALL = ["clippy::disallowed_methods", "clippy::disallowed_types", "clippy::iter_over_hash_type"]
open_walls = []
for crate in sorted(SANS_IO):
    head = (root / "crates" / crate / "src/lib.rs").read_text()
    denied = re.search(r"#!\[cfg_attr\(\s*not\(test\),\s*deny\((.*?)\)\s*\)\]", head, re.S)
    open_walls += [f"{crate} does not deny {lint}" for lint in WALL if not denied or lint not in denied[1]]
    for source in sorted((root / "crates" / crate / "src").rglob("*.rs")):
        text = source.read_text()
        open_walls += [f"{source.relative_to(root)} allows {lint}" for lint in WALL if f"allow({lint}" in text]
tell("sans-IO crates deny clocks, sockets, threads and the order of hash maps", open_walls)
RUNTIMES = {"tokio", "getrandom", "socket2", "nix", "libc", "mio", "async-std", "rayon"}
tell(
    "sans-IO crates depend on no runtime, socket or source of randomness",
    [
        f"{short(p['name'])} depends on {d['name']}"
        for p in packages
        for d in p["dependencies"]
        if short(p["name"]) in SANS_IO and d["kind"] is None and d["name"] in RUNTIMES
    ],
)


def linked(tool):
    tree = subprocess.run(
        ["cargo", "tree", "--package", tool, "--edges", "normal", "--prefix", "none", "--format", "{p}"],
        cwd=root, check=True, capture_output=True, text=True,
    ).stdout
    return {short(line.split()[0]) for line in tree.splitlines() if line}


for tool, foreign in {
    "natprobe": {"snow", "turn-client-proto", "peer-proto", "rendezvous-proto", "session"},
    "rendezvous": {"turn-client-proto", "peer-proto", "discover"},
    "nattrace": {"tokio", "peer-proto", "rendezvous-proto"},
    "natlink": {"tokio", "peer-proto", "rendezvous-proto", "discover"},
    "labreport": {"tokio", "net", "peer-proto", "rendezvous-proto", "discover"},
}.items():
    tell(f"{tool} links nothing that it has no use for", [f"it links {f}" for f in sorted(linked(tool) & foreign)])
C = {"nftnl", "nftnl-sys", "mnl", "mnl-sys"}
tell(
    "nattrace alone links a C library",
    [f"{tool} links {name}" for tool in sorted(tools - {"nattrace"}) for name in sorted(linked(tool) & C)],
)


def unsafe_code():
    """Each `unsafe`, as (file, function): a block in a function, or the function itself."""
    for source in sorted({*root.glob("crates/**/*.rs"), *root.glob("tools/**/*.rs"), *root.glob("fuzz/*/*.rs")}):
        functions = []
        for line in source.read_text().splitlines():
            code = re.sub(r'//.*|"(?:\\.|[^"\\])*"', "", line)
            depth = len(code) - len(code.lstrip())
            if name := re.search(r"\bfn (\w+)", code):
                functions = [known for known in functions if known[0] < depth] + [(depth, name[1])]
            # A pointer to an unsafe function is a type.
            for _ in re.findall(r"\bunsafe\b(?!_)(?!\s+extern\s+fn\s*\()", code):
                inside = [name for at, name in functions if at < depth or re.search(r"\bfn\b", code)]
                yield str(source.relative_to(root)), inside[-1] if inside else "?"


page = (root / "docs/reference/unsafe-code.md").read_text()
listed = Counter({(file, function): int(count) for file, function, count in re.findall(
    r"^\| `([\w/.-]+)` \| `(\w+)` \| (\d+) \|", page, re.M)})
real = Counter(unsafe_code())
tell("docs/reference/unsafe-code.md lists all unsafe code", [
    f"{file}, {function}: {real[file, function]} and the page says {listed[file, function]}"
    for file, function in sorted({*real, *listed}) if real[file, function] != listed[file, function]
])


def lints(manifest):
    """The two tables of lints, without comments."""
    text = (root / manifest).read_text()
    tables = re.findall(r"^\[(?:workspace\.)?lints\.(\w+)\]\n(.*?)(?:\n\n|\Z)", text, re.M | re.S)
    return {(table, line) for table, lines in tables for line in lines.splitlines() if not line.startswith("#")}


expected = lints("Cargo.toml") - {("rust", 'unsafe_code = "forbid"')} | {("rust", 'unsafe_code = "deny"')}
tell(
    "unsafe code is forbidden in every package but nattrace",
    [f"nattrace's lints differ: {line}" for _, line in sorted(lints("tools/nattrace/Cargo.toml") ^ expected)]
    + [
        f"{short(p['name'])} does not take the workspace's lints"
        for p in packages
        if p["name"] != "nattrace" and "[lints]\nworkspace = true\n" not in Path(p["manifest_path"]).read_text()
    ],
)
