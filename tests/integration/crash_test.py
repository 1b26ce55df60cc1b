#!/usr/bin/env python3
"""A process dies or is interrupted midway: the command ends soon and says why, no half file has its final name, the next run converges."""

import fcntl
import random
import signal
import time
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import treecmp  # noqa: E402

# Seconds within which a command must end after a peer has died.
SOON_S = 10
TRIES = 4
SMALL = 20000
# Names the temporaries that the next run goes on with.
JOURNAL = ".~uringsync~0000000000000000."


class Crash(harness.Case):
    def setUp(self):
        super().setUp()
        for name in ("a", "b"):
            os.makedirs(self.path(name))
        self.grow = 1

    def make_tree(self):
        """Big enough that a kill hits it midway: many small files and some large ones."""
        src = self.path("a", "tree")
        harness.remove_tree(src)
        rng = random.Random(3)
        for number in range(30 * self.grow):
            directory = os.path.join(src, "d%d" % number)
            os.makedirs(directory)
            for index in range(50):
                with open(os.path.join(directory, "f%d" % index), "wb") as file:
                    file.write(rng.randbytes(SMALL))
            with open(os.path.join(directory, "large"), "wb") as file:
                block = rng.randbytes(1 << 20)
                for _ in range(8):
                    file.write(block)
        return src

    def midway(self, process, dst):
        """Waits until the run has published something; False when it has ended already."""
        harness.wait_until(lambda: process.poll() is not None or len(self.published(dst)) > 3, 60, "the first published files")
        return process.poll() is None

    @staticmethod
    def published(dst):
        found = []
        for directory, _, names in os.walk(dst):
            found += [os.path.join(directory, n) for n in names if not n.startswith(".~uringsync~")]
            if len(found) > 3:
                break
        return found

    def hit_midway(self, start, strike):
        """Starts runs of growing trees until one is hit before its end. Returns its result."""
        for _ in range(TRIES):
            src = self.make_tree()
            harness.remove_tree(self.path("b", "copy"))
            process = start()
            if self.midway(process, self.path("b", "copy")):
                strike(process)
                result = self.finish(process, SOON_S)
                if result.code != 0:
                    return src, result
            else:
                self.finish(process, SOON_S)
            self.grow *= 2
        self.skipTest("every run ended before it could be hit")

    def check_wreck(self, src):
        """What is there under a final name is whole: equal to the source, byte for byte."""
        source, wreck = treecmp.snapshot(src), treecmp.snapshot(self.path("b", "copy"))
        halves = [path for path, record in wreck.items() if record.digest and b".~uringsync~" not in path
                  and record.digest != source[path].digest]
        self.assertEqual([], halves, "half files under final names")
        self.assertTrue(set(source) - set(wreck), "the run was hit after its end")

    def converges(self, src, *endpoints):
        self.cli("sync", "--delete", "--wait", *endpoints)
        self.assertSame(treecmp.compare(treecmp.snapshot(src), treecmp.snapshot(self.path("b", "copy"))))
        self.assertNoTemporaries(self.path("b"))

    def strays(self):
        """Temporaries that the next run cannot go on with: those of small files."""
        found = []
        for name in harness.temporaries(self.path("b")):
            try:
                if os.stat(name).st_size <= SMALL and JOURNAL not in name:
                    found.append(name)
            except FileNotFoundError:
                pass
        return found

    def two_agents(self, *options):
        return self.agent({"r": self.path("a")}, *options), self.agent({"r": self.path("b")}, *options)

    def test_the_source_agent_is_killed(self):
        agents = list(self.two_agents())

        def start():
            if agents[0].process.poll() is not None:
                agents[0] = self.agent({"r": self.path("a")})
            return self.start("sync", agents[0].endpoint("r", "tree"), agents[1].endpoint("r", "copy"))
        src, result = self.hit_midway(start, lambda process: agents[0].kill())
        self.assertEqual(harness.PROTOCOL, result.code, str(result))
        self.assertIn("source", result.stderr)
        self.check_wreck(src)
        # The destination agent lives on and cleans up by itself.
        harness.wait_until(lambda: not self.strays(), 20, "the destination's temporaries to go")
        again = self.agent({"r": self.path("a")})
        self.converges(src, again.endpoint("r", "tree"), agents[1].endpoint("r", "copy"))

    def test_the_destination_agent_is_killed(self):
        agents = list(self.two_agents())

        def start():
            if agents[1].process.poll() is not None:
                agents[1] = self.agent({"r": self.path("b")})
            return self.start("sync", agents[0].endpoint("r", "tree"), agents[1].endpoint("r", "copy"))
        src, result = self.hit_midway(start, lambda process: agents[1].kill())
        self.assertEqual(harness.PROTOCOL, result.code, str(result))
        self.assertIn("destination", result.stderr)
        self.check_wreck(src)
        again = self.agent({"r": self.path("b")})
        self.converges(src, agents[0].endpoint("r", "tree"), again.endpoint("r", "copy"))

    def test_the_command_is_killed_between_two_agents(self):
        # Agents that hold the session for a command to come back go on meanwhile with what it has told them.
        a, b = self.two_agents("--session-hold", "0")
        endpoints = a.endpoint("r", "tree"), b.endpoint("r", "copy")
        src, _ = self.hit_midway(lambda: self.start("sync", *endpoints), lambda process: process.kill())
        self.check_wreck(src)
        harness.wait_until(lambda: not self.strays(), 20, "the destination's temporaries to go")
        self.converges(src, *endpoints)

    @staticmethod
    def children(pid):
        with open("/proc/%d/task/%d/children" % (pid, pid)) as file:
            return [int(word) for word in file.read().split()]

    def test_the_command_is_killed_and_its_private_agent_ends(self):
        private = []

        def strike(process):
            private.extend(self.children(process.pid))
            process.kill()
        endpoints = self.path("a", "tree"), self.path("b", "copy")
        src, _ = self.hit_midway(lambda: self.start("sync", *endpoints), strike)
        self.assertTrue(private, "no private agent was found")
        harness.wait_until(lambda: not any(harness.alive(pid) for pid in private), 20,
                           "the private agent to end")
        self.assertEqual([], self.strays())
        self.check_wreck(src)
        self.converges(src, *endpoints)

    def test_the_private_agent_is_killed(self):
        def strike(process):
            for pid in self.children(process.pid):
                os.kill(pid, signal.SIGKILL)
        endpoints = self.path("a", "tree"), self.path("b", "copy")
        src, result = self.hit_midway(lambda: self.start("sync", *endpoints), strike)
        self.assertEqual(harness.PROTOCOL, result.code, str(result))
        self.assertIn("agent", result.stderr)
        self.check_wreck(src)
        self.converges(src, *endpoints)

    def interrupt(self, number, endpoints):
        src, result = self.hit_midway(lambda: self.start("sync", *endpoints), lambda process: process.send_signal(number))
        self.assertEqual(harness.INTERRUPTED, result.code, str(result))
        self.check_wreck(src)
        harness.wait_until(lambda: not self.strays(), 20, "the temporaries to go")
        self.converges(src, *endpoints)

    def test_ctrl_c_ends_a_local_run_with_20_and_removes_what_is_of_no_use(self):
        self.interrupt(signal.SIGINT, (self.path("a", "tree"), self.path("b", "copy")))

    def test_sigterm_ends_a_run_between_agents_with_20_and_removes_what_is_of_no_use(self):
        a, b = self.two_agents()
        self.interrupt(signal.SIGTERM, (a.endpoint("r", "tree"), b.endpoint("r", "copy")))

    def test_an_agent_ends_soon_after_sigterm_in_the_middle_of_a_run(self):
        agents = list(self.two_agents())
        took = []

        def start():
            if agents[1].process.poll() is not None:
                agents[1] = self.agent({"r": self.path("b")})
            return self.start("sync", agents[0].endpoint("r", "tree"), agents[1].endpoint("r", "copy"))

        def strike(process):
            started = time.monotonic()
            self.assertEqual(0, agents[1].stop(), agents[1].output())
            took.append(time.monotonic() - started)
        src, result = self.hit_midway(start, strike)
        self.assertNotEqual(0, result.code)
        self.assertLess(took[-1], SOON_S * harness.SLOWNESS)
        self.assertEqual([], self.strays())
        self.check_wreck(src)

    def test_a_stopped_source_agent_ends_the_run_at_its_timeout(self):
        a, b = self.two_agents()
        self.grow = 4
        self.make_tree()
        process = self.start("sync", "--timeout", "3", a.endpoint("r", "tree"), b.endpoint("r", "copy"))
        self.assertTrue(self.midway(process, self.path("b", "copy")), "the run ended before it could be hit")
        os.kill(a.pid, signal.SIGSTOP)
        self.addCleanup(os.kill, a.pid, signal.SIGCONT)
        result = self.finish(process, SOON_S)
        self.assertEqual(harness.TIMEOUT, result.code, str(result))
        self.assertIn("source agent", result.stderr)
        self.assertIn("sent nothing for 3s", result.stderr)

    def lock_of_a_run(self, *path):
        """Locks as a running agent does: its destination exclusively, everything above it shared. Returns what lets go."""
        held = []
        for depth in range(len(path)):
            held.append(os.open(self.path("b", *path[:depth + 1]), os.O_RDONLY | os.O_DIRECTORY))
            fcntl.flock(held[-1], (fcntl.LOCK_EX if depth == len(path) - 1 else fcntl.LOCK_SH) | fcntl.LOCK_NB)

        def release():
            while held:
                os.close(held.pop())
        self.addCleanup(release)
        return release

    def second_run_is_refused(self, *held):
        os.makedirs(self.path("a", "tree"))
        os.makedirs(self.path("b", "copy", "below"))
        release = self.lock_of_a_run(*held)
        refused = self.sync(self.path("a", "tree"), self.path("b", "copy"), code=harness.FILE_IO)
        self.assertIn("in use by another session (process %d" % os.getpid(), refused.stderr)
        self.cli("plan", self.path("a", "tree"), self.path("b", "copy"))  # looking is free
        waiting = self.start("sync", "--wait", self.path("a", "tree"), self.path("b", "copy"))
        time.sleep(0.3)
        self.assertIsNone(waiting.poll(), "did not wait")
        release()
        self.assertEqual(0, self.finish(waiting, 20).code)

    def test_a_second_run_into_the_same_destination_is_refused_while_one_runs(self):
        self.second_run_is_refused("copy")

    def test_a_run_above_a_running_one_is_refused(self):
        self.second_run_is_refused("copy", "below")

    def test_a_run_beside_a_running_one_is_not_disturbed(self):
        os.makedirs(self.path("a", "tree"))
        os.makedirs(self.path("b", "one"))
        os.makedirs(self.path("b", "two"))
        self.lock_of_a_run("one")
        self.sync(self.path("a", "tree"), self.path("b", "two"))


if __name__ == "__main__":
    harness.main()
