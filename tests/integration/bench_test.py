#!/usr/bin/env python3
"""The benchmark itself runs, checks its results, and leaves nothing behind. No time is looked at."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

COMPARE = os.path.join(harness.REPOSITORY, "tests", "bench", "compare")
TWICE = ("small", "delete")  # with both guarantees
ROWS = ("large", "mixed", "nothing", "nothing-million", "sparse", "edits", "insert")


class Bench(harness.Case):
    def compare(self, *arguments, code=0):
        os.makedirs(self.path("work"), exist_ok=True)
        result = harness.run([sys.executable, COMPARE, "--scale", "0.001", "--runs", "1", "--dir", self.path("work"), "--bin-dir",
                              harness.BIN_DIR, "--json", self.path("figures.json"), "--markdown", self.path("report.md"), *arguments],
                             timeout=600 * harness.SLOWNESS)
        self.assertEqual(code, result.code, str(result))
        self.assertEqual([], os.listdir(self.path("work")))
        if code:
            return result, None
        with open(self.path("figures.json")) as file:
            return result, json.load(file)["workloads"]

    def report(self):
        with open(self.path("report.md")) as file:
            return file.read()

    def test_rows_run_with_equal_guarantees_and_with_the_defaults(self):
        _, workloads = self.compare("--only", ",".join(TWICE))
        self.check(workloads, {(row, guarantee) for row in TWICE for guarantee in ("equal", "default")})

    def test_every_other_row_runs(self):
        _, workloads = self.compare("--only", ",".join(ROWS), "--guarantees", "equal")
        self.check(workloads, {(row, "equal") for row in ROWS})

    def check(self, workloads, expected):
        self.assertEqual(expected, {(w["workload"], w["guarantee"]) for w in workloads})
        for workload in workloads:
            for row in workload["results"]:
                self.assertGreater(row["seconds"], 0)
                self.assertGreaterEqual(row["cpu_per_unit"], 0)
                if row["contender"].startswith("uringsync"):
                    self.assertTrue(row["peak_kib"])
        report = self.report()
        self.assertIn("## Goals", report)
        self.assertIn("| uringsync (threads) |", report)
        if os.path.exists(os.path.join(harness.BIN_DIR, "bench_reference")):
            self.assertIn("| plain calls, 2 threads |", report)

    def test_a_sweep_over_cores_prints_the_curve(self):
        _, workloads = self.compare("--cores", "1", "--only", "small", "--guarantees", "equal", "--contenders", "threads")
        self.assertEqual([1], [w["cores"] for w in workloads])
        self.assertIn("| cores | 1 |", self.report())

    def test_a_file_system_of_its_own_is_unmounted(self):
        if not harness.is_root():
            self.skipTest("mounting needs root")
        result, workloads = self.compare("--fs", "tmpfs", "--only", "delete", "--guarantees", "equal", "--contenders", "threads", code=0)
        self.assertEqual(1, len(workloads), str(result))
        with open("/proc/self/mounts") as mounts:
            self.assertNotIn(self.path("work"), mounts.read())

    def test_a_row_that_does_not_exist_is_refused(self):
        result, _ = self.compare("--only", "none", code=2)
        self.assertIn("no such row: none", result.stderr)


if __name__ == "__main__":
    harness.main()
