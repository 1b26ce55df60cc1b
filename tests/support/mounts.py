"""Mounts that end with the process that made them."""

import ctypes

CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 16384, 1 << 18


def keep_to_ourselves():
    """Moves this process and whatever it starts into a mount namespace: mounts, and the loop devices under them, end with the last
    process of it, however that one ends. Without the right to do so nothing changes, and nothing can be mounted either."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) == 0:
        libc.mount(b"none", b"/", None, ctypes.c_ulong(MS_REC | MS_PRIVATE), None)
