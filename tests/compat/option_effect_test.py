#!/usr/bin/env python3
"""An option that parses does what it says. For every option that ursync takes there is a run that the option changes, and with and without
it ursync does what rsync does: an option that was read and then forgotten would leave the two alike.
"""

import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import effects  # noqa: E402
import harness  # noqa: E402
import intended  # noqa: E402
import options  # noqa: E402
import regressions  # noqa: E402
import runner  # noqa: E402
import scenario  # noqa: E402
import support  # noqa: E402
from model import F  # noqa: E402

PROGRAM = os.environ.get("URINGSYNC_COMPAT_PROGRAM", os.path.join(harness.BIN_DIR, "ursync"))
NEEDS_ROOT = {"devices-specials", "devices", "numeric-ids", "chown", "usermap", "groupmap", "owner", "no-owner", "no-group", "group",
    "no-devices", "copy-devices",
              "no-D"}
INCOMPRESSIBLE = os.urandom(60000)


def trace(outcome):
    """All that a run shows, as text."""
    tree = [(path, r.type, r.mode, r.uid, r.gid, r.size, r.mtime_ns, r.digest, r.target, sorted(r.xattrs.items()), r.nlink,
             r.atime_ns == effects.DEFAULT_NS and path.startswith(b"dst"),
             r.inode == outcome.before[path].inode if path in outcome.before else None, sum(e - s for s, e in r.segments or ()))
            for path, r in sorted(outcome.after.items()) if path != runner.LOG]
    return repr((outcome.code, sorted(outcome.stdout.splitlines()), len(outcome.log.splitlines()), re.sub(rb"\d+", b"", outcome.log), tree))


@harness.unittest.skipUnless(harness.has_rsync(), "rsync is not installed")
class Effects(harness.Case):
    """Each option is a test of its own: see below."""

    refused = None

    def setUp(self):
        super().setUp()
        if Effects.refused is None:
            Effects.refused = support.unsupported(PROGRAM)[0]

    def pair(self):
        return runner.Pair(PROGRAM, self.dir)

    def case(self, words, world=None):
        return regressions.Case("effect", effects.WORLD if world is None else world, words)

    def supported(self, name):
        if name in self.refused:
            self.skipTest("%s is not supported" % " ".join(self.refused[name]))

    def effect(self, name):
        self.supported(name)
        without, more, *world = effects.EFFECTS[name]
        seen = []
        for words in (without, without + more if name.startswith("no-") else more + without):  # the last of -a and --no-perms wins
            case = self.case(words, *world)
            if "--itemize-changes" not in words and name == "sparse":
                case.names = lambda: {"sparse"}
            theirs, ours, found = self.pair().run(case)
            left = intended.sort_out(case, theirs, ours, found)[0]
            refusal = support.refusal(theirs, ours)
            if refusal:
                self.skipTest(refusal)
            self.assertSame(left, "$ %s\n%s" % (b" ".join(ours.command), ours.stderr.decode("utf-8", "replace")))
            seen.append(trace(theirs))
        self.assertTrue(seen[0] != seen[1], "%s changes nothing in this run of rsync" % " ".join(more))

    def test_every_supported_option_has_a_run_that_it_changes(self):
        known = set(effects.EFFECTS) | set(effects.INERT) | set(effects.MEASURED)
        self.assertEqual(set(), {o.name for o in options.TABLE} - known, "no run for these")
        self.assertEqual(set(), known - {o.name for o in options.TABLE}, "not in the table of the options that are drawn")

    def statistic(self, words, world, label):
        theirs, ours, _ = self.pair().run(self.case(words, world))
        if support.refusal(theirs, ours):
            self.skipTest(support.refusal(theirs, ours))
        self.assertEqual(0, ours.code, ours.stderr)
        return [int(re.search(label + rb": ([\d,]+)", o.stdout).group(1).replace(b",", b"")) for o in (theirs, ours)]

    def test_compress_moves_fewer_bytes(self):
        self.supported("compress")
        world = {"src/f": F(b"the same words again and again\n" * 20000), "dst": effects.D()}
        words = ["-a", "--stats", "--no-h", "-e", "./rsh", "src/", "host:dst/"]
        plain, small = (self.statistic(more + words, world, b"Total bytes sent")[1] for more in ([], ["-z", "--compress-level=3"]))
        self.assertLess(small * 10, plain)

    def test_whole_file_and_its_opposite_decide_about_the_delta(self):
        self.supported("whole-file")
        world = {"src/f": F(INCOMPRESSIBLE + b"!"), "dst/f": F(INCOMPRESSIBLE, mtime_ns=effects.OLD)}
        words = ["-a", "--stats", "--no-h", "-e", "./rsh", "src/", "host:dst/"]
        for option, least, most in (("--no-whole-file", 30000, 60001), ("--whole-file", 0, 0)):
            for matched in self.statistic([option] + words, world, b"Matched data"):
                self.assertTrue(least <= matched <= most, "%s matched %d bytes" % (option, matched))

    def test_bwlimit_slows_down(self):
        self.supported("bwlimit")
        case = self.case(["-a", "--bwlimit=20", "src/", "dst/"], {"src/f": F(INCOMPRESSIBLE), "dst": effects.D()})
        started = time.monotonic()
        runner.run(case, PROGRAM, self.path("slow"))
        self.assertGreater(time.monotonic() - started, 1.5)


def _test_of(name):
    @harness.unittest.skipIf(name in NEEDS_ROOT and not harness.is_root(), "needs root")
    def test(self):
        self.effect(name)
    return test


for _name in effects.EFFECTS:
    setattr(Effects, "test_" + _name.replace("-", "_"), _test_of(_name))


if __name__ == "__main__":
    harness.unittest.main(verbosity=2)
