#!/usr/bin/env python3
"""An agent that lies to a command in what it lists: names, types, sizes, times, counts."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import hostile_case  # noqa: E402


class HostileListings(hostile_case.HostileCase):
    def test_listings_that_lie(self):
        self.each("agent/%s" % hostile_case.LISTINGS, ("from",))


if __name__ == "__main__":
    harness.main()
