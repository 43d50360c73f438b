"""Does the steps of a Containerfile in a debootstrap root, and then its command: for a machine on which no container
engine works. argv: the Containerfile, a folder for the root, NAME=VALUE for each ARG.

It knows FROM debian:SUITE-slim, ARG, ADD and COPY of files, RUN, WORKDIR and CMD. The root gets namespaces of its own for
mounts and processes, and is entered by pivot_root: in a chroot the lab could make no namespaces.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

file, root = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
arguments = dict(word.split("=", 1) for word in sys.argv[3:])
folder, command = "/", None
CERTIFICATES = "host-certificates.crt"  # this machine's: a proxy between it and PyPI may have an authority of its own
ENTER = """
mount --bind "$0" "$0" && cd "$0" && mount --rbind /dev dev && mount --rbind /sys sys && mount -t proc proc proc &&
mkdir -p old && pivot_root . old && umount --lazy /old && rmdir /old && cd "$1" && shift && exec "$@"
"""


def inside(*words):
    environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root",
                   "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    if (root / CERTIFICATES).exists():
        environment["PIP_CERT"] = f"/{CERTIFICATES}"
    subprocess.run(["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", ENTER, root, folder, *words],
                   env=environment, check=True)


def filled(text):
    return re.sub(r"\$\{?(\w+)\}?", lambda m: arguments.get(m[1], m[0]), text)


for line in file.read_text().splitlines():
    if not line or line.startswith("#"):
        continue
    print(f"— {line}", flush=True)
    verb, rest = line.split(" ", 1)
    if verb == "FROM":
        suite = re.fullmatch(r"debian:(\w+)-slim", rest)[1]
        subprocess.run(["debootstrap", "--variant=minbase", suite, root, "http://deb.debian.org/debian"], check=True,
                       stdout=subprocess.DEVNULL)
        shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
        if os.path.exists("/etc/ssl/certs/ca-certificates.crt"):
            shutil.copy("/etc/ssl/certs/ca-certificates.crt", root / CERTIFICATES)
    elif verb == "ARG":
        name, _, default = rest.partition("=")
        arguments.setdefault(name, default)
    elif verb in ("ADD", "COPY"):
        *sources, to = filled(rest).split()
        there = root / os.path.join(folder, to).lstrip("/")
        for source in sources:
            shutil.copy(file.parent / source, there)
    elif verb == "WORKDIR":
        folder = rest
        (root / folder.lstrip("/")).mkdir(parents=True, exist_ok=True)
    elif verb == "RUN":
        inside("sh", "-c", rest)
    elif verb == "CMD":
        command = json.loads(rest)
    else:
        sys.exit(f"containerfile.py does not know {verb}")
inside(*command)
