#!/usr/bin/env python3
"""Storage that fails: the n-th call of each operation of a real file system says EIO, ENOSPC or EDQUOT, or moves less than it was asked for.

The file system is tests/support/poor_fs, mounted by FUSE, once below the destination and once below the source. After each fault every
object is wholly old or wholly new, exit code 0 means an equal tree, a failure is told, and the next run makes all of it right
without a stray.

Some faults are drawn; the seed is printed and URINGSYNC_TEST_SEED repeats it. URINGSYNC_FAULTS=N draws N, URINGSYNC_FAULTS=all takes
every call of each operation with each errno.
"""

import itertools
import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import poor  # noqa: E402
import treecmp  # noqa: E402
import wreck  # noqa: E402

ERRNOS = ("EIO", "ENOSPC", "EDQUOT")
TRANSFERS = ("read", "write")
DRAWN = 24
OLD, NEW = 1_500_000_000, 1_600_000_000


class StorageFaults(harness.Case):
    def setUp(self):
        super().setUp()
        seed = int(os.environ.get("URINGSYNC_TEST_SEED", random.SystemRandom().randrange(1 << 32)))
        print("URINGSYNC_TEST_SEED=%d" % seed)
        self.rng = random.Random(seed)
        self.runs = self.failed = 0

    def write(self, path, data, when, mode=0o644):
        with open(path, "wb") as file:
            file.write(data)
        os.chmod(path, mode)
        os.utime(path, (when, when))

    def build(self, new, old):
        """Each kind of object in each relation: new, changed, equal, gone, of another type."""
        data = random.Random(3)
        for root in (new, old):
            os.makedirs(os.path.join(root, "d", "deep"))
        for name in ("n1", "n2", "d/n3", "d/deep/n4"):
            self.write(os.path.join(new, name), data.randbytes(5000), NEW)
        self.write(os.path.join(new, "large"), data.randbytes((1 << 20) + 70000), NEW)
        for name in ("c1", "c2", "d/c3"):
            self.write(os.path.join(new, name), data.randbytes(9000), NEW)
            self.write(os.path.join(old, name), b"the old contents", OLD)
        for root, mode in ((new, 0o640), (old, 0o600)):
            self.write(os.path.join(root, "mode"), b"equal", NEW, mode)
        os.setxattr(os.path.join(new, "n1"), "user.a", b"1")
        os.symlink("new target", os.path.join(new, "link"))
        os.symlink("old target", os.path.join(old, "link"))
        os.link(os.path.join(new, "n2"), os.path.join(new, "d", "h2"))
        os.mkfifo(os.path.join(new, "fifo"))
        os.makedirs(os.path.join(new, "made"))
        os.makedirs(os.path.join(old, "gone"))
        self.write(os.path.join(old, "gone", "below"), b"gone", OLD)
        self.write(os.path.join(old, "extra"), b"extra", OLD)
        self.source, self.before = treecmp.snapshot(new), treecmp.snapshot(old)

    def reset(self, old, dst):
        harness.remove_tree(dst)
        copied = harness.run(["cp", "-a", old, dst])
        self.assertEqual(0, copied.code, str(copied))

    def run_sync(self, src, dst):
        return self.cli("sync", "--json", "-v", "--delete", "--jobs=2", src, dst, code=None)

    def rules(self, calls):
        """Every fault, or the drawn ones."""
        every = []
        for call, count in sorted(calls.items()):
            for nth in range(1, count + 1):
                every += ["fail %s %s %d" % (call, error, nth) for error in ERRNOS]
                if call in TRANSFERS:
                    every += ["short %s %d" % (call, nth)]
            every += ["fail %s %s 1 always" % (call, error) for error in ERRNOS]
        every += ["short %s 1 always" % call for call in TRANSFERS if call in calls]
        wanted = os.environ.get("URINGSYNC_FAULTS", str(DRAWN))
        if wanted == "all":
            return every
        # Each operation in turn, so that none is left out for being rare.
        by_call = {}
        for rule in every:
            by_call.setdefault(rule.split()[1], []).append(rule)
        drawn = []
        for call in itertools.cycle(sorted(by_call)):
            if len(drawn) >= int(wanted) or not any(by_call.values()):
                break
            if by_call[call]:
                drawn.append(by_call[call].pop(self.rng.randrange(len(by_call[call]))))
        return drawn

    def one(self, mount, rule, src, dst, there):
        mount.rule("clear", rule)
        result = self.run_sync(src, dst)
        mount.rule("clear")
        harness.wait_unlocked(there)
        context = "%s\n%s" % (rule, result)
        self.runs += 1
        self.assertNotIn("Sanitizer", result.stderr, context)
        self.assertNotEqual(harness.TIMEOUT, result.code, context)
        found = treecmp.snapshot(there)
        self.assertSame(wreck.damage(self.before, self.source, found), context)
        if result.code == harness.OK:
            self.assertSame(treecmp.compare(self.source, found, holes=False), "exit 0\n" + context)
        else:
            self.failed += 1
            told = [event for event in result.events if event["event"] == "problem"]
            self.assertTrue(told or result.stderr.strip() or result.summary.get("message"), "nothing was told\n" + context)
        again = self.run_sync(src, dst)
        self.assertEqual(harness.OK, again.code, "%s\n%s" % (context, again))
        self.assertSame(treecmp.compare(self.source, treecmp.snapshot(there), holes=False), "the next run\n" + context)
        self.assertNoTemporaries(there)

    def sweep(self, mount, src, dst, there, old):
        mount.rule("clear")
        first = self.run_sync(src, dst)
        self.assertEqual(harness.OK, first.code, str(first))
        for rule in self.rules(mount.calls()):
            self.reset(old, there)
            with self.subTest(rule=rule):
                self.one(mount, rule, src, dst, there)
        print("%d faults, %d of the runs failed" % (self.runs, self.failed))

    def test_of_the_destination(self):
        mount = poor.PoorMount(self, "disk")
        src, old, there = self.path("src"), self.path("old"), os.path.join(mount.backing, "dst")
        self.build(src, old)
        self.reset(old, there)
        self.sweep(mount, src, mount.path("dst"), there, old)

    def test_of_the_source(self):
        mount = poor.PoorMount(self, "disk", direct=True)
        src, old, dst = os.path.join(mount.backing, "src"), self.path("old"), self.path("dst")
        self.build(src, old)
        self.reset(old, dst)
        self.sweep(mount, mount.path("src"), dst, dst, old)


if __name__ == "__main__":
    harness.main()
