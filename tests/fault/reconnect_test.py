#!/usr/bin/env python3
"""Runs that lose their connections in the middle: what becomes of them, what is told, and who gets the lock.

URINGSYNC_TEST_SEED repeats a run.
"""

import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
from faulty_network import SOON_S, FaultyNetwork  # noqa: E402


class Reconnect(FaultyNetwork):
    def test_a_cut_is_told_on_standard_error_and_in_the_agents_log(self):
        process = self.slow_run()
        self.assertGreater(self.orders.cut(), 0)
        result = self.finish(process, SOON_S)
        self.assertEqual(0, result.code, str(result))
        self.assertRegex(result.stderr, r"connection to agent 127\.0\.0\.3:\d+ lost \(.*\); trying again for \d+ s")
        self.assertRegex(result.stderr, r"connected again to agent 127\.0\.0\.3:\d+ after \d+ s")
        self.assertEqualTrees(context=str(result))
        log = self.destination.output()
        self.assertIn("connection lost", log)
        self.assertIn("connected again", log)

    def test_a_cut_that_outlasts_the_time_ends_the_run_and_the_next_one_converges(self):
        process = self.slow_run("--timeout", "3")
        for relay in self.relays:
            relay.freeze()
        result = self.finish(process, SOON_S)
        self.assertEqual(harness.TIMEOUT, result.code, str(result))
        self.assertIn("sent nothing for 3s", result.stderr)
        self.assertNothingWrong("copy", str(result))
        self.calm()
        # The agent may still keep the session of the first one for it.
        again = self.finish(self.start_sync(), SOON_S)
        self.assertEqual(0, again.code, "%s\n%s" % (again, self.destination.output()))
        self.assertEqualTrees(context=str(again))

    def test_ctrl_c_ends_a_run_without_connection_at_once(self):
        process = self.slow_run()
        for relay in (self.control, self.orders):
            relay.refuse(True)
            relay.cut()
        harness.wait_until(lambda: "connection lost" in self.destination.output(), 20, "the loss in the agent's log")
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        result = self.finish(process, SOON_S)
        self.assertEqual(harness.INTERRUPTED, result.code, str(result))
        self.assertLess(time.monotonic() - started, 5 * harness.SLOWNESS)

    def test_the_next_run_takes_over_at_once_from_one_that_was_killed(self):
        process = self.slow_run()
        process.kill()
        process.wait()
        started = time.monotonic()
        result = self.finish(self.start_sync(), SOON_S)
        self.assertEqual(0, result.code, "%s\n%s" % (result, self.destination.output()))
        self.assertLess(time.monotonic() - started, 20 * harness.SLOWNESS)
        self.assertEqualTrees(context=str(result))
        self.assertIn("session makes way", self.destination.output())

    def test_an_agent_that_dies_ends_the_run_soon(self):
        process = self.slow_run()
        self.destination.kill()
        self.orders.close()  # as the port of a host without an agent
        started = time.monotonic()
        result = self.finish(process, SOON_S)
        self.assertEqual(harness.PROTOCOL, result.code, str(result))
        self.assertLess(time.monotonic() - started, 15 * harness.SLOWNESS)


if __name__ == "__main__":
    harness.main()
