"""Differences that are meant: each has a name, told in docs/rsync-compatibility.md, and a matcher for its lines.

A matcher gets the scenario, both outcomes and one difference in words, and says whether this is the difference meant. One that no seed
and no named test meets any more fails the test: either the difference is gone, or the matcher is wrong.
"""

import collections
import re

import output
import treecmp

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


def _told(line):
    """The line of output or log that a difference is about, else ""."""
    found = re.match(r"(?:output|log): (?:missing|unexpected) (.*)", line, re.S)
    return found.group(1) if found else ""


def _as_often(theirs, ours, told, simpler):
    """Whether both outputs have the line equally often when each line is made simpler."""
    counts = [collections.Counter(simpler(output.show(line)) for text in (o.stdout, o.log) for line in output.lines(text))[simpler(told)]
              for o in (theirs, ours)]
    return counts[0] == counts[1]


@intended
def size_of_a_directory_in_a_listing(scenario, theirs, ours, line):
    """What a file system says about the size of a directory is not kept; listings show 0."""
    told = _told(line)
    return bool(re.match(r"d[-rwxsStT]{9} ", told)) and _as_often(theirs, ours, told, lambda l: re.sub(r"^(d\S{9}) +[\d.,KMG]+ ", r"\1 ", l))


@intended
def first_of_hard_links(scenario, theirs, ours, line):
    """Which name of several hard links is made first, and which are linked to it."""
    told = _told(line)
    if not told or "hard-links" not in scenario.names():
        return False
    names = {output.escaped(path.partition(b"/")[2]) for group in treecmp.link_groups(theirs.after) for path in group}
    return any(name and name in told for name in names)
