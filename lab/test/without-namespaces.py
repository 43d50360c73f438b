"""Run the command in argv as an ordinary user of a host where user.max_user_namespaces is 0.

That limit is set in a user namespace of its own, in which the user has the same id as outside.
"""

import ctypes
import os
import sys

libc = ctypes.CDLL(None, use_errno=True)
user = os.getuid() or 65534
ready, go = os.pipe(), os.pipe()
child = os.fork()
if child == 0:
    if libc.unshare(0x10000000):  # CLONE_NEWUSER
        raise OSError(ctypes.get_errno(), "unshare")
    os.write(ready[1], b"x")
    os.read(go[0], 1)
    with open("/proc/sys/user/max_user_namespaces", "w") as limit:
        limit.write("0")
    os.setresuid(user, user, user)
    os.execvp(sys.argv[1], sys.argv[1:])
os.read(ready[0], 1)
same = "".join(f"{id} {id} 1\n" for id in sorted({user, os.getuid()}))
with open(f"/proc/{child}/uid_map", "w") as uids:
    uids.write(same)
os.write(go[1], b"x")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
