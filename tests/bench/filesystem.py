"""Where the trees lie: a directory as it is, or a fresh file system in a loop image, in a mount namespace that ends with the run."""

import atexit
import os
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import mounts  # noqa: E402

KINDS = ("tmpfs", "ext4", "xfs", "btrfs")
MKFS = {"ext4": ["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0"], "xfs": ["mkfs.xfs", "-q", "-f"],
        "btrfs": ["mkfs.btrfs", "-q", "-f"]}
SMALLEST_IMAGE = 1 << 30


def _unmount(mount_point):
    for command in (["umount", mount_point], ["umount", "-l", mount_point]):
        if subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 0:
            return


def _end(number, frame):
    sys.exit(128 + number)


def make(base, kind, size, inodes):
    """A work directory below `base`; with `kind` a file system of its own for `size` bytes and `inodes` objects."""
    work = tempfile.mkdtemp(prefix="uringsync-bench-", dir=base)
    atexit.register(shutil.rmtree, work, ignore_errors=True)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)  # atexit does not run for a signal that nobody handles
    if not kind:
        return work
    if os.geteuid() != 0:
        sys.exit("--fs %s mounts a file system: it needs root" % kind)
    mounts.keep_to_ourselves()
    mount_point = os.path.join(work, "mounted")
    os.mkdir(mount_point)
    size = max(size, SMALLEST_IMAGE)
    if kind == "tmpfs":
        command = ["mount", "-t", "tmpfs", "-o", "size=%d,nr_inodes=%d" % (size, inodes), "uringsync-bench", mount_point]
    else:
        image = os.path.join(work, "image")
        with open(image, "wb") as file:
            file.truncate(size)
        more = ["-N", str(inodes)] if kind == "ext4" else []
        if not shutil.which(MKFS[kind][0]):
            sys.exit("--fs %s needs %s" % (kind, MKFS[kind][0]))
        subprocess.run(MKFS[kind] + more + [image], check=True, stdout=subprocess.DEVNULL)
        command = ["mount", "-o", "loop", image, mount_point]
    subprocess.run(command, check=True)
    atexit.register(_unmount, mount_point)
    return mount_point
