#!/usr/bin/env python3
"""Runs a program under a seccomp filter that refuses io_uring, as container runtimes do.

    deny_io_uring.py EPERM|ENOSYS PROGRAM [ARGUMENT...]
"""

import ctypes
import errno
import os
import struct
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO = 0x7FFF0000, 0x00050000
# io_uring_setup, io_uring_enter, io_uring_register: the same numbers on every architecture.
DENIED = (425, 426, 427)


def deny(error):
    """Applies the filter to this process and everything that it starts."""
    load_number = struct.pack("<HBBI", 0x20, 0, 0, 0)  # BPF_LD|BPF_W|BPF_ABS: seccomp_data.nr
    program = load_number
    for index, number in enumerate(DENIED):
        # BPF_JMP|BPF_JEQ|BPF_K: to the refusal when equal, else to the next comparison.
        program += struct.pack("<HBBI", 0x15, len(DENIED) - index, 0, number)
    program += struct.pack("<HBBI", 0x06, 0, 0, SECCOMP_RET_ALLOW)
    program += struct.pack("<HBBI", 0x06, 0, 0, SECCOMP_RET_ERRNO | error)
    install(program)


def install(program):
    """Applies a filter, instructions as bytes, likewise."""
    libc = ctypes.CDLL(None, use_errno=True)
    code = ctypes.create_string_buffer(program)
    filter_ = struct.pack("HxxxxxxP" if struct.calcsize("P") == 8 else "HxxP", len(program) // 8, ctypes.addressof(code))
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter_, 0, 0) == 0:
        return
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter_, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "cannot install a seccomp filter: " + os.strerror(ctypes.get_errno()))


if __name__ == "__main__":
    deny(getattr(errno, sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])
