#!/usr/bin/env python3
"""Where io_uring is refused, as container runtimes do: `auto` falls back and says so once; `uring` fails with the reason."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import treecmp  # noqa: E402
import zoo  # noqa: E402

DENY = os.path.join(harness.REPOSITORY, "tests", "support", "deny_io_uring.py")


class Backend(harness.Case):
    def setUp(self):
        super().setUp()
        zoo.make(self.path("src"), deep=False, huge=False, entries=300)

    def refused(self, error):
        prefix = [sys.executable, DENY, error]
        probe = harness.run(prefix + ["true"])
        if probe.code:
            self.skipTest("no seccomp filter can be installed here: %s" % probe.stderr.strip())
        return prefix

    def test_auto_falls_back_and_says_so_once(self):
        for error, text in (("EPERM", "Operation not permitted"), ("ENOSYS", "Function not implemented")):
            with self.subTest(error=error):
                prefix = self.refused(error)
                result = self.sync(self.path("src"), self.path("dst-" + error), prefix=prefix)
                lines = [line for line in result.stderr.splitlines() if "io_uring" in line]
                self.assertEqual(1, len(lines), str(result))
                self.assertIn(text, lines[0])
                self.assertIn("threads", lines[0])
                self.assertSame(treecmp.compare(treecmp.snapshot(self.path("src")), treecmp.snapshot(self.path("dst-" + error))))
                summary = self.sync(self.path("src"), self.path("dst-" + error), "--json", prefix=prefix).summary
                self.assertEqual("threads", summary["io_backend"]["destination"])
                self.assertEqual(0, summary["plan"]["actions"])

    def test_threads_say_nothing_of_io_uring(self):
        result = self.sync(self.path("src"), self.path("dst"), "--io-backend", "threads", prefix=self.refused("EPERM"))
        self.assertNotIn("io_uring", result.stderr)

    def test_uring_that_is_refused_fails_and_names_cause_and_fix(self):
        result = self.sync(self.path("src"), self.path("dst"), "--io-backend", "uring", prefix=self.refused("EPERM"), code=None)
        self.assertNotEqual(0, result.code)
        self.assertLess(result.code, 31)
        self.assertIn("io_uring", result.stderr)
        self.assertIn("--io-backend", result.stderr)

    def test_agents_fall_back_each_for_itself(self):
        os.makedirs(self.path("pool"))
        confined = self.agent({"pool": self.path("pool")}, prefix=self.refused("EPERM"))
        free = self.agent({"src": self.path("src") + ":ro"})
        summary = self.sync(free.endpoint("src"), confined.endpoint("pool", "copy"), "--json").summary
        self.assertEqual("threads", summary["io_backend"]["destination"])
        if harness.uring_works():
            self.assertEqual("uring", summary["io_backend"]["source"])
        self.assertSame(treecmp.compare(treecmp.snapshot(self.path("src")), treecmp.snapshot(self.path("pool", "copy"))))
        self.assertEqual(1, sum("io_uring" in line for line in confined.output().splitlines()), confined.output())

    def test_doctor_tells_that_io_uring_is_refused_and_what_to_do(self):
        confined = self.cli("doctor", self.dir, prefix=self.refused("EPERM"), code=None)
        self.assertIn("seccomp", confined.stdout + confined.stderr)
        if harness.uring_works():
            self.cli("doctor", self.dir)


if __name__ == "__main__":
    harness.main()
