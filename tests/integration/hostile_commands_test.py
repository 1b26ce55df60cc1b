#!/usr/bin/env python3
"""A command that lies to an agent: in what it opens, asks for, and tells it to do."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import hostile_case  # noqa: E402


class HostileCommands(hostile_case.HostileCase):
    def test_a_command_that_lies(self):
        self.each("command/", ("to",))


if __name__ == "__main__":
    harness.main()
