#!/usr/bin/env python3
"""Why paths are copied, left out, kept or deleted, and what differs."""

import os
import shutil
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
        self.assertEqual({"text": "P kept", "of": "kept"}, why["kept"]["rule"])
        self.assertEqual({"text": "- secret", "file": os.path.join(self.src, "hidden/.rules"), "line": 1, "of": "hidden/secret"},
                         why["hidden/secret"]["rule"])
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

    def test_a_basis_directory_is_named(self):
        older = self.path("older")
        shutil.copytree(self.src, older)
        for option, decision, text in (("--link-dest", "link", "has the same object"), ("--copy-dest", "copy", "contents are copied from"),
                                       ("--compare-dest", "skip", "has the same object")):
            why = self.why("%s=%s" % (option, self.path("none")), "%s=%s" % (option, older), self.src + "/", self.dst, "new")
            self.assertEqual(decision, why["new"]["decision"], option)
            self.assertIn(text, why["new"]["reason"])
            self.assertIn("the basis directory " + older, why["new"]["reason"])

    def test_rules_of_per_directory_files_are_told_with_their_place(self):
        for path, text in ((".rsync-filter", "# above\n- above\n"), ("src/.rsync-filter", "- *.none\n\n- top\n"),
                           ("src/d/.rsync-filter", "+ top\n- /here/\n"), ("dst/d/.rsync-filter", "\n\nP only\n- more\n"), ("src/d/here/x", "x"), ("src/top", "t"),
                           ("src/d/top", "t"), ("src/above", "a"), ("dst/d/only", "o"), ("dst/d/top2", "t")):
            os.makedirs(os.path.dirname(self.path(path)), exist_ok=True)
            with open(self.path(path), "w") as file:
                file.write(text)
        why = self.why("-F", "--delete", self.src + "/", self.dst, "top", "d/top", "d/here/x", "above", "d/only", "d/top2")
        self.assertEqual({"top": "exclude", "d/top": "copy", "d/here/x": "exclude", "above": "exclude", "d/only": "protect", "d/top2": "delete"},
                         {path: event["decision"] for path, event in why.items()})
        rules = {path: event["rule"] for path, event in why.items() if "rule" in event}
        self.assertEqual({"text": "- top", "file": self.src + "/.rsync-filter", "line": 3, "of": "top"}, rules["top"])
        self.assertEqual({"text": "- /here/", "file": self.src + "/d/.rsync-filter", "line": 2, "of": "d/here"}, rules["d/here/x"])
        self.assertEqual({"text": "P only", "file": self.dst + "/d/.rsync-filter", "line": 3, "of": "d/only"}, rules["d/only"])
        self.assertEqual(("- above", 2, os.path.realpath(self.path(".rsync-filter"))), (rules["above"]["text"], rules["above"]["line"], rules["above"]["file"]))

    def test_rules_of_another_host_are_told_with_their_place(self):
        shell = self.path("shell")
        with open(shell, "w") as file:
            file.write('#!/bin/sh\nshift\nexec sh -c "$*"\n')
        os.chmod(shell, 0o755)
        why = self.why("-e", shell, "--rsync-path", os.path.join(harness.BIN_DIR, "uringsync-agent"), "--filter=: .rules", "host:" + self.src, self.dst, "hidden/secret")
        self.assertEqual({"text": "- secret", "file": os.path.join(self.src, "hidden/.rules"), "line": 1, "of": "hidden/secret"}, why["hidden/secret"]["rule"])

    def test_mistakes_are_told(self):
        self.assertIn("PATH", self.cli("explain", self.src, self.dst, code=harness.USAGE).stderr)
        self.assertIn("no path below", self.cli("explain", self.src, self.dst, "../x", code=harness.USAGE).stderr)
        self.assertIn("empty", self.cli("explain", self.src, self.dst, "", code=harness.USAGE).stderr)
        self.cli("explain", self.path("none"), self.dst, "x", code=harness.SELECTION)


if __name__ == "__main__":
    harness.main()
