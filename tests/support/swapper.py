"""A process without privileges that exchanges pairs of names in a loop: a directory or file of a tree against a symlink that
leads out of it.

Whoever owns a directory may do that at any moment, also between two system calls of a privileged process that works there.
"""

import ctypes
import errno
import mmap
import os
import random
import signal
import struct

RENAME_EXCHANGE = 2
AT_FDCWD = -100


class Swapper:
    """`pairs`: (name, its decoy, what the decoy leads to), absolute paths below a directory of `uid`. Both names are made anew
    where a run has removed them. Runs until stop(); swaps() is how many exchanges there were."""

    def __init__(self, pairs, uid, seed):
        self._count = mmap.mmap(-1, 8)
        self._pairs = [(name.encode(), decoy.encode(), target) for name, decoy, target in pairs]
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.setgroups([])
                os.setresgid(uid, uid, uid)
                os.setresuid(uid, uid, uid)
                self._loop(random.Random(seed))
            finally:
                os._exit(1)

    def _loop(self, rng):
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: not longer than the test
        exchange = libc.renameat2
        swaps = 0
        while True:
            name, decoy, target = rng.choice(self._pairs)
            # Out and back, so that the tree is what it seems most of the time, and different pairs take turns.
            for _ in range(rng.randrange(1, 40)):
                if exchange(AT_FDCWD, name, AT_FDCWD, decoy, RENAME_EXCHANGE) == 0:
                    swaps += 1
                    continue
                if ctypes.get_errno() == errno.ENOENT:
                    self._make(decoy, target)
                break
            self._count[0:8] = struct.pack("=Q", swaps)

    @staticmethod
    def _make(decoy, target):
        try:
            os.symlink(target, decoy)
        except OSError:
            pass

    def swaps(self):
        return struct.unpack("=Q", self._count[0:8])[0]

    def stop(self):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = 0
        return self.swaps()
