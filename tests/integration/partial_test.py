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
        return (self.agent({"data": self.path("a")}), self.agent({"store": self.path("b")}))

    def break_off(self, options, endpoints, strike):
        process = self.start("sync", SLOW, *options, *endpoints)
        harness.wait_until(lambda: process.poll() is not None or self.received() >= ARRIVED, 60, "a good part of the file")
        self.assertIsNone(process.poll(), "it ended before it was broken off")
        strike(process)
        result = self.finish(process, 60)
        self.assertNotEqual(0, result.code)
        harness.wait_until(lambda: not harness.temporaries(self.path("b")), 30, "the temporaries to go")
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
        harness.wait_until(lambda: os.path.exists(self.path("b/copy/.parts/image")), 30, "the part")
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
        harness.wait_until(lambda: not harness.temporaries(self.path("b")), 30, "the temporaries to go")
        second = self.check_part("image") if os.path.getsize(self.path("b/copy/image")) < SIZE else SIZE
        self.assertGreaterEqual(second, first)
        self.check_next(["--partial"], ends, second)


if __name__ == "__main__":
    harness.main()
