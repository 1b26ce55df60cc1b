#!/usr/bin/env python3
"""Data connections whose frames lie: contents that are not what they should be, and requests for what is nobody's."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import hostile_case  # noqa: E402


class HostileData(hostile_case.HostileCase):
    def test_frames_that_lie(self):
        self.each("data/", ("from",))


if __name__ == "__main__":
    harness.main()
