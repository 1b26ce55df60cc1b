#!/usr/bin/env python3
"""Runs whose data connections, or all of their connections, are cut again and again, or cannot be made for a while.

URINGSYNC_TEST_SEED repeats a run.
"""

import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
from faulty_network import SOON_S, FaultyNetwork  # noqa: E402


class RepeatedCuts(FaultyNetwork):
    def test_all_ways_cut_again_and_again(self):
        process = self.slow_run("--timeout", "30")
        rng = random.Random("%d again" % self.seed)
        cuts = 0
        while process.poll() is None and cuts < 60:
            time.sleep(rng.random() * 0.5)
            cuts += sum(relay.cut(rng.random() < 0.5) for relay in self.relays)
        result = self.finish(process, SOON_S)
        self.assertEqual(0, result.code, str(result))
        self.assertEqualTrees(context=str(result))
        print("%d connections cut" % cuts)
        self.assertGreater(cuts, 3)

    def test_data_connections_alone_that_are_cut_fail_no_file(self):
        process = self.slow_run("--timeout", "30")
        for _ in range(12):
            time.sleep(0.15)
            self.data.cut()
        result = self.finish(process, SOON_S)
        self.assertEqual(0, result.code, str(result))
        self.assertNotIn("connection to agent", result.stderr)
        self.assertEqualTrees(context=str(result))

    def test_no_data_way_for_a_while_fails_no_file_and_is_told(self):
        process = self.slow_run("--timeout", "30")
        self.data.refuse(True)
        self.data.cut()
        time.sleep(5)
        self.data.refuse(False)
        result = self.finish(process, SOON_S)
        self.assertEqual(0, result.code, str(result))
        self.assertIn("the data connections to the source are lost; trying again for 30 s", result.stderr)
        self.assertIn("data connections to the source are there again", result.stderr)
        self.assertEqualTrees(context=str(result))


if __name__ == "__main__":
    harness.main()
