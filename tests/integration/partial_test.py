#!/usr/bin/env python3
"""Runs that break off with --partial and --partial-dir: what came is kept, and the next run does not have it sent again."""

import os
import random
import signal
import stat
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import treecmp  # noqa: E402

MIB = 1 << 20
SIZE = 40 * MIB
SLOW = "--bwlimit=12M"
# The run is broken off when so much has come, of which some is still in pieces that lie apart.
ARRIVED = 24 * MIB
LEAST = 4 * MIB


class Partial(harness.Case):
    def setUp(self):
        super().setUp()
        for directory in ("a/tree", "b/copy"):
            os.makedirs(self.path(directory))
        self.data = random.Random(1).randbytes(SIZE)
        with open(self.path("a/tree/image"), "wb") as file:
            file.write(self.data)
        os.chmod(self.path("a/tree/image"), 0o640)

    def received(self):
        """Bytes that the destination holds of the file under way."""
        return max([os.stat(name).st_blocks * 512 for name in harness.temporaries(self.path("b")) if os.path.exists(name)], default=0)

    def agents(self):
        return (self.agent({"data": self.path("a")}), self.agent({"store": self.path("b")}, "--session-hold", "1"))

    def break_off(self, options, endpoints, strike):
        process = self.start("sync", SLOW, *options, *endpoints)
        harness.wait_until(lambda: process.poll() is not None or self.received() >= ARRIVED, 60, "a good part of the file")
        self.assertIsNone(process.poll(), "it ended before it was broken off")
        strike(process)
        result = self.finish(process, 60)
        self.assertNotEqual(0, result.code)
        harness.wait_until(lambda: not harness.temporaries(self.path("b")), 60, "the temporaries to go")
        return result

    def check_part(self, name):
        path = self.path("b/copy", name)
        with open(path, "rb") as file:
            part = file.read()
        self.assertTrue(LEAST <= len(part) < SIZE, len(part))
        self.assertEqual(self.data[:len(part)], part, "the part is not the beginning of the file")
        self.assertLess(os.stat(path).st_mtime, 1)
        return len(part)

    def check_next(self, options, endpoints, part):
        # The session that broke off may still be ending.
        summary = self.sync(*endpoints, "--json", "--wait", *options).summary["apply"]
        self.assertEqual(SIZE, summary["bytes_moved"] + summary["bytes_matched"])
        self.assertLessEqual(summary["bytes_moved"], SIZE - part + MIB)
        self.assertSame(treecmp.compare(treecmp.snapshot(self.path("a/tree")), treecmp.snapshot(self.path("b/copy"))))

    def endpoints(self, pair):
        return pair[0].endpoint("data", "tree"), pair[1].endpoint("store", "copy")

    def test_ctrl_c_keeps_the_part_under_the_name_of_the_file(self):
        pair = self.agents()
        ends = self.endpoints(pair)
        result = self.break_off(["--partial"], ends, lambda process: process.send_signal(signal.SIGINT))
        self.assertEqual(harness.INTERRUPTED, result.code)
        self.assertEqual(0o640, stat.S_IMODE(os.stat(self.path("b/copy/image")).st_mode))
        self.check_next(["--partial"], ends, self.check_part("image"))

    def test_a_killed_command_leaves_the_part_in_the_directory(self):
        pair = self.agents()
        ends = self.endpoints(pair)
        self.break_off(["--partial-dir=.parts"], ends, lambda process: process.kill())
        harness.wait_until(lambda: os.path.exists(self.path("b/copy/.parts/image")), 60, "the part")
        self.assertEqual(0o700, stat.S_IMODE(os.stat(self.path("b/copy/.parts")).st_mode))
        self.assertFalse(os.path.exists(self.path("b/copy/image")))
        # A run that deletes leaves it alone, and goes on from it.
        part = self.check_part(".parts/image")
        self.check_next(["--partial-dir=.parts", "--delete"], ends, part)
        self.assertFalse(os.path.exists(self.path("b/copy/.parts")))

    def test_a_source_that_is_gone_leaves_the_part_and_the_old_file(self):
        with open(self.path("b/copy/image"), "wb") as file:
            file.write(b"old")
        source, destination = self.agents()
        self.break_off(["--partial-dir=.parts"], self.endpoints((source, destination)), lambda process: source.kill())
        with open(self.path("b/copy/image"), "rb") as file:
            self.assertEqual(b"old", file.read())
        part = self.check_part(".parts/image")
        again = self.agent({"data": self.path("a")})
        self.check_next(["--partial-dir=.parts"], (again.endpoint("data", "tree"), destination.endpoint("store", "copy")), part)

    def test_a_destination_that_is_told_to_stop_keeps_the_part(self):
        source, destination = self.agents()
        self.break_off(["--partial"], self.endpoints((source, destination)), lambda process: destination.stop())
        part = self.check_part("image")
        again = self.agent({"store": self.path("b")})
        self.check_next(["--partial"], (source.endpoint("data", "tree"), again.endpoint("store", "copy")), part)

    def test_a_part_of_what_the_file_was_is_of_no_harm(self):
        pair = self.agents()
        ends = self.endpoints(pair)
        self.break_off(["--partial-dir=.parts"], ends, lambda process: process.send_signal(signal.SIGTERM))
        self.data = random.Random(2).randbytes(SIZE)
        with open(self.path("a/tree/image"), "wb") as file:
            file.write(self.data)
        self.check_next(["--partial-dir=.parts"], ends, 0)
        self.assertFalse(os.path.exists(self.path("b/copy/.parts")))

    def test_two_runs_that_break_off_lose_nothing_of_the_first(self):
        pair = self.agents()
        ends = self.endpoints(pair)
        self.break_off(["--partial"], ends, lambda process: process.send_signal(signal.SIGINT))
        first = self.check_part("image")
        process = self.start("sync", SLOW, "--wait", "--partial", *ends)
        harness.wait_until(lambda: process.poll() is not None or self.received() > 0, 60, "the second run to begin")
        process.send_signal(signal.SIGINT)
        self.finish(process, 60)
        harness.wait_until(lambda: not harness.temporaries(self.path("b")), 60, "the temporaries to go")
        second = self.check_part("image") if os.path.getsize(self.path("b/copy/image")) < SIZE else SIZE
        self.assertGreaterEqual(second, first)
        self.check_next(["--partial"], ends, second)

    def test_appending_goes_on_from_a_part(self):
        pair = self.agents()
        ends = self.endpoints(pair)
        self.break_off(["--partial"], ends, lambda process: process.send_signal(signal.SIGINT))
        part = self.check_part("image")
        inode = os.stat(self.path("b/copy/image")).st_ino
        summary = self.sync(*ends, "--json", "--append").summary["apply"]
        self.assertEqual(SIZE - part, summary["bytes_moved"])
        self.assertEqual(inode, os.stat(self.path("b/copy/image")).st_ino)
        self.assertSame(treecmp.compare(treecmp.snapshot(self.path("a/tree")), treecmp.snapshot(self.path("b/copy"))))

    def test_an_append_that_breaks_off_leaves_a_beginning(self):
        with open(self.path("b/copy/image"), "wb") as file:
            file.write(self.data[:MIB])
        pair = self.agents()
        process = self.start("sync", "--bwlimit=4M", "--append-verify", *self.endpoints(pair))
        name = self.path("b/copy/image")
        harness.wait_until(lambda: process.poll() is not None or os.path.getsize(name) >= 6 * MIB, 60, "some of the rest")
        pair[1].kill()
        self.finish(process, 60)
        with open(name, "rb") as file:
            part = file.read()
        self.assertTrue(6 * MIB <= len(part) < SIZE, len(part))
        self.assertEqual(self.data[:len(part)], part)


class Elsewhere(harness.Case):
    def setUp(self):
        super().setUp()
        for directory in ("a/tree/sub", "b/copy", "staging"):
            os.makedirs(self.path(directory))
        for name, size in (("tree/large", 5 * MIB), ("tree/small", 1000), ("tree/sub/empty", 0)):
            with open(self.path("a", name), "wb") as file:
                file.write(random.Random(size).randbytes(size))
        with open(self.path("b/copy/small"), "wb") as file:
            file.write(b"as it was")

    def check(self, *options):
        self.sync(self.path("a/tree"), self.path("b/copy"), *options)
        self.assertSame(treecmp.compare(treecmp.snapshot(self.path("a/tree")), treecmp.snapshot(self.path("b/copy"))))
        self.assertNoTemporaries(self.dir)

    def test_files_are_put_together_in_another_directory(self):
        self.check("-T", self.path("staging"))
        self.assertEqual([], os.listdir(self.path("staging")))

    def test_a_relative_one_is_seen_from_the_destination(self):
        self.check("--temp-dir=../../staging")

    def test_files_are_put_together_on_another_file_system(self):
        staging = self.tmpfs("20m", "other")
        self.check("-T", staging)
        self.assertEqual([], os.listdir(staging))

    def test_one_that_is_missing_is_an_error_before_anything_is_done(self):
        for more in ([], ["-n"]):
            result = self.sync(self.path("a/tree"), self.path("b/copy"), "-T", self.path("nowhere"), *more, code=harness.USAGE)
            self.assertIn("The temp-dir does not exist: " + self.path("nowhere"), result.stderr)
        self.assertEqual(["small"], os.listdir(self.path("b/copy")))

    def test_updates_that_wait_for_each_other_leave_nothing_behind(self):
        self.check("--delay-updates", "--delete")
        self.assertEqual({"large", "small", "sub"}, set(os.listdir(self.path("b/copy"))))

    def test_a_file_of_a_similar_name_is_the_old_contents_of_a_new_one(self):
        old = random.Random(5).randbytes(8 * MIB)
        with open(self.path("b/copy/image-1.0.bin"), "wb") as file:
            file.write(old)
        with open(self.path("a/tree/image-1.1.bin"), "wb") as file:
            file.write(old[:3 * MIB] + b"something else" + old[3 * MIB + 14:])
        pair = self.agent({"data": self.path("a")}), self.agent({"store": self.path("b")})
        ends = pair[0].endpoint("data", "tree"), pair[1].endpoint("store", "copy")
        apply = self.sync(*ends, "--json", "--fuzzy", "--no-whole-file", "--delete").summary["apply"]
        self.assertLess(apply["bytes_moved"], 6 * MIB)
        self.assertGreater(apply["bytes_matched"], 7 * MIB)
        self.assertSame(treecmp.compare(treecmp.snapshot(self.path("a/tree")), treecmp.snapshot(self.path("b/copy"))))


if __name__ == "__main__":
    harness.main()
