#!/usr/bin/env python3
"""Remote shells that end in the middle of a run: whose failure that is, and what the run ends with."""

import os
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
from shell_case import FAKE_SHELL, ShellCase  # noqa: E402

SHELL_FAILED = 255
# Outlives what it runs, and ends with a code of its own, as ssh does that has lost its connection.
ENDING = FAKE_SHELL.replace("exec sh -c", "sh -c") + "exit %(code)d\n"


class BrokenShell(ShellCase):
    def both_ways(self):
        for source, destination in ((self.src, "host:" + self.dst), ("host:" + self.src, self.dst)):
            with self.subTest(source=source):
                shutil.rmtree(self.dst, ignore_errors=True)
                if os.path.exists(self.path("pids")):
                    os.unlink(self.path("pids"))
                yield source, destination

    def test_a_far_agent_that_is_killed_ends_the_run(self):
        for source, destination in self.both_ways():
            process, pids = self.slow_run(source, destination)
            os.kill(pids[-1], signal.SIGKILL)
            result = self.finish(process, 20)
            self.assertEqual(harness.PROTOCOL, result.code, str(result))
            self.assertIn("host:", result.stderr)
            self.assertGone(pids)

    def test_a_shell_that_breaks_off_hands_its_code_through(self):
        for code, expected in ((SHELL_FAILED, SHELL_FAILED), (137, 137), (3, harness.PROTOCOL)):
            self.rsh = self.shell("rsh-%d" % code, text=ENDING.replace("%(code)d", str(code)))
            for source, destination in self.both_ways():
                process, pids = self.slow_run(source, destination)
                os.kill(pids[-1], signal.SIGKILL)
                result = self.finish(process, 20)
                self.assertEqual(expected, result.code, str(result))
                self.assertIn("its remote shell exited with status %d" % code, result.stderr)

    def test_a_signal_that_the_shell_got_first_is_an_interruption(self):
        for source, destination in self.both_ways():
            process, pids = self.slow_run(source, destination)
            # Both are there when it goes on.
            process.send_signal(signal.SIGSTOP)
            os.kill(pids[-1], signal.SIGKILL)
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGCONT)
            result = self.finish(process, 20)
            self.assertEqual(harness.INTERRUPTED, result.code, str(result))

    def test_a_shell_that_says_nothing_is_not_waited_for_beyond_the_timeout(self):
        pid = self.path("silent")
        silent = self.shell("silent-rsh", text="#!/bin/sh\necho $$ > %s\nexec sleep 600\n" % pid)
        ran = harness.run([harness.URSYNC, "-a", "-e", silent, "--timeout=1", "host:" + self.src, self.dst], timeout=60)
        self.assertEqual(harness.TIMEOUT, ran.code, str(ran))
        self.assertIn("the remote shell of host said nothing for 1s", ran.stderr)
        with open(pid) as file:
            self.assertGone([int(file.read())])

    def test_a_signal_before_a_run_begins_is_an_interruption(self):
        names = self.path("names")
        os.mkfifo(names)
        process = subprocess.Popen([os.path.join(harness.BIN_DIR, "ursync"), "-a", "--files-from=" + names, self.src, self.dst], stderr=subprocess.PIPE)
        writer = os.open(names, os.O_WRONLY)  # it reads its list now
        process.send_signal(signal.SIGTERM)
        self.assertIn(b"SIGTERM", process.communicate(timeout=harness.SLOWNESS * 20)[1])
        os.close(writer)
        self.assertEqual(harness.INTERRUPTED, process.returncode)


if __name__ == "__main__":
    harness.main()
