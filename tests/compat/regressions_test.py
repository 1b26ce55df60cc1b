#!/usr/bin/env python3
"""The named cases of regressions.py, each beside rsync."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import intended  # noqa: E402
import regressions  # noqa: E402
import runner  # noqa: E402

PROGRAM = os.environ.get("URINGSYNC_COMPAT_PROGRAM", os.path.join(harness.BIN_DIR, "ursync"))


@harness.unittest.skipUnless(harness.has_rsync(), "rsync is not installed")
class Regressions(harness.Case):
    """Each case is a test of its own: see below."""

    def check(self, case):
        theirs, ours, found = runner.Pair(PROGRAM, self.dir).run(case)
        self.assertFalse(theirs.died(), "rsync itself died: %s" % theirs.stderr)
        left, met = intended.sort_out(case, theirs, ours, found)
        self.assertSame(left, "$ %s\n%s" % (b" ".join(ours.command), ours.stderr.decode("utf-8", "backslashreplace")))
        if case.differs:
            self.assertIn(case.differs, met, "the documented difference does not show any more")

    def test_names_are_unique_and_differences_known(self):
        names = [case.name for case in regressions.CASES]
        self.assertEqual(len(names), len(set(names)))
        self.assertEqual(set(), {c.differs for c in regressions.CASES if c.differs} - {i.name for i in intended.INTENDED})


def _test_of(case):
    @harness.unittest.skipIf("root" in case.needs and not harness.is_root(), "needs root")
    def test(self):
        self.check(case)
    return test


for _case in regressions.CASES:
    setattr(Regressions, "test_" + _case.name, _test_of(_case))


if __name__ == "__main__":
    harness.main()
