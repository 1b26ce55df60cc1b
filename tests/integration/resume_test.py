#!/usr/bin/env python3
"""Large files of runs that ended badly: the next run goes on with them, whoever was killed, and leaves nothing behind."""

import os
import random
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import treecmp  # noqa: E402
from shell_case import ShellCase  # noqa: E402

MIB = 1 << 20
SIZE = 12 * MIB
SLOW = "--bwlimit=16M"
# The run ends when so much has come; of what has come some is in pieces that were not complete.
ARRIVED = 7 * MIB
LEAST = 3 * MIB


class Broken:
    """A tree with one large file, and runs of it that break off."""

    def make(self):
        self.data = random.Random(1).randbytes(SIZE)
        os.makedirs(self.path("a/tree/below"))
        os.makedirs(self.path("b/copy"))
        self.image = self.path("a/tree/below/image")
        with open(self.image, "wb") as file:
            file.write(self.data)
        os.chmod(self.image, 0o640)
        # Not those of the copy by chance.
        for path in (self.image, os.path.dirname(self.image), self.path("a/tree")):
            os.utime(path, (1600000000, 1600000000))

    def part(self):
        """The temporary of the file, and the bytes that it takes."""
        sizes = {}
        for name in harness.temporaries(self.path("b/copy/below")) if os.path.isdir(self.path("b/copy/below")) else []:
            if os.path.exists(name):
                sizes[os.stat(name).st_blocks * 512] = name
        return max(sizes.items(), default=(0, None))

    def break_off(self, endpoints, strike, *options, process=None):
        process = process or self.start("sync", SLOW, "--reflink=never", *options, *endpoints)
        harness.wait_until(lambda: process.poll() is not None or self.part()[0] >= ARRIVED, 60, "a good part of the file")
        self.assertIsNone(process.poll(), "it ended before it was broken off")
        strike(process)
        result = self.finish(process, 60)
        self.assertNotEqual(0, result.code)
        self.assertFalse(os.path.exists(self.path("b/copy/below/image")))
        return result

    def kept(self):
        """Of the file's leaves those that are there."""
        with open(self.part()[1], "rb") as file:
            part = file.read()
        return sum(1 for at in range(0, SIZE, MIB) if part[at:at + MIB] == self.data[at:at + MIB]) * MIB

    def check_next(self, endpoints, *options, least=LEAST, program=None):
        # A session that broke off may still be ending.
        result = self.cli("sync", "--json", "--wait", "--reflink=never", *options, *endpoints, program=program)
        apply = result.summary["apply"]
        self.strays_removed = result.summary["strays_removed"]
        self.assertEqual(SIZE, apply["bytes_moved"] + apply["bytes_matched"], apply)
        self.assertGreaterEqual(apply["bytes_matched"], least)
        if least == 0:
            self.assertEqual(0, apply["bytes_matched"])
        self.check_tree()
        return apply

    def check_tree(self):
        self.assertSame(treecmp.compare(treecmp.snapshot(self.path("a/tree")), treecmp.snapshot(self.path("b/copy"))))
        self.assertEqual([], harness.temporaries(self.path("b")))


class Agents(Broken, harness.Case):
    def setUp(self):
        super().setUp()
        self.make()
        self.source = self.agent({"data": self.path("a")})
        self.destination = self.agent({"store": self.path("b")})

    def endpoints(self):
        return self.source.endpoint("data", "tree"), self.destination.endpoint("store", "copy")

    def test_the_destinations_agent_is_killed(self):
        self.break_off(self.endpoints(), lambda process: self.destination.kill())
        kept = self.kept()
        self.assertGreaterEqual(kept, LEAST)
        self.destination = self.agent({"store": self.path("b")})
        # A run that only looks takes nothing away.
        self.cli("plan", *self.endpoints())
        self.cli("sync", "--dry-run", *self.endpoints())
        self.check_next(self.endpoints(), least=kept)
        self.assertEqual(0, self.sync(*self.endpoints(), "--json").summary["plan"]["actions"])

    def test_the_command_is_killed(self):
        self.break_off(self.endpoints(), lambda process: process.kill())
        self.check_next(self.endpoints(), "--delete")

    def test_the_sources_agent_is_killed(self):
        with open(self.path("a/tree/small"), "w") as file:
            file.write("small")
        self.break_off(self.endpoints(), lambda process: self.source.kill())
        self.source = self.agent({"data": self.path("a")})
        os.unlink(self.path("a/tree/small"))
        self.check_next(self.endpoints(), "--delete")

    def test_it_is_killed_twice(self):
        self.break_off(self.endpoints(), lambda process: self.destination.kill())
        self.destination = self.agent({"store": self.path("b")})
        self.break_off(self.endpoints(), lambda process: self.destination.kill())
        kept = self.kept()
        self.destination = self.agent({"store": self.path("b")})
        self.check_next(self.endpoints(), least=kept)

    def test_a_file_that_changed_since_is_begun_again(self):
        self.break_off(self.endpoints(), lambda process: process.send_signal(signal.SIGINT))
        self.data = random.Random(2).randbytes(SIZE)
        with open(self.image, "wb") as file:
            file.write(self.data)
        self.check_next(self.endpoints(), least=0)

    def test_one_that_changed_without_a_trace_gets_the_right_bytes(self):
        before = os.stat(self.image)
        self.break_off(self.endpoints(), lambda process: process.send_signal(signal.SIGINT))
        self.data = random.Random(2).randbytes(SIZE)
        with open(self.image, "r+b") as file:
            file.write(self.data)
        os.utime(self.image, ns=(before.st_atime_ns, before.st_mtime_ns))
        self.check_next(self.endpoints(), least=0)

    def test_no_resume_starts_over(self):
        self.break_off(self.endpoints(), lambda process: self.destination.kill())
        self.destination = self.agent({"store": self.path("b")})
        left = len([name for name in harness.temporaries(self.path("b")) if ".~uringsync~0000000000000000." not in name])
        self.assertGreater(left, 0)
        self.check_next(self.endpoints(), "--no-resume", least=0)
        self.assertEqual(left, self.strays_removed)

    def test_what_is_not_wanted_any_more_goes(self):
        self.break_off(self.endpoints(), lambda process: self.destination.kill())
        self.destination = self.agent({"store": self.path("b")})
        os.unlink(self.image)
        os.rmdir(self.path("a/tree/below"))
        self.sync(*self.endpoints(), "--delete")
        self.check_tree()


class Local(Broken, harness.Case):
    def setUp(self):
        super().setUp()
        self.make()

    def test_a_local_run_is_interrupted_and_killed(self):
        ends = self.path("a/tree"), self.path("b/copy")
        self.break_off(ends, lambda process: process.send_signal(signal.SIGINT))
        self.check_next(ends)
        os.unlink(self.path("b/copy/below/image"))
        self.break_off(ends, lambda process: process.kill())
        self.check_next(ends)

    def test_ursync_into_a_directory_that_it_shares(self):
        os.rename(self.path("a/tree"), self.path("a/copy"))
        command = "-a", "--json", self.path("a/copy"), self.path("b")
        self.break_off((), lambda process: process.kill(), process=self.start(SLOW, *command, program=harness.URSYNC))
        apply = self.cli(*command, "--wait", program=harness.URSYNC).summary["apply"]
        self.assertGreaterEqual(apply["bytes_matched"], LEAST)
        os.rename(self.path("a/copy"), self.path("a/tree"))
        self.check_tree()


class RemoteShell(Broken, ShellCase):
    def test_the_far_agent_is_killed(self):
        self.make()
        ends = self.path("a/tree"), "host:" + self.path("b/copy")
        rsh = ["-e", self.rsh]

        def kill(process):
            os.kill(self.far_pids()[-1], signal.SIGKILL)
        self.break_off(ends, kill, *rsh)
        self.check_next(ends, *rsh, least=self.kept())


if __name__ == "__main__":
    harness.main()
