#!/usr/bin/env python3
"""The zoo of objects under harsh limits: few descriptors, little memory to lock, a memory cgroup, no io_uring, a destination that is read-only,
and a clock that is set by ten years while a run goes on.

Under each the whole tree arrives and a second run does nothing; where that cannot be, the error is clear and nothing was touched.
"""

import contextlib
import os
import platform
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import treecmp  # noqa: E402
import zoo  # noqa: E402

ENTRIES = 200
DENY = [sys.executable, os.path.join(harness.REPOSITORY, "tests", "support", "deny_io_uring.py")]
CLOCK = os.path.join(harness.BIN_DIR, "clock_steps")
MEMORY_BYTES = 128 << 20
TEN_YEARS_S = 10 * 365 * 86400
CGROUP = "/sys/fs/cgroup/memory"


class HarshZoo(harness.Case):
    def make(self, deep=False):
        zoo.make(self.path("src"), self.path("outside"), entries=ENTRIES, deep=deep)
        self.source = treecmp.snapshot(self.path("src"))

    def check(self, prefix, *options, text="", **popen):
        """Everything arrives; a second run does nothing."""
        first = self.sync(self.path("src"), self.path("dst"), "--json", *options, prefix=prefix, **popen)
        self.assertIn(text, first.stdout + first.stderr)
        copied = treecmp.snapshot(self.path("dst"))
        self.assertSame(treecmp.compare(self.source, copied), str(first))
        self.assertNoTemporaries(self.path("dst"))
        second = self.sync(self.path("src"), self.path("dst"), "--json", "--delete", *options, prefix=prefix, **popen)
        self.assertEqual(0, second.summary["plan"]["actions"], str(second))
        self.assertSame(treecmp.touched(copied, treecmp.snapshot(self.path("dst"), content=False)), "the second run changed something")
        return first

    def test_64_descriptors(self):
        self.make(deep=True)
        self.check(["prlimit", "--nofile=64:64"])

    def test_64_kib_of_locked_memory(self):
        # Root is not bound by the limit; what may lock memory is taken away.
        self.make()
        drop = ["setpriv", "--bounding-set=-ipc_lock"] if harness.is_root() else []
        self.check(drop + ["prlimit", "--memlock=65536:65536"])

    def test_no_io_uring(self):
        self.make()
        for error in ("EPERM", "ENOSYS"):
            with self.subTest(error=error):
                self.check(DENY + [error], text="io_uring")
                harness.remove_tree(self.path("dst"))

    @contextlib.contextmanager
    def memory_cgroup(self):
        if not harness.is_root() or not os.path.exists(os.path.join(CGROUP, "memory.limit_in_bytes")):
            self.skipTest("there is no memory cgroup of version 1 that this process may make groups in")
        group = os.path.join(CGROUP, "uringsync-test-%d" % os.getpid())
        os.mkdir(group)
        try:
            with open(os.path.join(group, "memory.limit_in_bytes"), "w") as file:
                file.write(str(MEMORY_BYTES))
            yield group
        finally:
            harness.wait_until(lambda: self.is_gone(group), 20, "the end of what ran in the memory cgroup")

    @staticmethod
    def is_gone(group):
        try:
            os.rmdir(group)
        except OSError:
            return False
        return True

    def test_128_mb_of_memory(self):
        if harness.SLOWNESS > 1:
            self.skipTest("a build with sanitizers needs more for itself")
        self.make(deep=True)
        with self.memory_cgroup() as group:
            def enter():
                with open(os.path.join(group, "cgroup.procs"), "w") as file:
                    file.write("0")
            self.check([], preexec_fn=enter)
            with open(os.path.join(group, "memory.oom_control")) as file:
                killed = [line for line in file if line.startswith("oom_kill ")]
            self.assertEqual(["oom_kill 0\n"], killed[:1] or ["oom_kill 0\n"])

    def test_a_read_only_destination(self):
        self.make()
        volume = self.tmpfs("64m", "volume")
        os.makedirs(os.path.join(volume, "dst", "there"))
        before = treecmp.snapshot(volume)
        remounted = harness.run(["mount", "-o", "remount,ro", volume])
        self.assertEqual(0, remounted.code, str(remounted))
        for path in ("dst", "new"):
            with self.subTest(path=path):
                result = self.sync(self.path("src"), os.path.join(volume, path), code=None)
                self.assertIn(result.code, (harness.SELECTION, harness.FILE_IO, harness.PARTIAL), str(result))
                self.assertIn("ead-only", result.stderr, str(result))
                self.assertNotIn("terminate", result.stderr, str(result))
                # One thing is wrong, and it is not said for every object.
                self.assertLess(len(result.stderr.splitlines()), 120, str(result))
                self.assertSame(treecmp.touched(before, treecmp.snapshot(volume)), "something was changed")

    def test_a_source_that_is_read_only(self):
        self.make()
        point = self.path("bound")
        os.makedirs(point)
        self._mount(["mount", "--bind", self.path("src"), point], point)
        remounted = harness.run(["mount", "-o", "remount,bind,ro", point])
        self.assertEqual(0, remounted.code, str(remounted))
        self.sync(point, self.path("dst"))
        self.assertSame(treecmp.compare(self.source, treecmp.snapshot(self.path("dst"))))

    def test_a_clock_that_steps_by_ten_years(self):
        if platform.machine() != "x86_64":
            self.skipTest("clock_steps knows the registers of x86_64 alone")
        self.make()
        for steps in ([-TEN_YEARS_S], [TEN_YEARS_S, -TEN_YEARS_S, 0, TEN_YEARS_S]):
            with self.subTest(steps=steps):
                told = self.path("steps")
                # A debugger is attached, under which leaks cannot be looked for.
                prefix = ["env", "ASAN_OPTIONS=detect_leaks=0", CLOCK, "--told", told] + [str(step) for step in steps] + ["--"]
                probe = harness.run(prefix + ["/bin/true"])
                if probe.code == 77:
                    self.skipTest(probe.stderr.strip())
                self.check(prefix)
                with open(told) as file:
                    self.assertGreater(int(file.read()), len(steps), "nobody read the clock after each step")
                harness.remove_tree(self.path("dst"))


if __name__ == "__main__":
    harness.main()
