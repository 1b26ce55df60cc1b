#!/usr/bin/env python3
"""A listening agent gives up what it has no use for, and syncs nevertheless."""

import contextlib
import fcntl
import os
import re
import sys
import unittest.mock

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import treecmp  # noqa: E402
import zoo  # noqa: E402


class Confinement(harness.Case):
    def test_every_thread_is_confined(self):
        os.mkdir(self.path("root"))
        agent = self.agent({"r": self.path("root")})
        threads = os.listdir("/proc/%d/task" % agent.pid)
        self.assertGreater(len(threads), 2)
        for thread in threads:
            with open("/proc/%d/task/%s/status" % (agent.pid, thread)) as file:
                told = file.read()
            self.assertIn("NoNewPrivs:\t1\n", told)
            self.assertIn("Seccomp:\t2\n", told)
            if harness.is_root():
                effective = int(re.search(r"CapEff:\t([0-9a-f]+)", told).group(1), 16)
                self.assertFalse(effective & (1 << 19), "CAP_SYS_PTRACE is kept")
                self.assertFalse(effective & (1 << 12), "CAP_NET_ADMIN is kept")

    def test_a_tree_is_synced_and_nothing_is_said_about_locks(self):
        os.mkdir(self.path("from"))
        os.mkdir(self.path("to"))
        zoo.random_tree(self.path("from/src"), 7)
        source = self.agent({"r": self.path("from") + ":ro"})
        destination = self.agent({"r": self.path("to")})
        result = self.sync(source.endpoint("r", "src"), destination.endpoint("r", "dst"))
        self.assertNotIn("cannot be locked", result.stderr)
        self.assertSame(treecmp.compare(treecmp.snapshot(self.path("from/src")), treecmp.snapshot(self.path("to/dst"))), result.stderr)

    def test_a_session_above_the_root_excludes_one_in_it(self):
        os.makedirs(self.path("above/root/src"))
        os.mkdir(self.path("source"))
        inner = self.agent({"r": self.path("above/root")})
        with _locked(self.path("above")):
            refused = self.sync(self.path("source"), inner.endpoint("r", "dst"), code=11)
        self.assertIn("in use by another session", refused.stderr)

    def test_nothing_is_left_where_scratch_was(self):
        for name in ("root", "scratch"):
            os.mkdir(self.path(name))
        with unittest.mock.patch.dict(os.environ, {"TMPDIR": self.path("scratch")}):
            agent = self.agent({"r": self.path("root")})
        made = os.listdir(self.path("scratch"))
        agent.stop()
        if "landlock=off" in agent.output():
            self.skipTest("the kernel has no Landlock: the agent makes its scratch files where everybody does")
        self.assertEqual(len(made), 1, made)
        self.assertTrue(made[0].startswith("uringsync-agent-"), made)
        self.assertEqual(os.listdir(self.path("scratch")), [])


@contextlib.contextmanager
def _locked(path):
    """As a session that writes to `path` holds it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    harness.main()
