#!/usr/bin/env python3
"""Random trees, synced by us and by rsync, must come out the same. A failure prints the seed; URINGSYNC_TEST_SEED repeats it."""

import random
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import treecmp  # noqa: E402
import zoo  # noqa: E402

ROUNDS = 6
SEED = int(os.environ.get("URINGSYNC_TEST_SEED", random.SystemRandom().randrange(1 << 32)))


@harness.unittest.skipUnless(harness.has_rsync(), "rsync is not installed")
class Differential(harness.Case):
    def rsync(self, src, dst, *options):
        """Whether rsync could do it; 23 where it refuses some objects. --modify-window=-1: times in nanoseconds."""
        result = harness.run(["timeout", "--kill-after=5", "60", "rsync", "-aHAXS", "--numeric-ids", "--modify-window=-1", *options,
                              src + "/", dst + "/"])
        return result.code in (0, 23)

    def rounds(self):
        for seed in range(SEED, SEED + ROUNDS):
            print("seed %d" % seed, file=sys.stderr)  # the last one printed is the one that failed
            base = self.path("seed-%d" % seed)
            os.makedirs(base)
            yield seed, lambda *parts: os.path.join(base, *parts)
            harness.remove_tree(base)

    def test_fresh_copies_and_updates_equal_rsyncs(self):
        for seed, at in self.rounds():
            zoo.random_tree(at("src"), seed)
            for step in range(3):
                options = random.Random(seed + step).sample(["--checksum", "--durability=none", "--io-backend=threads"], 1)
                self.sync(at("src"), at("ours"), "--delete", *options)
                self.assertTrue(self.rsync(at("src"), at("theirs"), "--delete"))
                source, ours, theirs = (treecmp.snapshot(at(n)) for n in ("src", "ours", "theirs"))
                self.assertSame(treecmp.compare(source, ours), "step %d, %s" % (step, options))
                self.assertSame(treecmp.compare(theirs, ours, holes=False), "step %d, against rsync" % step)
                self.assertEqual([], harness.rsync_differences(at("src"), at("ours"), "-c"))
                again = self.sync(at("src"), at("ours"), "--delete", "--json", *options).summary
                self.assertEqual(0, again["plan"]["actions"])
                zoo.mutate(at("src"), seed * 7 + step)

    def test_a_destination_that_was_another_tree_becomes_the_source(self):
        for seed, at in self.rounds():
            zoo.random_tree(at("src"), seed)
            zoo.random_tree(at("ours"), seed + 1000)
            self.sync(at("src"), at("ours"), "--delete")
            self.assertSame(treecmp.compare(treecmp.snapshot(at("src")), treecmp.snapshot(at("ours"))))

    def test_without_delete_the_union_equals_rsyncs(self):
        for seed, at in self.rounds():
            zoo.random_tree(at("src"), seed)
            zoo.random_tree(at("ours"), seed)
            zoo.mutate(at("src"), seed + 1)
            zoo.mutate(at("ours"), seed + 2)
            self.assertTrue(self.rsync(at("ours"), at("theirs")))
            if not self.rsync(at("src"), at("theirs")):
                continue  # rsync 3.5 hangs or dies on some trees where a directory would have to make way
            self.sync(at("src"), at("ours"), code=(harness.OK, harness.PARTIAL))
            ours, theirs = treecmp.snapshot(at("ours")), treecmp.snapshot(at("theirs"))
            source = treecmp.snapshot(at("src"))
            self.assertEqual(set(theirs), set(ours))
            self.assertSame(treecmp.compare(theirs, ours, links=False, holes=False, ignore=lambda path: path not in source))

    def test_two_agents_agree_with_rsync(self):
        os.makedirs(self.path("a"))
        os.makedirs(self.path("b"))
        a = self.agent({"r": self.path("a")})
        b = self.agent({"r": self.path("b")})
        print("seed %d" % SEED, file=sys.stderr)
        zoo.random_tree(self.path("a", "t"), SEED)
        for step in range(3):
            self.sync(a.endpoint("r", "t"), b.endpoint("r", "t"), "--delete")
            self.assertSame(treecmp.compare(treecmp.snapshot(self.path("a", "t")), treecmp.snapshot(self.path("b", "t"))))
            self.assertEqual([], harness.rsync_differences(self.path("a", "t"), self.path("b", "t"), "-c"))
            zoo.mutate(self.path("a", "t"), SEED + step)


if __name__ == "__main__":
    harness.main()
