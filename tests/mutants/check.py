#!/usr/bin/env python3
"""Every mutant of the table still applies to the tree, names tests that exist, and has a name of its own. Builds nothing."""

import os
import re
import sys
import unittest

import table

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TEST = re.compile(r"^\s*TEST(?:_P|_F)?\(\s*(\w+)\s*,\s*(\w+)", re.M)
# Where the sources of a test program lie.
PLACES = {"base_test": "engine/base", "fs_test": "engine/fs", "transfer_test": "engine/transfer", "tree_test": "engine/tree", "net_test": "engine/net",
          "ring_test": "engine/ring", "agent_test": "agent", "coordinator_core_test": "coordinator/core", "coordinator_cli_test": "coordinator/cli", "proto_test": "proto"}
LEAST = 40
# What states the promises to users.
PAGES = ("docs/consistency.md", "docs/security.md")
# The last column of their tables of guards.
GUARD_ROW = re.compile(r"^\|.*\| ((?:`[a-z0-9.]+(?:-[a-z0-9.]+)+`(?:, )?)+) \|$", re.M)
TEST_NAME = re.compile(r"`((?:fuzz_\w+|\w+_test)(?:\.py)?)`")


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def tests_of(target):
    place, found = "tests/" + PLACES[target], set()
    for name in os.listdir(os.path.join(ROOT, place)):
        if name.endswith(".cc"):
            found |= {"%s.%s" % pair for pair in TEST.findall(read(os.path.join(place, name)))}
    return found


def matches(pattern, name):
    return re.search(".*".join(map(re.escape, pattern.split("*"))), name) is not None


def entry_script(entry):
    """The script of a ctest entry of whole programs."""
    kind, _, name = entry.partition("_")
    return "tests/%s/%s.py" % (kind, name)


class Table(unittest.TestCase):
    def test_every_edit_applies_exactly_once_and_changes_something(self):
        for mutant in table.MUTANTS:
            with self.subTest(mutant.guard):
                self.assertEqual(1, read(mutant.file).count(mutant.old), mutant.file)
                self.assertNotEqual(mutant.old, mutant.new)

    def test_guards_have_names_of_their_own(self):
        guards = [mutant.guard for mutant in table.MUTANTS]
        self.assertEqual(sorted(set(guards)), sorted(guards))
        self.assertGreaterEqual(len(guards), LEAST)

    def test_every_named_test_exists(self):
        for mutant in table.MUTANTS:
            with self.subTest(mutant.guard):
                if mutant.target is None:
                    for entry in mutant.tests.split(":"):
                        self.assertTrue(os.path.exists(os.path.join(ROOT, entry_script(entry))), entry)
                    continue
                known = tests_of(mutant.target)
                for pattern in mutant.tests.split(":"):
                    self.assertTrue(any(matches(pattern, name) for name in known), "%s has no %s" % (mutant.target, pattern))

    def test_the_pages_name_every_guard_and_no_other(self):
        named = []
        for page in PAGES:
            for row in GUARD_ROW.findall(read(page)):
                named += re.findall(r"`([^`]+)`", row)
        self.assertEqual(sorted(mutant.guard for mutant in table.MUTANTS), sorted(named))

    def test_every_test_that_the_pages_name_exists(self):
        known = set()
        for directory, _, files in os.walk(os.path.join(ROOT, "tests")):
            for name in files:
                known |= {name, os.path.splitext(name)[0]}
                if name == "CMakeLists.txt":
                    with open(os.path.join(directory, name), encoding="utf-8") as file:
                        known |= set(re.findall(r"(?:us_test\(|add_test\(NAME )(\w+)", file.read()))
        for page in PAGES:
            missing = {name for name in TEST_NAME.findall(read(page)) if name not in known}
            self.assertEqual(set(), missing, page)


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=1))
