#!/usr/bin/env python3
"""`uringsync bench`: it measures between any two endpoints, changes nothing, and leaves nothing, also when it is killed."""

import glob
import json
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import treecmp  # noqa: E402

QUICK = ("--seconds", "0.2", "--max-write", "4")
SOON_S = 10


class Bench(harness.Case):
    def setUp(self):
        super().setUp()
        self.src, self.dst = self.path("a", "src"), self.path("b", "dst")
        for number in range(40):
            self.write(os.path.join(self.src, "d%d" % (number % 4), "small-%d" % number), b"s" * 700)
        self.write(os.path.join(self.src, "large"), os.urandom(3 << 20))
        self.write(os.path.join(self.dst, "kept"), b"kept")
        self.before = self.seen()

    @staticmethod
    def write(path, data):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)

    def seen(self):
        """Every object of both trees; times of the destination's root move when something is made in it and removed."""
        found = {}
        for root in (self.src, self.dst):
            for directory, _, names in os.walk(root):
                for name in names:
                    path = os.path.join(directory, name)
                    stat = os.stat(path)
                    found[path] = (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
        return found

    def assertUntouched(self):
        self.assertEqual(self.before, self.seen())
        self.assertEqual(["kept"], os.listdir(self.dst))

    def measure(self, source, destination, *arguments, **options):
        result = self.cli("bench", "--json", *QUICK, *arguments, source, destination, **options)
        lines = result.stdout.splitlines()
        self.assertEqual(1, len(lines), str(result))
        return json.loads(lines[0])

    def figures(self, report):
        return {figure["metric"]: figure for step in report["steps"] for figure in step["figures"]}

    def test_two_local_paths_on_each_backend(self):
        for backend in harness.BACKENDS:
            if backend == "uring" and not harness.uring_works():
                continue
            with self.subTest(backend):
                report = self.measure(self.src, self.dst, "--io-backend", backend)
                self.assertEqual(0, report["exit_code"])
                self.assertTrue(report["one_agent"])
                self.assertEqual(backend, report["source"]["io_backend"])
                figures = self.figures(report)
                for metric in ("scanned", "read_large", "read_small", "written", "created", "deleted"):
                    self.assertGreater(figures[metric]["seconds"], 0, metric)
                self.assertEqual(3 << 20, figures["read_large"]["bytes"])
                self.assertEqual(40, figures["read_small"]["count"])
                self.assertLessEqual(figures["written"]["bytes"], 4 << 20)
                self.assertEqual({"large files", "small files", "nothing to do"}, {v["workload"] for v in report["verdicts"]})
                self.assertUntouched()

    def test_two_agents_each_way_with_a_source_that_is_read_only(self):
        source = self.agent({"s": self.path("a") + ":ro"})
        destination = self.agent({"d": self.path("b")})
        ends = {"agents": (source.endpoint("s", "src"), destination.endpoint("d", "dst")),
                "to an agent": (self.src, destination.endpoint("d", "dst")),
                "from an agent": (source.endpoint("s", "src"), self.dst)}
        for name, (src, dst) in ends.items():
            with self.subTest(name):
                report = self.measure(src, dst)
                self.assertFalse(report["one_agent"])
                figures = self.figures(report)
                self.assertGreater(figures["round_trip"]["count"], 0)
                self.assertGreater(figures["fetched"]["bytes"], 1 << 20)
                self.assertGreater(figures["fetched_small"]["count"], 0)
                self.assertGreater(figures["served"]["seconds"], 0)
                self.assertUntouched()

    def test_the_table_names_a_bottleneck_for_each_workload(self):
        result = self.cli("bench", *QUICK, self.src, self.dst)
        for text in ("list objects", "read large files", "make small files", "large files    up to", "small files    up to",
                     "nothing to do  up to"):
            self.assertIn(text, result.stdout)

    def test_a_destination_on_disk_is_synced(self):
        point = self.loop_mount("ext4", 256, "disk")
        report = self.measure(self.src, point)
        figures = self.figures(report)
        self.assertGreater(figures["written_synced"]["seconds"], figures["written"]["seconds"])
        self.assertGreater(figures["synced_files"]["count"], 0)
        self.assertGreater(figures["synced_directories"]["count"], 0)
        self.assertEqual(["lost+found"], os.listdir(point))

    def test_a_destination_that_is_made_for_it_goes_again(self):
        self.measure(self.src, self.path("b", "fresh"))
        self.assertFalse(os.path.exists(self.path("b", "fresh")))

    def test_refusals_are_those_of_sync(self):
        self.cli("bench", self.path("missing"), self.dst, code=harness.SELECTION)
        self.cli("bench", self.src, self.src, code=harness.SELECTION)
        self.cli("bench", self.src, code=harness.USAGE)
        readonly = self.agent({"d": self.path("b") + ":ro"})
        refused = self.cli("bench", self.src, readonly.endpoint("d", "dst"), code=harness.SELECTION)
        self.assertIn("read-only", refused.stderr)

    def scratch(self):
        return glob.glob(os.path.join(self.dst, ".~uringsync~*", "shard-*", "*"))

    def start_midway(self, destination):
        process = self.start("bench", "--seconds", "30", self.src, destination)
        harness.wait_until(lambda: self.scratch() or process.poll() is not None, 120, "something that it writes")
        self.assertIsNone(process.poll())
        return process

    def test_an_interrupt_removes_what_was_written(self):
        # The steps before the first that writes take their time too: lists and reads of a small tree end at once.
        process = self.start_midway(self.dst)
        process.send_signal(signal.SIGINT)
        result = self.finish(process, SOON_S)
        self.assertEqual(harness.INTERRUPTED, result.code, str(result))
        self.assertUntouched()

    def test_what_a_killed_agent_leaves_is_never_synced_and_goes_with_the_next_run(self):
        agent = self.agent({"d": self.path("b")})
        process = self.start_midway(agent.endpoint("d", "dst"))
        agent.kill()
        result = self.finish(process, SOON_S)
        self.assertEqual(harness.PROTOCOL, result.code, str(result))
        self.assertTrue(glob.glob(os.path.join(self.dst, ".~uringsync~*")))
        # As a source it shows nothing of it.
        copy = self.path("copy")
        self.sync(self.dst, copy)
        self.assertEqual(["kept"], os.listdir(copy))
        result = self.sync(self.src, self.dst, "--delete", "--json")
        self.assertEqual(1, result.summary["strays_removed"])
        self.assertSame(treecmp.compare(treecmp.snapshot(self.src), treecmp.snapshot(self.dst)))
        self.assertNoTemporaries(self.dst)

    def test_a_second_run_into_the_destination_is_refused_meanwhile(self):
        process = self.start_midway(self.dst)
        self.sync(self.src, self.dst, code=harness.FILE_IO)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(harness.INTERRUPTED, self.finish(process, SOON_S).code)


if __name__ == "__main__":
    harness.main()
