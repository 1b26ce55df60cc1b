#!/usr/bin/env python3
"""Two runs into one destination: the second one names the holder or waits, and takes over within a minute of the holder's death, however it died.

Neither removes what belongs to the other. Death is SIGKILL of the command, of the agents, or the silence of a whole host: every
process of it is stopped, so that its connections stay open and nobody says a word. All the deaths happen at once, for one of them
takes the time after which a silent peer is given up.
"""

import os
import random
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import treecmp  # noqa: E402

# What docs/consistency.md promises. Not stretched for slow builds.
TAKEN_OVER_S = 60
LARGE = 6 << 20
# The holder is at work for a minute and more.
SLOW = "--bwlimit=60"
JOURNAL = ".~uringsync~0000000000000000."


class TakeOver(harness.Case):
    def build(self, name):
        src = self.path(name)
        rng = random.Random(4)
        os.makedirs(os.path.join(src, "d"))
        for file, size in (("large", LARGE), ("d/a", 3000), ("d/b", 0), ("z", 70000)):
            with open(os.path.join(src, file), "wb") as out:
                out.write(rng.randbytes(size))
        return src

    def temporaries(self, dst):
        """Inode by name of what is being made there."""
        found = {}
        for name in harness.temporaries(dst):
            try:
                if JOURNAL not in name:
                    found[name] = os.stat(name).st_ino
            except FileNotFoundError:
                pass
        return found

    def wait_for_work(self, process, dst):
        harness.wait_until(lambda: process.poll() is not None or any(os.path.exists(name) and os.stat(name).st_size > 0
                                                                     for name in self.temporaries(dst)), 30, "work of the holder")
        self.assertIsNone(process.poll(), "the holder ended")

    def in_the_way(self, dst, *endpoints):
        """A second run that does not wait: it says who is there, and what the holder has stays."""
        before = self.temporaries(dst)
        refused = self.cli("sync", "--delete", *endpoints, code=harness.FILE_IO)
        self.assertIn("is in use by another session", refused.stderr, str(refused))
        after = self.temporaries(dst)
        self.assertEqual({}, {name: inode for name, inode in before.items() if after.get(name) != inode}, str(refused))

    def hold(self, name, *endpoints):
        holder = self.start("sync", SLOW, "--delete", *endpoints)
        self.wait_for_work(holder, self.path(name))
        return holder

    def start_waiting(self, *endpoints):
        return self.start("sync", "--json", "--wait", "--delete", *endpoints)

    def measure(self, waiting, strike):
        """Seconds from the holder's death until the other one has the destination."""
        self.assertIsNone(waiting.poll())
        strike()
        began = time.monotonic()
        seconds, told = [], []

        def read():
            for line in waiting.stdout:
                told.append(line.decode("utf-8", "replace"))
                if b'"opened"' in line:
                    seconds.append(time.monotonic() - began)
                    break
            waiting.stdout.read()
        reader = threading.Thread(target=read)
        reader.start()
        reader.join(TAKEN_OVER_S * 2)
        if not seconds:
            waiting.kill()
        waits = [line for line in told if "waiting for it to end" in line]
        self.assertEqual(1, len(waits), told)
        self.assertIn("is in use by another session (process ", waits[0])
        self.assertTrue(any("the run goes on" in line for line in told), told)
        self.assertTrue(seconds, "never taken over: %s" % waiting.stderr.read().decode("utf-8", "replace"))
        code = waiting.wait(TAKEN_OVER_S * harness.SLOWNESS)
        self.assertEqual(harness.OK, code, waiting.stderr.read().decode("utf-8", "replace"))
        return seconds[0]

    def check(self, src, dst, seconds, what):
        print("%s: taken over after %.1f s" % (what, seconds))
        self.assertLess(seconds, TAKEN_OVER_S, what)
        self.assertSame(treecmp.compare(treecmp.snapshot(src), treecmp.snapshot(dst)), what)
        self.assertNoTemporaries(dst)

    def command_of_one_host(self, src):
        """Its private agent goes with it."""
        dst = self.path("dst-local")
        holder = self.hold("dst-local", src, dst)
        self.in_the_way(dst, src, dst)
        waiting = self.start_waiting(src, dst)
        return dst, waiting, holder.kill

    def command_at_two_agents(self, src):
        a, b = self.agent({"r": self.dir}), self.agent({"r": self.dir})
        name = os.path.basename(src)
        ends = a.endpoint("r", name), b.endpoint("r", "dst-command")
        holder = self.hold("dst-command", *ends)
        self.in_the_way(self.path("dst-command"), *ends)
        return self.path("dst-command"), self.start_waiting(*ends), holder.kill

    def agent_of_the_destination(self, src):
        """The next run comes by way of another agent of that host."""
        a, b, other = (self.agent({"r": self.dir}) for _ in range(3))
        name = os.path.basename(src)
        self.hold("dst-agent", a.endpoint("r", name), b.endpoint("r", "dst-agent"))
        return self.path("dst-agent"), self.start_waiting(a.endpoint("r", name), other.endpoint("r", "dst-agent")), b.kill

    def silent_host(self, src):
        """The command and the source's agent, which are one host, say nothing any more; their connections stay."""
        a, b, other = (self.agent({"r": self.dir}) for _ in range(3))
        name = os.path.basename(src)
        holder = self.hold("dst-silent", a.endpoint("r", name), b.endpoint("r", "dst-silent"))
        waiting = self.start_waiting(other.endpoint("r", name), b.endpoint("r", "dst-silent"))

        def stop():
            for process in (holder, a.process):
                process.send_signal(signal.SIGSTOP)
                self.addCleanup(process.send_signal, signal.SIGCONT)
        return self.path("dst-silent"), waiting, stop

    def test_a_dead_holder_is_taken_over_within_a_minute(self):
        src = self.build("src")
        deaths = {"the command killed": self.command_of_one_host, "the command of two agents killed": self.command_at_two_agents,
                  "the destination's agent killed": self.agent_of_the_destination, "a host that says nothing": self.silent_host}
        scenes = {what: make(src) for what, make in deaths.items()}
        failures = []

        def die(what, dst, waiting, strike):
            try:
                self.check(src, dst, self.measure(waiting, strike), what)
            except Exception as error:  # told by the thread that made it
                failures.append("%s: %s" % (what, error))
        threads = [threading.Thread(target=die, args=(what, *scene)) for what, scene in scenes.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([], failures)

    def test_runs_of_single_files_leave_each_other_alone(self):
        src, dst = self.build("src"), self.path("dst")
        os.makedirs(dst)
        os.link(os.path.join(src, "large"), os.path.join(src, "other"))
        runs = [self.start("-a", "--bwlimit=800", os.path.join(src, name), dst + "/", program=harness.URSYNC) for name in ("large", "other")]
        both = {}

        def met():
            both.clear()
            both.update(self.temporaries(dst))
            return len(both) == 2 or any(run.poll() is not None for run in runs)
        harness.wait_until(met, 30, "two temporaries")
        self.assertEqual(2, len(both), "the runs were over too soon to meet")
        # A third one that ends while they work takes nothing with it.
        self.cli("-a", os.path.join(src, "z"), dst + "/", program=harness.URSYNC)
        for name, inode in self.temporaries(dst).items():
            self.assertEqual(both.get(name), inode)
        for run in runs:
            result = self.finish(run, 60)
            self.assertEqual(harness.OK, result.code, str(result))
        for name in ("large", "other", "z"):
            with open(os.path.join(src, name), "rb") as a, open(os.path.join(dst, name), "rb") as b:
                self.assertEqual(a.read(), b.read())
        self.assertNoTemporaries(dst)


if __name__ == "__main__":
    harness.main()
