"""Alice calls bob, who knows her key, or takes another one for hers; argv: knows or mismatch."""

import os
import subprocess
import sys

from nodes import check, done
from peers import end, line, start

wrong = sys.argv[1] == "mismatch"
os.makedirs("/run/bob", exist_ok=True)
if wrong:
    with open("/run/bob/known-peers", "w") as file:
        file.write("alice " + "ab" * 32 + "\n")
# Not punch, which ends at once where a key is not the known one.
bob = start("bob", "chat", "--name", "bob", home="/run/bob", stdin=subprocess.PIPE)
line(bob, "registered as")
code, _, log = end(start("alice", "punch", "--name", "alice", "--peer", "bob", "--timeout", "3", "--report", "/run/alice.json"))
check("alice says how it ended", code == (1 if wrong else 0), log)
bob.terminate()
end(bob)
done()
