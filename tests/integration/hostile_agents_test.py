#!/usr/bin/env python3
"""An agent that lies to a command: in what it greets with, in which order it speaks, and what it says that it has done."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import hostile_case  # noqa: E402

# Lies that a destination tells, too, or alone.
OF_DESTINATIONS = ("version", "opened", "features", "grain", "port", "progress", "ended", "skipped", "problem", "current")


class HostileAgents(hostile_case.HostileCase):
    def test_an_agent_that_lies(self):
        self.each("agent/(?!%s)" % hostile_case.LISTINGS, ("from",), also_to=OF_DESTINATIONS)


if __name__ == "__main__":
    harness.main()
