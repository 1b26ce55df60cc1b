"""Differences that are meant: each has a name, the row of docs/rsync-compatibility.md that tells it, and a matcher for its lines.

A matcher gets the scenario, both outcomes and one difference in words, and says whether this is the difference meant. One that no seed
and no named test meets any more fails the test: either the difference is gone, or the matcher is wrong.
"""

INTENDED = []


class Intended:
    def __init__(self, name, matches):
        self.name, self.matches = name, matches


def intended(function):
    """Adds a matcher under its function's name, with dashes."""
    INTENDED.append(Intended(function.__name__.replace("_", "-"), function))
    return function


def sort_out(scenario, theirs, ours, differences):
    """(the differences that nobody meant, the names of those meant that were met)."""
    left, met = [], set()
    for line in differences:
        names = [i.name for i in INTENDED if i.matches(scenario, theirs, ours, line)]
        met.update(names)
        if not names:
            left.append(line)
    return left, met
