#!/usr/bin/env python3
"""--detect-renames: what was moved at the source is not sent again, whatever happens in between."""

import os
import random
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import treecmp  # noqa: E402

MIB = 1 << 20


def noise(size, seed):
    return random.Random(seed).randbytes(size)


class Renames(harness.Case):
    def setUp(self):
        super().setUp()
        for directory in ("a/tree", "b"):
            os.makedirs(self.path(directory))
        self.src, self.dst = self.path("a", "tree"), self.path("b", "copy")

    def write(self, name, data):
        path = os.path.join(self.src, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)

    def agents(self, backend="auto"):
        pair = (self.agent({"data": self.path("a")}, "--io-backend", backend), self.agent({"store": self.path("b")}, "--io-backend", backend))
        self.ends = (pair[0].endpoint("data", "tree"), pair[1].endpoint("store", "copy"))
        return pair

    def between(self, *options, **others):
        return self.sync(*self.ends, "--json", *options, **others)

    def check_equal(self):
        self.assertSame(treecmp.compare(treecmp.snapshot(self.src), treecmp.snapshot(self.dst)))
        self.assertNoTemporaries(self.path("b"))

    def make_tree(self):
        """50 MB: small and large files."""
        for number in range(400):
            self.write("old/d%d/f%d" % (number % 20, number), noise(25000 + number, number))
        for number in range(4):
            self.write("old/large%d" % number, noise(10 * MIB + number, number))

    def rename_a_directory(self, backend):
        self.make_tree()
        self.agents(backend)
        self.between()
        before = os.stat(os.path.join(self.dst, "old/large1")).st_ino
        os.rename(os.path.join(self.src, "old"), os.path.join(self.src, "new name"))
        summary = self.between("--delete", "--detect-renames").summary
        self.check_equal()
        self.assertEqual(404, summary["apply"]["files_renamed"])
        self.assertEqual((0, 0), (summary["apply"]["bytes_moved"], summary["apply"]["bytes_written"]))
        self.assertLess(summary["apply"]["wire_bytes"], 300000)
        self.assertEqual((404, 404), (summary["plan"]["renames"], summary["changes"]["renamed"]))
        self.assertEqual(before, os.stat(os.path.join(self.dst, "new name/large1")).st_ino)
        self.assertEqual(0, self.between("--delete", "--detect-renames").summary["plan"]["actions"])

    def test_a_renamed_directory_is_not_sent_again_over_uring(self):
        if not harness.uring_works():
            self.skipTest("io_uring cannot be set up here")
        self.rename_a_directory("uring")

    def test_a_renamed_directory_is_not_sent_again_over_threads(self):
        self.rename_a_directory("threads")

    def rotate(self, backend):
        for number in range(4):
            self.write("log.%d" % number, noise(2 * MIB + 1000 * number, number))
        self.write("x", noise(3 * MIB, 10))
        self.write("y", noise(3 * MIB + 1, 11))
        self.agents(backend)
        self.between()
        for number in reversed(range(4)):
            os.rename(os.path.join(self.src, "log.%d" % number), os.path.join(self.src, "log.%d" % (number + 1)))
        self.write("log.0", noise(1000, 20))
        for old, new in (("x", "t"), ("y", "x"), ("t", "y")):
            os.rename(os.path.join(self.src, old), os.path.join(self.src, new))
        summary = self.between("--detect-renames").summary
        self.check_equal()
        self.assertEqual(6, summary["plan"]["renames"])
        self.assertEqual(1000, summary["apply"]["bytes_moved"])

    def test_chains_and_swaps_are_not_sent_again_over_uring(self):
        if not harness.uring_works():
            self.skipTest("io_uring cannot be set up here")
        self.rotate("uring")

    def test_chains_and_swaps_are_not_sent_again_over_threads(self):
        self.rotate("threads")

    def test_without_delete_a_moved_file_is_copied_at_the_destination(self):
        self.write("old", noise(5 * MIB, 1))
        self.write("small", b"a few bytes")
        self.agents()
        self.between()
        os.rename(os.path.join(self.src, "old"), os.path.join(self.src, "new"))
        os.rename(os.path.join(self.src, "small"), os.path.join(self.src, "tiny"))
        summary = self.between("--detect-renames").summary
        self.assertEqual((0, 0), (summary["apply"]["files_renamed"], summary["apply"]["bytes_moved"]))
        self.assertEqual(["new", "old", "small", "tiny"], sorted(os.listdir(self.dst)))
        for name, seed in (("old", 1), ("new", 1)):
            with open(os.path.join(self.dst, name), "rb") as file:
                self.assertEqual(noise(5 * MIB, seed), file.read())

    def test_equal_size_and_time_prove_nothing(self):
        """Somebody made a file that looks like the moved one: its contents do not get through."""
        self.write("old", noise(3 * MIB, 1))
        self.write("small", b"the right one")
        self.agents()
        self.between()
        for name, data in (("old", noise(3 * MIB, 2)), ("small", b"the WRONG one")):
            stat = os.stat(os.path.join(self.dst, name))
            with open(os.path.join(self.dst, name), "wb") as file:
                file.write(data)
            os.utime(os.path.join(self.dst, name), ns=(stat.st_atime_ns, stat.st_mtime_ns))
            os.rename(os.path.join(self.src, name), os.path.join(self.src, "new-" + name))
        apply = self.between("--delete", "--detect-renames").summary["apply"]
        self.check_equal()
        self.assertEqual(0, apply["files_renamed"])
        self.assertEqual(3 * MIB + 13, apply["bytes_moved"])

    def test_a_backup_of_the_old_name_is_an_object_of_its_own(self):
        self.write("old", noise(2 * MIB, 1))
        self.agents()
        self.between()
        os.rename(os.path.join(self.src, "old"), os.path.join(self.src, "new"))
        apply = self.between("--delete", "--detect-renames", "--backup").summary["apply"]
        self.assertEqual(0, apply["bytes_moved"])
        self.assertEqual(["new", "old~"], sorted(os.listdir(self.dst)))
        self.assertEqual(1, os.stat(os.path.join(self.dst, "new")).st_nlink)

    def test_a_dry_run_and_explain_tell_where_it_comes_from(self):
        self.write("old", b"contents")
        self.cli("sync", self.src, self.dst)
        os.rename(os.path.join(self.src, "old"), os.path.join(self.src, "new"))
        options = ("--delete", "--detect-renames")
        plan = self.cli("plan", *options, self.src, self.dst)
        self.assertIn(">f+++++++++ new  (from old)", plan.stdout)
        events = self.cli("plan", "--json", *options, self.src, self.dst).events
        self.assertEqual(["old"], [event["renamed_from"] for event in events if "renamed_from" in event])
        self.assertIn("old at DST looks like it, and is renamed", self.cli("explain", *options, self.src, self.dst, "new").stdout)
        self.assertEqual(["old"], os.listdir(self.dst))
        told = self.cli("-nav", *options, self.src + "/", self.dst + "/", program=harness.URSYNC)
        self.assertIn('"new" looks like "old" of the destination', told.stdout)

    def test_a_plan_that_was_written_down_renames_as_well(self):
        self.write("old", noise(MIB, 1))
        self.write("gone", b"contents")
        self.cli("sync", self.src, self.dst)
        inode = os.stat(os.path.join(self.dst, "old")).st_ino
        os.rename(os.path.join(self.src, "old"), os.path.join(self.src, "new"))
        os.rename(os.path.join(self.src, "gone"), os.path.join(self.src, "here"))
        self.cli("plan", "--delete", "--detect-renames", "--plan-out", self.path("plan"), self.src, self.dst)
        os.remove(os.path.join(self.dst, "gone"))
        apply = self.cli("apply", "--json", self.path("plan")).summary["apply"]
        self.check_equal()
        self.assertEqual(1, apply["files_renamed"])
        self.assertEqual(inode, os.stat(os.path.join(self.dst, "new")).st_ino)

    def test_deletes_asked_for_first_come_last(self):
        self.write("old", noise(MIB, 1))
        self.cli("-a", self.src + "/", self.dst + "/", program=harness.URSYNC)
        inode = os.stat(os.path.join(self.dst, "old")).st_ino
        os.rename(os.path.join(self.src, "old"), os.path.join(self.src, "new"))
        self.cli("-a", "--delete-before", "--detect-renames", self.src + "/", self.dst + "/", program=harness.URSYNC)
        self.assertEqual(["new"], os.listdir(self.dst))
        self.assertEqual(inode, os.stat(os.path.join(self.dst, "new")).st_ino)

    def test_delayed_updates_and_another_directory_for_temporaries_go_along(self):
        os.makedirs(self.path("b", "tmp"))
        for options in (("--delay-updates",), ("-T", self.path("b", "tmp"))):
            with self.subTest(options=options):
                shutil.rmtree(self.src)
                os.makedirs(self.src)
                self.write("old", noise(MIB, 1))
                self.cli("sync", "--delete", self.src, self.dst)
                os.rename(os.path.join(self.src, "old"), os.path.join(self.src, "new"))
                apply = self.cli("sync", "--json", "--delete", "--detect-renames", *options, self.src, self.dst).summary["apply"]
                self.check_equal()
                self.assertEqual(1, apply["files_renamed"])

    def test_a_destination_that_dies_midway_loses_nothing(self):
        """What was there before is there afterwards, under its old name or under its new one, and the next run converges."""
        self.make_tree()
        pair = self.agents()
        self.between()
        os.rename(os.path.join(self.src, "old"), os.path.join(self.src, "new"))
        digests = {record.digest for record in treecmp.snapshot(self.src).values() if record.digest}
        process = self.start("sync", "--json", "--delete", "--detect-renames", *self.ends)
        harness.wait_until(lambda: process.poll() is not None or os.path.exists(os.path.join(self.dst, "new/d0")), 60, "the new directory")
        pair[1].kill()
        self.finish(process, 30)
        left = {record.digest for path, record in treecmp.snapshot(self.dst).items() if record.digest and b".~uringsync~" not in path}
        self.assertEqual(digests, left)
        self.agents()
        summary = self.between("--delete", "--detect-renames").summary
        self.check_equal()
        self.assertEqual(0, summary["apply"]["bytes_moved"])


if __name__ == "__main__":
    harness.main()
