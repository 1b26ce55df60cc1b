#!/usr/bin/env python3
"""Random trees, synced by us and by rsync, must come out the same. A failure prints the seed; URINGSYNC_TEST_SEED repeats it."""

import random
import os
import struct
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

    def test_without_modes_and_acls_modes_are_rsyncs(self):
        """The group bits of an object with an ACL are its mask; that is what either program keeps when asked for no modes."""
        def acl(group):
            entries = ((1, 6, 2**32 - 1), (2, 7, 1234), (4, group, 2**32 - 1), (0x10, 7, 2**32 - 1), (0x20, 0, 2**32 - 1))
            return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)

        for side, names, with_acl in (("src", ("new", "srcacl", "both", "dstacl"), ("srcacl", "both")),
                                      ("ours", ("both", "dstacl"), ("both", "dstacl")), ("theirs", ("both", "dstacl"), ("both", "dstacl"))):
            os.makedirs(self.path(side))
            for name in names:
                with open(self.path(side, name), "w") as file:
                    file.write("the contents at " + ("the source" if side == "src" else "the destination"))
                os.chmod(self.path(side, name), 0o644)
                if name in with_acl:
                    try:
                        os.setxattr(self.path(side, name), "system.posix_acl_access", acl(4 if side == "src" else 0))
                    except OSError as error:
                        self.skipTest("no ACLs here: %s" % error)
        self.sync(self.path("src"), self.path("ours"), "--no-perms", "--no-acls")
        theirs = harness.run(["rsync", "-rltgoD", "--no-perms", self.path("src", ""), self.path("theirs", "")])
        self.assertEqual(0, theirs.code, str(theirs))
        modes = [{name: (oct(os.stat(self.path(side, name)).st_mode), os.listxattr(self.path(side, name)))
                  for name in sorted(os.listdir(self.path(side)))} for side in ("ours", "theirs")]
        self.assertEqual(modes[1], modes[0])

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
