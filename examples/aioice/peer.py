"""A peer with aioice, an ICE agent in Python. The lab runs it in alice and in bob at once (--both).

Exit code 0: the peer's message has come over the path that ICE found. 1: ICE found no path. All else is an error of
this program or of its environment. The peers exchange candidates through files in a folder that both see; a program
of yours has a signalling server for that.
"""

import asyncio
import json
import os
import pathlib
import sys

import aioice

role, peer = os.environ["PINHOLE_ROLE"], os.environ["PINHOLE_PEER"]
stun_server = os.environ["PINHOLE_S1"], int(os.environ["PINHOLE_PORT"])
ENOUGH = 10  # seconds
folder = pathlib.Path(os.environ["PINHOLE_HOME"])


def leave(what, value):
    part = folder / f"{role}.part"
    part.write_text(json.dumps(value))
    part.rename(folder / f"{role}.{what}")


async def find(what):
    file = folder / f"{peer}.{what}"
    while not file.exists():
        await asyncio.sleep(0.01)
    return json.loads(file.read_text())


async def main():
    ice = aioice.Connection(ice_controlling=role == "alice", stun_server=stun_server)
    await ice.gather_candidates()
    leave("offer", [ice.local_username, ice.local_password, [c.to_sdp() for c in ice.local_candidates]])
    ice.remote_username, ice.remote_password, candidates = await find("offer")
    for candidate in candidates:
        await ice.add_remote_candidate(aioice.Candidate.from_sdp(candidate))
    await ice.add_remote_candidate(None)  # there are no more
    try:
        # aioice itself would go on for more than a minute
        await asyncio.wait_for(ice.connect(), ENOUGH)
    except (ConnectionError, TimeoutError, asyncio.TimeoutError):
        print(f"{role}: no path within {ENOUGH} s")
        return 1
    await ice.send(f"hello from {role}".encode())
    print(f"{role}: {(await ice.recv()).decode()}")
    leave("done", True)
    await find("done")  # the path stays until both have read
    await ice.close()
    return 0


sys.exit(asyncio.run(main()))
