#!/usr/bin/env python3
"""The differential harness itself: rsync does not differ from itself, and every way of being wrong that it looks for is found.

Each wrong program is rsync with one thing changed, in the run or behind its back. A check that cannot fail is a defect.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import generate  # noqa: E402
import harness  # noqa: E402
import runner  # noqa: E402
import scenario as scenarios  # noqa: E402
import shrink  # noqa: E402
from model import D, F, H, L, Node, below, seconds  # noqa: E402

SEEDS = range(1000, 1030)
# What the wrong program is, and what of the differences gives it away.
WITHOUT = "for a; do shift; [ \"$a\" = %s ] || set -- \"$@\" \"$a\"; done; exec rsync \"$@\"\n"
WRONG = {
    "keeps no modes": ("exec rsync \"$@\" --no-perms\n", "mode"),
    "keeps no times": ("exec rsync \"$@\" --no-times\n", "mtime"),
    "keeps no owner": ("exec rsync \"$@\" --no-owner --no-group\n", "owner"),
    "keeps no xattrs": ("exec rsync \"$@\" --no-xattrs\n", "xattr"),
    "keeps no ACLs": ("exec rsync \"$@\" --no-acls\n", "system.posix_acl"),
    "keeps no hard links": ("exec rsync \"$@\" --no-hard-links\n", "not hard-linked together"),
    "keeps no symlinks": ("exec rsync \"$@\" --no-links\n", "is missing"),
    "keeps no FIFOs": ("exec rsync \"$@\" --no-specials\n", "fifo: is missing"),
    "does not delete": (WITHOUT % "--delete", "should not be there"),
    "deletes unasked": ("exec rsync --delete \"$@\"\n", "should not be there", ("--delete",)),
    "makes no backups": (WITHOUT % "--backup", "~: is missing"),
    "leaves holes out": (WITHOUT % "--sparse", "stored"),
    "compares no contents": (WITHOUT % "--checksum", "content differs"),
    "copies everything again": ("exec rsync \"$@\" --ignore-times\n", "touched: dst/same", ("--checksum",)),
    "writes in place": ("exec rsync \"$@\" --inplace\n", "ctime moved, by rsync was replaced"),
    "leaves a file behind": ("rsync \"$@\"; code=$?; touch dst/.stray; exit $code\n", ".stray: should not be there"),
    "writes at the source": ("rsync \"$@\"; code=$?; chmod u+s src/same; exit $code\n", "touched: src/same: ctime moved"),
    "touches what is equal": ("rsync \"$@\"; code=$?; chmod 644 dst/same; exit $code\n", "touched: dst/same: ctime moved"),
    "changes one byte": ("rsync \"$@\"; code=$?; printf x | dd of=dst/same conv=notrunc status=none; exit $code\n", "content differs"),
    "has another exit code": ("rsync \"$@\"; exit 11\n", "exit: 11, should be 0"),
    "says less": ("exec rsync \"$@\" --no-itemize-changes\n", "output: missing"),
    "says more": ("echo hello; exec rsync \"$@\"\n", "output: unexpected hello"),
    "logs nothing": ("exec rsync \"$@\" --log-file=/dev/null\n", "log: missing"),
    "ignores a filter": ("exec rsync --include='*' \"$@\"\n", "excluded: should not be there", ("--exclude=excluded",)),
}
SOURCE = {
    "same": F("equal"), "new": F("new", mode=0o640), "changed": F("was changed"), "excluded": F("left out"), "hidden-change": F("one"),
    "mode": F("m", mode=0o4755), "times": F("t", mtime_ns=seconds(-77)), "owner": F("o", uid=12, gid=34),
    "xattrs": F("x", xattrs={"user.a": b"1"}),
    "acl": F("a", xattrs={"system.posix_acl_access": generate.ACLS[0]}), "link-a": F("linked"), "link-b": H("link-a"), "symlink": L("same"),
    "fifo": Node("fifo"), "sparse": Node("file", pieces=[(0, b"x" * 5000)], size=400000), "dir/inside": F("in", mtime_ns=seconds(5)),
    "dir": D(mode=0o700),
}
DESTINATION = {"same": F("equal"), "changed": F("as it was before", mtime_ns=seconds(-9)), "hidden-change": F("two"), "extra": F("extra"),
               "dir/extra": F("e")}
WORDS = ["--archive", "--hard-links", "--acls", "--xattrs", "--sparse", "--checksum", "--backup", "--itemize-changes", "--log-file=log.txt",
         "--delete"]


class Fixed(scenarios.Scenario):
    """One run that selects everything the harness looks at."""

    def __init__(self, leave_out=frozenset(), more=frozenset()):
        world = {b"rsh": scenarios.REMOTE_SHELL, **below("src", SOURCE), **below("dst", DESTINATION)}
        words = [w for w in WORDS + sorted(more) if w not in leave_out]
        super().__init__(world, [scenarios.Unit(w.lstrip("-").partition("=")[0], w) for w in words], [b"src/"], b"dst/")

    def _words(self):
        return [unit.spelling for unit in self.units] + self.operands + [self.destination]


@harness.unittest.skipUnless(harness.has_rsync(), "rsync is not installed")
class Harness(harness.Case):
    def differences(self, script, scenario):
        wrong = self.path("wrong")
        with open(wrong, "w") as file:
            file.write("#!/bin/sh\n" + script)
        os.chmod(wrong, 0o755)
        theirs, _, found = runner.Pair(wrong, self.dir).run(scenario)
        self.assertEqual(0, theirs.code, theirs.stderr)
        return found

    def test_rsync_does_not_differ_from_itself(self):
        pair = runner.Pair("rsync", self.dir)
        for seed in SEEDS:
            with self.subTest(seed=seed):
                self.assertEqual([], pair.run(scenarios.draw(seed))[2])

    def test_a_seed_repeats(self):
        for seed in SEEDS:
            first, second = scenarios.draw(seed), scenarios.draw(seed)
            self.assertEqual(repr(sorted(first.world.items())), repr(sorted(second.world.items())))
            self.assertEqual(first.arguments(), second.arguments())

    def test_every_way_of_being_wrong_is_found(self):
        self.assertEqual([], self.differences("exec rsync \"$@\"\n", Fixed()))
        for name, (script, told, *more) in WRONG.items():
            with self.subTest(wrong=name):
                if name == "keeps no owner" and not harness.is_root():
                    continue
                switched = set(*more)  # words that are on in every other run are off in this one, others on
                found = self.differences(script, Fixed(switched & set(WORDS), switched - set(WORDS)))
                self.assertTrue([line for line in found if told in line], "not caught by %r: %s" % (told, found))

    def test_a_program_that_does_not_end_is_found(self):
        limit, runner.LIMIT_S = runner.LIMIT_S, 3
        try:
            self.assertIn("exit: None, should be 0", self.differences("case $0 in */wrong) exec sleep 100;; esac\n", Fixed()))
        finally:
            runner.LIMIT_S = limit

    def test_a_wrong_program_is_found_by_random_runs_and_shrunk(self):
        """Without its default of --perms in -a, somewhere in thirty runs modes differ; what is left of the run still shows it."""
        for seed in SEEDS:
            drawn = scenarios.draw(seed)
            found = self.random_differences(drawn)
            if any(" mode " in line for line in found):
                small = shrink.shrink(drawn, self.random_differences)
                self.assertTrue(self.random_differences(small))
                self.assertLess(len(small.world), len(drawn.world))
                return
        self.fail("not found")

    def random_differences(self, scenario):
        wrong = self.path("wrong")
        with open(wrong, "w") as file:
            file.write("#!/bin/sh\nexec rsync \"$@\" --no-perms\n")
        os.chmod(wrong, 0o755)
        return runner.Pair(wrong, self.dir).run(scenario)[2]


if __name__ == "__main__":
    harness.unittest.main(verbosity=2)
