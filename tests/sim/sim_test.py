#!/usr/bin/env python3
"""Whole-system simulation: seeds, that they repeat, and that the simulation finds what is broken on purpose (docs/testing.md)."""

import os
import subprocess
import unittest

SIMULATE = os.path.join(os.environ.get("URINGSYNC_BIN_DIR", "build/release/bin"), "simulate")
# As many of these as the seconds suffice for; scripts/soak --only sim takes new ones for as long as it is told.
SEEDS = os.environ.get("URINGSYNC_SIM_SEEDS", "1-3000")
SECONDS = os.environ.get("URINGSYNC_SIM_SECONDS", "20")
# How many seeds each defect may stay hidden for.
DEFECTS = {"lost-syncs": 100, "torn-publish": 50, "blind-exchange": 100, "lost-problems": 500, "lost-writes": 50,
           "hidden-errors": 500}


def simulate(*arguments):
    done = subprocess.run([SIMULATE, *arguments], capture_output=True, text=True, timeout=800, check=False)
    print(done.stdout, end="", flush=True)
    return done


class Simulation(unittest.TestCase):
    def test_no_seed_breaks_a_promise(self):
        done = simulate("--seeds", SEEDS, "--seconds", SECONDS)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)

    def test_a_seed_repeats_step_by_step(self):
        done = simulate("--seeds", "1-20", "--twice", "--seconds", "5")
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)

    def test_the_trace_changes_nothing(self):
        digests = [subprocess.run([SIMULATE, "--seed", "3", *more], capture_output=True, text=True, timeout=300, check=False).stdout.split("digest ")[1][:16]
                   for more in ([], ["--trace"])]
        self.assertEqual(digests[0], digests[1])


for defect, limit in DEFECTS.items():
    def found(self, defect=defect, limit=limit):
        done = simulate("--seeds", "1-%d" % limit, "--defect", defect)
        self.assertEqual(0, done.returncode, "%s stayed hidden\n%s%s" % (defect, done.stdout, done.stderr))
    setattr(Simulation, "test_it_finds_" + defect.replace("-", "_"), found)


if __name__ == "__main__":
    unittest.main()
