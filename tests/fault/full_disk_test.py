#!/usr/bin/env python3
"""A file system of 16 MB that is full at one write after the other: old or new, told, nothing left, and with room the next run converges.

Ballast leaves so much room that the run is refused at its first block, at the next one, and so on. URINGSYNC_STEPS=all takes every
block of 4 KiB, a number so many places; ext4 and tmpfs.
"""

import errno
import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import treecmp  # noqa: E402
import wreck  # noqa: E402

MEGABYTES = 16
BLOCK = 4096
STEPS = 8


class FullDisk(harness.Case):
    def write(self, path, data, when):
        with open(path, "wb") as file:
            file.write(data)
        os.utime(path, (when, when))

    def build(self):
        rng = random.Random(8)
        self.src, self.old = self.path("src"), self.path("old")
        for root in (self.src, self.old):
            os.makedirs(os.path.join(root, "d"))
        for number in range(30):
            self.write(os.path.join(self.src, "f%02d" % number), rng.randbytes(rng.choice([100, 5000, 40000])), 1_600_000_000)
            if number % 3 == 0:
                self.write(os.path.join(self.old, "f%02d" % number), rng.randbytes(3000), 1_500_000_000)
        self.write(os.path.join(self.src, "d", "large"), rng.randbytes((1 << 20) + 300000), 1_600_000_000)
        self.write(os.path.join(self.old, "d", "gone"), rng.randbytes(9000), 1_500_000_000)
        self.source, self.before = treecmp.snapshot(self.src), treecmp.snapshot(self.old)
        # All blocks of new files, and what names and inodes may take.
        self.needed = sum((record.size + BLOCK - 1) // BLOCK * BLOCK for record in self.source.values()) + 16 * BLOCK

    def fill(self, volume, leave):
        """A file that leaves `leave` bytes; ext4 keeps some blocks that it counts as free."""
        room = os.statvfs(volume)
        wanted = room.f_bfree * room.f_frsize - leave
        with open(os.path.join(volume, "ballast"), "wb") as file:
            while wanted > 0:
                try:
                    os.posix_fallocate(file.fileno(), 0, wanted)
                    break
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    wanted -= BLOCK

    def one(self, volume, leave):
        dst, ballast = os.path.join(volume, "dst"), os.path.join(volume, "ballast")
        harness.remove_tree(dst)
        harness.run(["cp", "-a", self.old, dst])
        self.fill(volume, leave)
        context = "%d bytes of room" % leave
        first = self.sync(self.src, dst, "--json", "--delete", code=None)
        context += "\n%s" % first
        found = treecmp.snapshot(dst)
        self.assertSame(wreck.damage(self.before, self.source, found), context)
        self.assertNoTemporaries(dst)
        if first.code == harness.OK:
            self.assertSame(treecmp.compare(self.source, found), context)
        else:
            self.assertIn(first.code, (harness.PARTIAL, harness.FILE_IO), context)
            self.assertIn("No space left on device", first.stdout + first.stderr, context)
        os.unlink(ballast)
        again = self.sync(self.src, dst, "--json", "--delete", "--wait")
        self.assertSame(treecmp.compare(self.source, treecmp.snapshot(dst)), "%s\n%s" % (context, again))
        self.assertNoTemporaries(dst)
        return first.code != harness.OK

    def fill_at_every_step(self, volume):
        self.build()
        wanted = os.environ.get("URINGSYNC_STEPS", str(STEPS))
        places = list(range(0, self.needed, BLOCK))
        if wanted != "all":
            places = places[::max(1, len(places) // int(wanted))]
        refused = sum(self.one(volume, leave) for leave in places)
        print("%d places, %d of them full" % (len(places), refused))
        self.assertGreater(refused, len(places) // 2)

    def test_on_ext4(self):
        self.fill_at_every_step(self.loop_mount("ext4", MEGABYTES, "volume"))

    def test_on_tmpfs(self):
        self.fill_at_every_step(self.tmpfs("%dm" % MEGABYTES, "volume"))


if __name__ == "__main__":
    harness.main()
