#!/usr/bin/env python3
"""Why paths are copied, left out, kept or deleted, and what differs."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402


class ExplainTest(harness.Case):
    def setUp(self):
        super().setUp()
        self.src, self.dst = self.path("src"), self.path("dst")
        for path, text in (("src/same", "same"), ("dst/same", "same"), ("src/new", "new"), ("src/changed", "longer than it was"),
                           ("dst/changed", "short"), ("src/d/a.o", "o"), ("src/build/x", "x"), ("src/big", "b" * 5000),
                           ("dst/gone", "g"), ("dst/kept", "k"), ("src/hidden/secret", "s"), ("src/hidden/.rules", "- secret\n")):
            os.makedirs(os.path.dirname(self.path(path)), exist_ok=True)
            with open(self.path(path), "w") as file:
                file.write(text)
        for side in (self.src, self.dst):
            os.utime(os.path.join(side, "same"), (10 ** 9, 10 ** 9))
        os.utime(os.path.join(self.src, "changed"), (10 ** 9, 10 ** 9))
        with open(self.path("rules"), "w") as file:
            file.write("# objects\n*.o\n\nbuild\n")

    def why(self, *arguments, code=harness.OK):
        result = self.cli("explain", "--json", *arguments, code=code)
        return {event["path"]: event for event in result.events}

    def test_every_reason_is_told(self):
        before = sorted(os.listdir(self.dst))
        why = self.why("--delete", "--max-size=1000", "--exclude-from", self.path("rules"), "--filter=P kept", "--filter=: .rules",
                       self.src, self.dst, "same", "new", "changed", "d/a.o", "build/x", "big", "gone", "kept", "hidden/secret", "nowhere",
                       code=harness.PARTIAL)
        self.assertEqual({"same": "nothing", "new": "copy", "changed": "update", "d/a.o": "exclude", "build/x": "exclude", "big": "skip",
                          "gone": "delete", "kept": "protect", "hidden/secret": "exclude", "nowhere": "missing"},
                         {path: event["decision"] for path, event in why.items()})
        self.assertEqual({"text": "- *.o", "file": self.path("rules"), "line": 2, "of": "d/a.o"}, why["d/a.o"]["rule"])
        self.assertEqual(("build", 4), (why["build/x"]["rule"]["of"], why["build/x"]["rule"]["line"]))
        self.assertNotIn("file", why["kept"]["rule"])
        self.assertIn("per-directory", why["hidden/secret"]["reason"])
        self.assertIn("--max-size", why["big"]["reason"])
        changes = {change["field"]: (change["from"], change["to"]) for change in why["changed"]["changes"]}
        self.assertEqual(("5", "18"), changes["size"])
        self.assertEqual("2001-09-09 01:46:40.000000000", changes["mtime"][1])
        self.assertEqual(before, sorted(os.listdir(self.dst)))

    def test_people_get_lines_and_may_name_paths_as_they_know_them(self):
        shown = self.cli("explain", self.src + "/", self.dst, os.path.join(self.src, "changed"), os.path.join(self.dst, "gone"), "./new")
        lines = shown.stdout.splitlines()
        self.assertEqual("changed: update: it differs at DST", lines[0])
        self.assertIn("  size: 5 -> 18", lines)
        self.assertIn("gone: nothing: DST alone has it, and nothing is deleted without --delete", lines)
        self.assertIn("new: copy: DST does not have it", lines)

    def test_mistakes_are_told(self):
        self.assertIn("PATH", self.cli("explain", self.src, self.dst, code=harness.USAGE).stderr)
        self.assertIn("no path below", self.cli("explain", self.src, self.dst, "../x", code=harness.USAGE).stderr)
        self.cli("explain", self.path("none"), self.dst, "x", code=harness.SELECTION)


if __name__ == "__main__":
    harness.main()
