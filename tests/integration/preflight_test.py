#!/usr/bin/env python3
"""What cannot go well is said before the first byte moves."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402


class Preflight(harness.Case):
    def setUp(self):
        super().setUp()
        self.src = self.path("src")
        os.makedirs(self.src)

    def write(self, name, size):
        with open(os.path.join(self.src, name), "wb") as file:
            file.write(os.urandom(size))
            file.flush()
            os.fsync(file.fileno())  # some file systems count what is on disk only once it is

    def test_a_run_that_finds_no_room_does_not_begin(self):
        dst = self.tmpfs("4m", "dst")
        for n in range(6):
            self.write("f%d" % n, 1 << 20)
        refused = self.cli("sync", "--preflight", self.src, dst, code=harness.FILE_IO)
        self.assertIn("no room for 6 MiB", refused.stderr)
        self.assertIn("--no-preflight", refused.stderr)
        self.assertEqual([], os.listdir(dst))
        for n in range(3):
            os.remove(os.path.join(self.src, "f%d" % n))
        self.cli("sync", "--preflight", self.src, dst)
        self.assertEqual(3, len(os.listdir(dst)))

    def test_plans_are_refused_too_and_without_it_they_are_not(self):
        dst = self.tmpfs("1m", "dst")
        self.write("f", 2 << 20)
        plan = self.path("a.plan")
        self.cli("plan", "--preflight", "--plan-out", plan, self.src, dst, code=harness.FILE_IO)
        self.assertFalse(os.path.exists(plan))
        self.cli("plan", "--plan-out", plan, self.src, dst)
        self.assertIn("no room", self.cli("apply", "--preflight", plan, code=harness.FILE_IO).stderr)
        self.assertEqual([], os.listdir(dst))

    def test_inodes_count(self):
        dst = self.tmpfs("4m,nr_inodes=8", "dst")
        for n in range(20):
            self.write("f%d" % n, 10)
        self.assertIn("no inodes for 20", self.cli("sync", "--preflight", self.src, dst, code=harness.FILE_IO).stderr)
        self.assertEqual([], os.listdir(dst))

    def test_a_read_only_file_system_fails_what_is_to_be_written(self):
        dst = self.tmpfs("1m", "dst")
        self.write("f", 10)
        self.cli("sync", self.src, dst)
        subprocess.run(["mount", "-o", "remount,ro", dst], check=True)
        self.assertIn("read-only", self.cli("sync", self.src, dst).stderr)
        quiet = harness.run([harness.URSYNC, "-a", self.src + "/", dst])
        self.assertEqual((0, ""), (quiet.code, quiet.stderr))
        self.write("g", 10)
        self.assertIn("Read-only", self.cli("sync", self.src, dst, code=harness.PARTIAL).stderr)
        self.assertEqual(harness.PARTIAL, harness.run([harness.URSYNC, "-a", self.src + "/", dst]).code)
        self.assertIn("read-only", self.cli("plan", self.src, dst).stderr)
        self.assertNotIn("mount it writable", self.cli("plan", "--no-preflight", self.src, dst).stderr)

    def test_what_the_destination_has_is_told_in_json(self):
        dst = self.tmpfs("4m", "dst")
        opened = [e for e in self.cli("sync", "--json", self.src, dst).events if e["event"] == "opened"][0]
        volume = opened["destination"]["volume"]
        self.assertEqual(4 << 20, volume["bytes_total"])
        self.assertFalse(volume["read_only"] or volume["ignores_case"])
        self.assertEqual(255, volume["name_bytes_max"])


if __name__ == "__main__":
    harness.main()
