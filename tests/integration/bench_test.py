#!/usr/bin/env python3
"""The benchmark itself runs, checks its results, and leaves nothing behind. No time is looked at."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402


class Bench(harness.Case):
    def test_compare_runs_every_workload_on_tiny_trees(self):
        compare = os.path.join(harness.REPOSITORY, "tests", "bench", "compare")
        os.makedirs(self.path("work"))
        result = harness.run([sys.executable, compare, "--scale", "0.001", "--runs", "1", "--dir", self.path("work"), "--bin-dir",
                              harness.BIN_DIR, "--json", self.path("figures.json"), "--markdown", self.path("report.md")])
        self.assertEqual(0, result.code, str(result))
        with open(self.path("figures.json")) as file:
            figures = json.load(file)
        self.assertEqual(6, len(figures["workloads"]))
        for workload in figures["workloads"]:
            for row in workload["results"]:
                self.assertGreater(row["seconds"], 0)
                if row["contender"].startswith("uringsync"):
                    self.assertTrue(row["peak_kib"])
        with open(self.path("report.md")) as file:
            self.assertIn("| uringsync", file.read())
        self.assertEqual([], os.listdir(self.path("work")))


if __name__ == "__main__":
    harness.main()
