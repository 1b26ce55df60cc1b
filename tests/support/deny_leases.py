#!/usr/bin/env python3
"""Runs a program under a seccomp filter that answers F_SETLEASE as a file system without leases does: EINVAL.

    deny_leases.py PROGRAM [ARGUMENT...]

FUSE cannot refuse leases: the kernel grants them without asking.
"""

import errno
import os
import platform
import struct
import sys

import deny_io_uring

F_SETLEASE = 1024
FCNTL = {"x86_64": 72, "aarch64": 25}


def program():
    if platform.machine() not in FCNTL:
        sys.exit("deny_leases.py: the number of fcntl(2) on %s is not known here" % platform.machine())
    load, equal, end = 0x20, 0x15, 0x06
    lines = [
        (load, 0, 0, 0),  # seccomp_data.nr
        (equal, 0, 3, FCNTL[platform.machine()]),
        (load, 0, 0, 24),  # the low half of args[1]
        (equal, 0, 1, F_SETLEASE),
        (end, 0, 0, deny_io_uring.SECCOMP_RET_ERRNO | errno.EINVAL),
        (end, 0, 0, deny_io_uring.SECCOMP_RET_ALLOW),
    ]
    return b"".join(struct.pack("<HBBI", *line) for line in lines)


if __name__ == "__main__":
    deny_io_uring.install(program())
    os.execvp(sys.argv[1], sys.argv[1:])
