#!/usr/bin/env python3
"""Files that another process writes all the time: a log that grows, a database that is written over. Whatever the reader meets, ursync ends as
rsync does, with what was there; once the writer has ended, the next run makes everything equal."""

import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import shell_case  # noqa: E402
import treecmp  # noqa: E402

# Appends lines to some files and changes places of others as fast as it can, until its input ends. Says "." once all are on their way.
WRITER = """
import os, select, sys
logs = [open(os.path.join(sys.argv[1], name), "ab", buffering=0) for name in ("log", "large-log")]
files = [open(os.path.join(sys.argv[1], name), "r+b", buffering=0) for name in ("db", "large-db")]
count = 0
while not select.select([0], [], [], 0)[0]:
    for log in logs:
        log.write(b"line %09d\\n" % count)
    for file in files:
        file.seek(count * 4096 % 60000)
        file.write(b"page %09d" % count)
    count += 1
    if count == 100:
        print(".", flush=True)
"""
TOLD = re.compile(r'ursync: "[^"]*/(log|large-log|db|large-db)" kept changing while it was read; copied as it was$')


class MovingFiles(shell_case.ShellCase):
    def setUp(self):
        super().setUp()
        for name, size in (("log", 100), ("large-log", 3 << 20), ("db", 64 << 10), ("large-db", 9 << 20), ("quiet", 5000)):
            self.write(os.path.join(self.src, name), (b"line %09d\n" % 7) * (size // 15 + 1))
        self.writer = subprocess.Popen([sys.executable, "-c", WRITER, self.src], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(self.rest)
        self.assertEqual(b".", self.writer.stdout.read(1))

    def rest(self):
        if self.writer is not None:
            self.writer.communicate()
        self.writer = None

    def ursync(self, *arguments):
        # What is written within the second of a copy has the same time by the second, also for rsync.
        result = harness.run([harness.URSYNC, "-a", "--modify-window=-1", *arguments, "--rsync-path=" + harness.URSYNC, "-e", self.rsh])
        self.assertEqual(0, result.code, str(result))
        for line in result.stderr.splitlines():
            self.assertRegex(line, TOLD)

    def check(self, *arguments, meanwhile=()):
        """Copies while the writer is at work, and again when it is not."""
        self.ursync(*meanwhile, *arguments)
        for name in ("log", "large-log"):
            with open(os.path.join(self.dst, name), "rb") as file:
                copied = file.read()
            with open(os.path.join(self.src, name), "rb") as file:
                self.assertEqual(copied, file.read(len(copied)), "%s is no beginning of what was there" % name)
        self.ursync(*meanwhile, *arguments)
        self.assertEqual(5, len(os.listdir(self.dst)))
        self.rest()
        self.ursync(*arguments)
        self.assertSame(treecmp.compare(treecmp.snapshot(self.src), treecmp.snapshot(self.dst)))

    def test_between_local_paths(self):
        self.check(self.src + "/", self.dst)

    def test_written_in_place(self):
        self.check("--inplace", self.src + "/", self.dst)

    def test_appended(self):
        # What only is another one within its length is left alone by --append.
        self.check(self.src + "/", self.dst, meanwhile=["--append-verify"])

    def test_with_durability(self):
        self.check("--fsync", self.src + "/", self.dst)

    def test_pulled_through_a_shell(self):
        self.check("host:" + self.src + "/", self.dst)

    def test_pushed_through_a_shell_compressed(self):
        self.check("-z", self.src + "/", "host:" + self.dst)

    def test_as_a_delta(self):
        self.check("--no-whole-file", self.src + "/", "host:" + self.dst)

    def test_between_running_agents_over_several_connections(self):
        agent = self.agent({"data": self.dir})
        try:
            result = self.cli("sync", "--unstable=copy", "--connections=4", self.src, agent.endpoint("data", "dst"))
            self.assertIn("" if "changing" not in result.stderr else "copied as it was read", result.stderr)
        finally:
            self.rest()
        self.cli("sync", "--unstable=copy", self.src, agent.endpoint("data", "dst"))
        self.assertSame(treecmp.compare(treecmp.snapshot(self.src), treecmp.snapshot(self.dst)))


if __name__ == "__main__":
    harness.main()
