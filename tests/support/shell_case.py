"""Integration tests through a remote shell: one that drops the host and runs the rest in a directory of its own."""

import os

import harness
import treecmp

# Drops what rsync's users have before the command, remembers what it was asked for, and runs the rest in a directory of its own.
FAKE_SHELL = """#!/bin/sh
printf '%%s\\n' "$*" >> %(log)s
while [ "$1" = -l ]; do shift 2; done
shift
cd %(home)s || exit 9
HOME=%(home)s
export HOME
PATH=%(path)s
export PATH
exec sh -c "echo \\$\\$ >> %(pids)s; exec $*"
"""


def moved(pid):
    """Bytes that a process has read and written."""
    try:
        with open("/proc/%d/io" % pid) as file:
            return sum(int(line.split()[1]) for line in file if line.startswith(("rchar", "wchar")))
    except OSError:
        return 0


class Trees(harness.Case):
    def assertEqualTrees(self, src, dst):
        self.assertSame(treecmp.compare(treecmp.snapshot(src), treecmp.snapshot(dst)))


class ShellCase(Trees):
    def setUp(self):
        super().setUp()
        self.src, self.dst, self.home = self.path("src"), self.path("dst"), self.path("home")
        os.makedirs(self.src)
        os.makedirs(self.home)
        self.rsh = self.shell("rsh")

    def shell(self, name, path=None, text=FAKE_SHELL):
        where = self.path(name)
        with open(where, "w") as file:
            file.write(text % {"log": self.path("log"), "home": self.home, "pids": self.path("pids"),
                               "path": path or harness.BIN_DIR + ":" + os.environ["PATH"]})
        os.chmod(where, 0o755)
        return where

    def write(self, path, content=b"content"):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)

    def small_tree(self, root, files=300):
        for i in range(files):
            self.write(os.path.join(root, "d%d" % (i % 7), "f%d" % i), b"x" * (i * 37 % 5000))

    def far_pids(self):
        try:
            with open(self.path("pids")) as file:
                return [int(line) for line in file]
        except FileNotFoundError:
            return []

    def assertGone(self, pids, seconds=10):
        self.assertTrue(pids)
        harness.wait_until(lambda: not any(harness.alive(pid) for pid in pids), seconds, "the end of the far agents %s" % pids)

    def shell_sync(self, *arguments, **options):
        return self.cli("sync", "-e", self.rsh, *arguments, **options)

    def slow_run(self, *arguments):
        """A run that is at work on one large file, and the far agents' pids."""
        self.write(os.path.join(self.src, "large"), os.urandom(64 << 20))
        # What a ring transfers does not show in moved().
        process = self.start("sync", "-e", self.rsh, "--rsync-path", "uringsync-agent --io-backend threads", "--bwlimit=2M", *arguments)
        harness.wait_until(lambda: any(moved(pid) > 4 << 20 for pid in self.far_pids()), 30, "contents under way")
        return process, self.far_pids()
