"""Run the command in argv as if the kernel had no IPv6 (ipv6.disable=1): no socket of that family can be made."""

import ctypes
import errno
import os
import platform
import socket
import struct
import sys

NUMBER = {"x86_64": 41, "aarch64": 198, "riscv64": 198}[platform.machine()]  # of the system call socket
libc = ctypes.CDLL(None, use_errno=True)

# of seccomp's data, the system call is at 0 and the lower half of its first argument at 16
steps = ((0x20, 0, 0, 0), (0x15, 0, 3, NUMBER), (0x20, 0, 0, 16), (0x15, 0, 1, socket.AF_INET6),
         (0x06, 0, 0, 0x00050000 | errno.EAFNOSUPPORT), (0x06, 0, 0, 0x7FFF0000))
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
program = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code))
for words in ((38, 1, 0, 0, 0), (22, 2, program, 0, 0)):  # PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP with a filter
    if libc.prctl(*words):
        raise OSError(ctypes.get_errno(), f"prctl {words[0]}")
try:
    socket.socket(socket.AF_INET6)
except OSError as refused:
    assert refused.errno == errno.EAFNOSUPPORT, refused
else:
    raise SystemExit("IPv6 is still there")
os.execvp(sys.argv[1], sys.argv[1:])
