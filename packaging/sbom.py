"""The SBOM: what is linked into the tools, as CycloneDX 1.5 in JSON. From Cargo.lock, by way of cargo metadata.

Components are the crates that a tool links on Linux, with their checksums from Cargo.lock; build scripts' and tests'
own dependencies are not among them. Prints to stdout; the same Cargo.lock gives the same text.
"""

import json
import pathlib
import subprocess
import sys
import tomllib
import uuid

root = pathlib.Path(__file__).resolve().parent.parent
TOOLS = ["natprobe", "punch", "rendezvous", "chat", "nattrace", "natlink", "labreport"]
# nattrace links these at run time; the package depends on them.
LIBRARIES = {"libmnl": "LGPL-2.1-or-later", "libnftnl": "GPL-2.0-or-later"}

metadata = json.loads(
    subprocess.run(
        ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", "x86_64-unknown-linux-gnu"],
        cwd=root, check=True, capture_output=True, text=True,
    ).stdout
)
packages = {package["id"]: package for package in metadata["packages"]}
lock = tomllib.loads((root / "Cargo.lock").read_text())
checksums = {(p["name"], p["version"]): p.get("checksum") for p in lock["package"]}
ours = {id for id in metadata["workspace_members"] if packages[id]["name"] in TOOLS}
missing = set(TOOLS) - {packages[id]["name"] for id in ours}
if missing:
    sys.exit(f"sbom.py: no such package in the workspace: {', '.join(sorted(missing))}")


def is_macro(id):
    return any("proc-macro" in target["kind"] for target in packages[id]["targets"])


# What is linked: normal dependencies, but not those of a macro, which runs while the tools are built.
links = {
    node["id"]: sorted(
        dep["pkg"]
        for dep in node["deps"]
        if any(kind["kind"] is None for kind in dep["dep_kinds"]) and not is_macro(dep["pkg"])
    )
    for node in metadata["resolve"]["nodes"]
}
linked, waiting = set(), sorted(ours)
while waiting:
    id = waiting.pop()
    if id not in linked:
        linked.add(id)
        waiting += links[id]


def purl(id):
    return f"pkg:cargo/{packages[id]['name']}@{packages[id]['version']}"


def component(id):
    package = packages[id]
    made = {
        "type": "application" if id in ours else "library",
        "bom-ref": purl(id),
        "name": package["name"],
        "version": package["version"],
        "purl": purl(id),
    }
    if package.get("license"):
        made["licenses"] = [{"expression": " ".join(package["license"].replace("/", " OR ").split())}]
    if checksum := checksums[package["name"], package["version"]]:
        made["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    return made


version = packages[min(ours)]["version"]
order = sorted(linked, key=purl)
bom = {
    "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
    "bomFormat": "CycloneDX",
    "specVersion": "1.5",
    "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, ''.join(map(purl, order)) + (root / 'Cargo.lock').read_text())}",
    "version": 1,
    "metadata": {
        "component": {
            "type": "application", "bom-ref": "pinhole", "name": "pinhole", "version": version,
            "licenses": [{"expression": "MIT OR Apache-2.0"}],
        }
    },
    "components": [component(id) for id in order]
    + [
        {"type": "library", "bom-ref": name, "name": name, "licenses": [{"license": {"id": licence}}]}
        for name, licence in LIBRARIES.items()
    ],
    "dependencies": [{"ref": "pinhole", "dependsOn": sorted(map(purl, ours))}]
    + [
        {
            "ref": purl(id),
            "dependsOn": sorted(map(purl, links[id])) + (sorted(LIBRARIES) if packages[id]["name"] == "nattrace" else []),
        }
        for id in order
    ],
}
json.dump(bom, sys.stdout, indent=1, ensure_ascii=False)
print()
