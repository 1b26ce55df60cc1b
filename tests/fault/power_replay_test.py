#!/usr/bin/env python3
"""The power fails under btrfs, by replay: every write to its disk is written down, and put together again as far as any moment.

A run goes to a btrfs in a loop device above tests/support/logged_disk. Afterwards cuts are drawn: the disk has everything that was
written before the last flush ahead of the cut, and of what came since then each sector or not. That is mounted, and what had been
told to be on disk (`durable` events) before the cut is there, whole; the rest is old or new, and the next run makes all of it right.
A cut counts only where at least 100 files had been told to be on disk. Right after exit code 0 everything is on disk.

URINGSYNC_CUTS=N cuts N times in each run. The seed is printed; URINGSYNC_TEST_SEED repeats the draws, but not the run.
"""

import bisect
import itertools
import os
import random
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import block_log  # noqa: E402
import harness  # noqa: E402
import power_cut_test  # noqa: E402
import treecmp  # noqa: E402
import wreck  # noqa: E402

MEGABYTES = 256
CUTS = 3
ENDS_SOON_S = 90


class LoggedRun(power_cut_test.Run):
    """Writes down where the disk's log was when each number of actions was told to be on disk."""

    def __init__(self, command, disk):
        self.disk, self.told = disk, []
        super().__init__(command)

    def heard(self):
        if not self.told or self.told[-1][1] != self.through:
            self.told.append((self.disk.position(), self.through))

    def durable_at(self, position):
        """The actions that were on disk by then."""
        at = bisect.bisect_right([told for told, _ in self.told], position)
        through = self.told[at - 1][1] if at else 0
        return [action for id, action in self.actions.items() if id <= through and action["outcome"] == "done"]


class PowerReplay(power_cut_test.PowerCut):
    test_cuts = None

    def make_disk(self):
        if not shutil.which("mkfs.btrfs"):
            self.skipTest("mkfs.btrfs is not installed")
        image, base, point = self.path("disk.img"), self.path("base.img"), self.path("volume")
        with open(image, "wb") as file:
            file.truncate(MEGABYTES << 20)
        made = harness.run(["mkfs.btrfs", "-q", "-m", "single", image])
        if made.code:
            self.skipTest("mkfs.btrfs: %s" % made.stderr.strip())
        os.makedirs(point)
        self._mount(["mount", "-o", "loop", image, point], point)
        copied = harness.run(["cp", "-a", self.old, os.path.join(point, "tree")])
        self.assertEqual(0, copied.code, str(copied))
        self.unmount(point)
        copied = harness.run(["cp", "--sparse=always", image, base])
        self.assertEqual(0, copied.code, str(copied))
        return image, base, point

    def logged_run(self, disk, point, level):
        # A commit in between, as hours of work have many.
        mounted = harness.run(["mount", "-o", "loop,commit=1", disk.file, point])
        if mounted.code:
            self.skipTest("no loop device over FUSE: %s" % mounted.stderr.strip())
        command = [harness.CLI, "sync", "--json", "-v", "--delete", "--no-progress", "--reflink=never", "--durability=" + level]
        run = LoggedRun([*command, self.src, os.path.join(point, "tree")], disk)
        code = run.finish(ENDS_SOON_S * harness.SLOWNESS)
        self.assertEqual(harness.OK, code, run.error)
        ended = disk.position()
        self.assertEqual("durable", run.summary["state"])
        self.unmount(point)
        return run, ended, command

    def replay(self, log, base, point, position, run, command, rng, ended):
        cut = self.path("cut%d.img" % next(self.numbers))
        came, lost = log.image_at(base, cut, position, rng)
        context = "a cut at %d of %d: %d sectors after the last flush came, %d did not" % (position, ended, came, lost)
        self.mount(cut, point)
        dst = os.path.join(point, "tree")
        found = treecmp.snapshot(dst)
        durable = run.durable_at(position)
        self.check_durable(durable, found, context)
        self.assertSame(wreck.damage(self.before, self.source, found), context)
        if position >= ended:
            self.assertSame(treecmp.compare(self.source, found, holes=False), "after exit code 0\n" + context)
        again = harness.run([*command, self.src, dst])
        self.assertEqual(0, again.code, "%s\n%s" % (context, again))
        self.assertSame(treecmp.compare(self.source, treecmp.snapshot(dst), holes=False), context)
        self.assertNoTemporaries(dst)
        self.unmount(point)
        os.unlink(cut)
        return sum(1 for action in durable if action["action"] == "put"), lost

    def one_run(self, level, rng, cuts):
        image, base, point = self.make_disk()
        disk = block_log.LoggedDisk(self, "disk-" + level, image)
        run, ended, command = self.logged_run(disk, point, level)
        disk.end()
        log = disk.log()
        enough = [position for position, _ in run.told
                  if sum(1 for action in run.durable_at(position) if action["action"] == "put") >= power_cut_test.LEAST_DURABLE]
        self.assertTrue(enough, "never were %d files on disk before the end" % power_cut_test.LEAST_DURABLE)
        places = [record[0] for record in log.records if enough[0] <= record[0] <= ended]
        drawn = [rng.choice(places) for _ in range(cuts - 1)] + [ended]
        return [self.replay(log, base, point, position, run, command, rng, ended) for position in drawn]

    def test_replayed_cuts(self):
        if not harness.is_root():
            self.skipTest("mounting needs root")
        seed = int(os.environ.get("URINGSYNC_TEST_SEED", random.SystemRandom().randrange(1 << 32)))
        print("URINGSYNC_TEST_SEED=%d" % seed)
        rng = random.Random(seed)
        self.numbers = itertools.count()
        self.build(rng)
        cuts = int(os.environ.get("URINGSYNC_CUTS", CUTS))
        results = []
        for level in ("batch", "file"):
            results += self.one_run(level, rng, cuts)
            harness.remove_tree(self.path("volume"))
        self.assertGreaterEqual(min(files for files, _ in results), power_cut_test.LEAST_DURABLE)
        print("%d cuts; %d to %d files were on disk; in %d cuts sectors were lost" % (
            len(results), min(files for files, _ in results), max(files for files, _ in results), sum(lost > 0 for _, lost in results)))


if __name__ == "__main__":
    harness.main()
