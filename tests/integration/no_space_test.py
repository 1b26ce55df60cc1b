#!/usr/bin/env python3
"""A destination that fills up: told by name, nothing half under a final name, and the next run with room converges."""

import random
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import treecmp  # noqa: E402


class NoSpace(harness.Case):
    def fill(self, volume):
        src, dst = self.path("src"), os.path.join(volume, "dst")
        rng = random.Random(11)
        for number in range(40):
            os.makedirs(os.path.join(src, "d%02d" % number))
            with open(os.path.join(src, "d%02d" % number, "file"), "wb") as file:
                file.write(rng.randbytes(1 << 20))
        with open(os.path.join(src, "aaa-first"), "wb") as file:
            file.write(b"small")
        result = self.sync(src, dst, code=(harness.PARTIAL, harness.FILE_IO))
        self.assertIn("No space left on device", result.stderr)
        self.assertLess(len(result.stderr.splitlines()), 60)
        source, there = treecmp.snapshot(src), treecmp.snapshot(dst)
        halves = [path for path, record in there.items() if record.digest and record.digest != source[path].digest]
        self.assertEqual([], halves, "half files under final names")
        self.assertNoTemporaries(volume)
        return src, dst, source

    def test_a_small_ext4_volume(self):
        volume = self.loop_mount("ext4", 16, "volume")
        src, dst, _ = self.fill(volume)
        for number in range(35):
            os.unlink(os.path.join(src, "d%02d" % number, "file"))
        # What is new comes before what is deleted, so the room that --delete makes may help only the next run.
        self.sync(src, dst, "--delete", code=(harness.OK, harness.PARTIAL))
        self.sync(src, dst, "--delete")
        self.assertSame(treecmp.compare(treecmp.snapshot(src), treecmp.snapshot(dst)))

    def test_a_small_tmpfs_that_gets_room_later(self):
        volume = self.tmpfs("16m", "volume")
        src, dst, source = self.fill(volume)
        grown = harness.run(["mount", "-o", "remount,size=64m", volume])
        self.assertEqual(0, grown.code, str(grown))
        self.sync(src, dst)
        self.assertSame(treecmp.compare(source, treecmp.snapshot(dst)))

    def test_with_partial_the_beginning_of_what_did_not_fit_stays(self):
        volume = self.tmpfs("16m", "volume")
        data = random.Random(3).randbytes(24 << 20)
        os.makedirs(self.path("src"))
        for name, text in (("big", data), ("small", b"x")):
            with open(self.path("src", name), "wb") as file:
                file.write(text)
        dst = os.path.join(volume, "dst")
        for options, part in ((["--partial"], "big"), (["--partial-dir=.parts"], ".parts/big")):
            with self.subTest(options=options):
                result = self.sync(self.path("src"), dst, "--jobs=1", *options, code=harness.PARTIAL)
                self.assertIn("No space left on device", result.stderr)
                with open(os.path.join(dst, part), "rb") as file:
                    kept = file.read()
                self.assertTrue(0 < len(kept) < len(data), len(kept))
                self.assertEqual(data[:len(kept)], kept)
                self.assertNoTemporaries(volume)
                harness.remove_tree(dst)

    def test_no_inodes_left(self):
        volume = self.tmpfs("64m,nr_inodes=200", "volume")
        os.makedirs(self.path("src"))
        for number in range(400):
            with open(self.path("src", "f%d" % number), "w") as file:
                file.write("x")
        result = self.sync(self.path("src"), os.path.join(volume, "dst"), code=(harness.PARTIAL, harness.FILE_IO))
        self.assertIn("No space left on device", result.stderr)
        self.assertNoTemporaries(volume)

    def test_a_directory_without_an_inode_is_told_once(self):
        volume = self.tmpfs("64m,nr_inodes=40", "volume")
        for number in range(100):
            os.makedirs(self.path("src", "d%03d" % number))
        result = self.sync(self.path("src"), os.path.join(volume, "dst"), "-v", code=harness.PARTIAL)
        self.assertIn("mkdir: No space left on device", result.stderr)
        self.assertNotIn("stat:", result.stderr)
        self.assertNotIn("No such file", result.stderr)

    def test_one_file_too_large_fails_alone(self):
        for kind, volume in (("tmpfs", self.tmpfs("32m", "tmpfs")), ("ext4", self.loop_mount("ext4", 32, "ext4"))):
            src, dst = self.path("src-" + kind), os.path.join(volume, "dst")
            os.makedirs(os.path.join(src, "small"))
            for name in ("aaa-large", "mmm-large", "zzz-large"):
                with open(os.path.join(src, name), "wb") as file:
                    file.write(os.urandom(48 << 20))
            for number in range(400):
                with open(os.path.join(src, "small", "f%03d" % number), "wb") as file:
                    file.write(os.urandom(20000))
            with open(os.path.join(src, "zzzz"), "wb") as file:
                file.write(b"the last one")
            result = self.sync(src, dst, code=harness.PARTIAL)
            told = [line for line in result.stderr.splitlines() if "No space left on device" in line]
            self.assertEqual(3, len(told), str(result))
            for name in ("aaa-large", "mmm-large", "zzz-large"):
                self.assertTrue(any(name + ": " in line for line in told), str(result))
            # However many of the small ones met a volume that a large one had just filled.
            self.assertEqual(400, len(os.listdir(os.path.join(dst, "small"))))
            self.assertEqual(["small", "zzzz"], sorted(os.listdir(dst)))
            self.assertNoTemporaries(volume)
            for name in ("aaa-large", "mmm-large", "zzz-large"):
                os.unlink(os.path.join(src, name))
            again = self.sync(src, dst, "--json").summary
            self.assertEqual(1, again["plan"]["actions"])  # the time of the root, where three files were removed

    def test_a_full_volume_is_not_tried_file_by_file(self):
        volume = self.tmpfs("1m", "volume")
        os.makedirs(self.path("src"))
        for number in range(5000):
            with open(self.path("src", "f%04d" % number), "wb") as file:
                file.write(b"x" * 4000)
        result = self.sync(self.path("src"), os.path.join(volume, "dst"), code=(harness.PARTIAL, harness.FILE_IO))
        self.assertIn("No space left on device", result.stderr)
        self.assertLess(result.seconds, 10 * harness.SLOWNESS)

    def test_a_file_larger_than_the_limit_of_the_process(self):
        os.makedirs(self.path("src"))
        with open(self.path("src", "large"), "wb") as file:
            file.write(os.urandom(8 << 20))
        with open(self.path("src", "small"), "wb") as file:
            file.write(b"small")
        result = self.sync(self.path("src"), self.path("dst"), prefix=["prlimit", "--fsize=%d" % (4 << 20)], code=None)
        self.assertEqual(harness.PARTIAL, result.code, str(result))
        self.assertIn("large", result.stderr)
        self.assertEqual(["small"], os.listdir(self.path("dst")))


if __name__ == "__main__":
    harness.main()
