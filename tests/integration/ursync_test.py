#!/usr/bin/env python3
"""What ursync prints, beside what rsync prints on an equal tree: itemised lines, file lists, tables, listings, errors, exit codes."""

import json
import os
import re
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

RSYNC = shutil.which("rsync")
ENVIRONMENT = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}
ENVIRONMENT.pop("URSYNC_FALLBACK", None)


@unittest.skipUnless(RSYNC, "rsync is not installed")
class Ursync(harness.Case):
    def setUp(self):
        super().setUp()
        for side in ("theirs", "ours"):
            self.make(self.path(side, "src"))

    def make(self, root):
        os.makedirs(os.path.join(root, "sub", "deep"))
        os.mkdir(os.path.join(root, "empty"))
        for name, text in (("a", "hello\n"), ("big", "0" * 123456), ("sub/we ird", "x"), ("n\xff\nl", "1"), ("sub/deep/y", "")):
            with open(os.path.join(os.fsencode(root), name.encode("latin-1")), "w") as file:
                file.write(text)
        os.link(os.path.join(root, "a"), os.path.join(root, "sub", "a2"))
        os.symlink("a", os.path.join(root, "link"))
        os.mkfifo(os.path.join(root, "pipe"))
        self.date(root)

    def date(self, root, seconds=1600000000):
        """Times that are the same on both sides, and long ago."""
        for directory, names, files in os.walk(os.fsencode(root), topdown=False):
            for name in files + names:
                os.utime(os.path.join(directory, name), (seconds, seconds), follow_symlinks=False)
        os.utime(root, (seconds, seconds))

    def one(self, side, *arguments):
        program = RSYNC if side == "theirs" else harness.URSYNC
        return harness.run([program, *arguments], cwd=self.path(side), env=ENVIRONMENT)

    def both(self, *arguments):
        theirs, ours = self.one("theirs", *arguments), self.one("ours", *arguments)
        self.assertEqual(theirs.code, ours.code, "%s\n%s" % (theirs, ours))
        return theirs, ours

    def assertSameLines(self, *arguments, mask=lambda line: line, left=()):
        """The same lines, but for those `left` out; their order is that of what each does."""
        theirs, ours = self.both(*arguments)
        lines = [sorted(line for line in map(mask, result.stdout.splitlines()) if line not in left) for result in (theirs, ours)]
        self.assertEqual(*lines, "%s\n%s" % (theirs, ours))

    def change(self):
        for side in ("theirs", "ours"):
            root = self.path(side, "src")
            with open(os.path.join(root, "big"), "a") as file:
                file.write("more")
            os.utime(os.path.join(root, "big"), (1700000000, 1700000000))
            os.chmod(os.path.join(root, "sub", "we ird"), 0o600)
            os.unlink(os.path.join(root, "link"))
            os.symlink("big", os.path.join(root, "link"))
            os.utime(os.path.join(root, "link"), (1700000000, 1700000000), follow_symlinks=False)
            os.utime(os.path.join(root, "sub"), (1700000000, 1700000000))
            os.unlink(os.path.join(root, "pipe"))
            os.utime(root, (1700000000, 1700000000))

    def test_itemised_lines(self):
        def mask(line):
            # Which name of a file is sent and which linked to it is chosen by other rules.
            return "a file of two names" if re.search(r"\b(a|sub/a2)$", line) else line
        self.assertSameLines("-aHi", "src/", "dst", mask=mask)
        self.assertSameLines("-aHi", "src/", "dst")
        self.change()
        self.assertSameLines("-aHin", "--delete", "src/", "dst")
        self.assertSameLines("-aHi", "--delete", "src/", "dst")
        self.assertSameLines("-aHi", "--delete", "src/", "dst")

    def tree(self, path):
        """What is at `path` and below; times of what was dated."""
        found = []
        for top, names, files in [("", [path], [])] + list(os.walk(path)):
            for name in names + files:
                name = os.path.join(top, name)
                if os.path.lexists(name):
                    info = os.lstat(name)
                    size = 0 if os.path.isdir(name) else info.st_size
                    found.append((os.path.relpath(name, path), oct(info.st_mode), size, int(info.st_mtime) if info.st_mtime < 1650000000 else None))
        return sorted(found)

    def assertSameResult(self, *arguments):
        """Lines, exit code and what is at dst afterwards; dst begins as it is."""
        self.assertSameLines(*arguments)
        trees = [self.tree(self.path(side, "dst")) for side in ("theirs", "ours")]
        self.assertEqual(*trees, arguments)

    def assertSameCopies(self, *cases):
        for arguments in cases:
            with self.subTest(arguments=arguments):
                self.assertSameResult(*arguments.split())
                for side in ("theirs", "ours"):
                    path = self.path(side, "dst")
                    shutil.rmtree(path) if os.path.isdir(path) else os.path.lexists(path) and os.unlink(path)

    def test_sources_with_and_without_names(self):
        self.assertSameCopies("-ai src dst", "-ai src/sub src/a dst", "-ai src/sub/ src/empty/ dst", "-ai src/a dst", "-ai src/a dst/",
                              "-ai src/link dst", "-i src src/a dst", "-ri src/a nope dst", "-di src/ dst", "-ai --mkpath src/a dst",
                              "-ri --ignore-missing-args nope src/a dst", "-ai src/a no/dst", "-ai src/sub src/a no/dst")

    def test_filters_are_anchored_where_the_transfer_begins(self):
        self.assertSameCopies("-ai --exclude=/src/sub src dst", "-ai --exclude=/sub src dst", "-ai --exclude=/sub src/ dst",
                              "-ai --exclude=deep src/sub src/a dst", "-aiR --exclude=deep src/./sub dst")
        for side in ("theirs", "ours"):
            os.makedirs(self.path(side, "dst", "src", "gone", "kept"))
        self.assertSameResult("-ai", "--delete", "--exclude=kept", "src", "dst")

    def test_path_names_and_lists(self):
        for side in ("theirs", "ours"):
            for name, text in (("list", "sub\n# none\n\na\n"), ("zeros", "sub/we ird\0a\0"), ("missing", "a\nbig\nnope\n")):
                with open(self.path(side, name), "w") as file:
                    file.write(text)
        self.assertSameCopies("-aiR src/sub/deep dst", "-aiR src/./sub/deep dst", "-iR src/sub/deep/y src/a dst", "-ai --files-from=list src dst",
                              "-ari --files-from=list src dst", "-ai --no-R --files-from=list src dst", "-ai -0 --files-from=zeros src dst",
                              "-ai --files-from=missing src dst", "-ai --files-from=nowhere src dst")

    def test_file_lists(self):
        def mask(line):
            return re.sub(r"[\d,.]+", "N", line) if re.match(r"sent .* bytes/sec|total size is", line) else line
        self.assertSameLines("-av", "src/", "dst", mask=mask)
        self.change()
        self.assertSameLines("-avn", "--delete", "src/", "dst", mask=mask)
        self.assertSameLines("-av", "--delete", "src/", "dst", mask=mask)
        self.assertSameLines("-av", "src/", "dst", mask=mask)
        self.assertSameLines("-aq", "src/", "other")

    def test_without_metadata_times_are_those_of_the_transfer(self):
        self.assertSameLines("-ri", "src/", "dst")
        self.change()
        theirs, ours = self.both("-ri", "src/", "dst")
        self.assertIn(">f.sT...... big", theirs.stdout)
        self.assertIn(">f.sT...... big", ours.stdout)

    def test_formats(self):
        for name, text in (("one", "%i %n%L"), ("two", "[%o] %n %l %U %G %B %M"), ("three", "%-12n|%'l|%%")):
            def mask(line):
                return re.sub(r"\b4,?096\b", "0", line)  # the size of a directory is not known here
            self.assertSameLines("-a", "--out-format=" + text, "src/", name, mask=mask)

    def test_the_table_of_counts(self):
        def lines(result):
            known = ("Number of files", "Number of created", "Number of deleted", "Number of regular", "Total file size", "Total transferred",
                     "Literal", "Matched")
            return [line for line in result.stdout.splitlines() if line.startswith(known)], [
                line.split(":")[0] for line in result.stdout.splitlines() if ":" in line]
        for arguments in (["-aH", "--stats", "src/", "dst"], ["-aH", "--stats", "--delete", "src/sub/", "dst"], ["-an", "--stats", "src/", "new"]):
            theirs, ours = self.both(*arguments)
            self.assertEqual(lines(theirs), lines(ours), "%s\n%s" % (theirs, ours))

    def test_listings(self):
        def mask(line):
            return re.sub(r"^(d\S+) +[\d,.K]+ ", r"\1 ", line)  # the size of a directory is not known here
        for arguments in (["src/"], ["-r", "src/"], ["-rl", "--list-only", "src/"], ["-rh", "src/"], ["--no-h", "-r", "src/"], ["-8", "src/"]):
            theirs, ours = self.both(*arguments)
            self.assertEqual([mask(line) for line in theirs.stdout.splitlines()], [mask(line) for line in ours.stdout.splitlines()])

    def test_filters(self):
        for side in ("theirs", "ours"):
            with open(self.path(side, "rules"), "w") as file:
                file.write("- sub/deep/\n+ *\n")
        for number, arguments in enumerate((["--exclude=big"], ["--include=sub/", "--exclude=/*/"], ["--exclude-from=rules"], ["-f", "- we*", "-f", "- *y"],
                                            ["-f", ". rules"], ["-C", "--exclude", "a"])):
            name = "dst%d" % number
            self.assertSameLines("-ai", *arguments, "src/", name)
            self.change() if number == 3 else None
            self.assertSameLines("-ai", "--delete", *arguments, "src/", name)
            self.assertSameLines("-ai", "--delete", "--delete-excluded", *arguments, "src/", name)
        self.both("-a", "--exclude-from=none", "src/", "dst")

    def test_basis_directories(self):
        self.both("-a", "src/", "old")
        self.change()
        for option in ("--link-dest", "--copy-dest"):
            # The root is not held against that of the basis directory.
            self.assertSameLines("-ai", option + "=../old", "src/", "dst" + option, mask=lambda line: "" if line.endswith(" ./") else line, left=[""])
        same = [os.path.samefile(self.path("ours", "old", "a"), self.path("ours", directory, "a")) for directory in ("dst--link-dest", "dst--copy-dest")]
        self.assertEqual([True, False], same)
        self.both("-a", "--link-dest=x", "--copy-dest=y", "src/", "dst")

    def test_errors_and_exit_codes(self):
        theirs, ours = self.both("-a", "none", "dst")
        self.assertIn("link_stat \"%s\" failed: No such file or directory (2)" % self.path("ours", "none"), ours.stderr)
        self.assertIn("ursync error: some files/attrs were not transferred (see previous errors) (code 23)", ours.stderr)
        for arguments in (["--foo", "src/", "dst"], ["-a", "--bwlimit"], ["-a", "--verbose=3", "src/", "dst"], ["--delete", "src/", "dst"],
                          ["-r", "--delete-before", "--delete-after", "src/", "dst"], [], ["-N", "src/", "dst"],
                          ["--checksum-choice=none-such", "src/", "dst"], ["src/", "dst"], ["src", "dst"]):
            self.both(*arguments)
        self.assertSameLines("src/", "dst")
        self.assertSameLines("src", "dst")

    def test_the_log(self):
        for side in ("theirs", "ours"):
            self.one(side, "-a", "--log-file=log", "src/", "dst")
        lines = []
        for side in ("theirs", "ours"):
            with open(self.path(side, "log"), "rb") as file:
                found = file.read().decode("latin-1").splitlines()
            self.assertTrue(all(re.match(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[\d+\] ", line) for line in found), found)
            lines.append(sorted(re.sub(r"sent .*", "sent", line.split("] ", 1)[1]) for line in found))
        self.assertEqual(*lines)

    def test_what_is_refused_is_named_and_can_be_given_to_rsync(self):
        ours = self.one("ours", "-a", "--write-batch=b", "src/", "dst")
        self.assertEqual(harness.USAGE, ours.code)
        self.assertIn("--write-batch is not supported", ours.stderr)
        self.assertFalse(os.path.exists(self.path("ours", "dst")))
        ran = harness.run([harness.URSYNC, "-a", "--write-batch=b", "src/", "dst"], cwd=self.path("ours"),
                          env={**ENVIRONMENT, "URSYNC_FALLBACK": "rsync"})
        self.assertEqual(0, ran.code, ran)
        self.assertIn("running rsync instead", ran.stderr)
        self.assertTrue(os.path.exists(self.path("ours", "dst", "sub", "deep", "y")))
        with open(self.path("rules"), "w") as file:
            file.write("-x user.*\n")
        for rule in ("-x user.*", "merge " + self.path("rules")):
            self.assertEqual(harness.USAGE, self.one("ours", "-aX", "--filter", rule, "src/", "ruled").code)
            ran = harness.run([harness.URSYNC, "-aX", "--filter", rule, "src/", "ruled"], cwd=self.path("ours"), env={**ENVIRONMENT, "URSYNC_FALLBACK": "rsync"})
            self.assertEqual(0, ran.code, ran)
            self.assertIn("rules for attribute names (modifier 'x') are not supported: -x user.*; running rsync instead", ran.stderr)
            shutil.rmtree(self.path("ours", "ruled"))
        # Found too late, and no rule to go on without.
        os.rename(self.path("rules"), self.path("ours", "src", ".rsync-filter"))
        late = self.one("ours", "-aF", "src/", "ruled")
        self.assertEqual(harness.USAGE, late.code, late)
        self.assertIn("are not supported: -x user.*", late.stderr)
        self.assertIn("rsync://", self.one("ours", "-a", "rsync://host/module", "dst").stderr)
        self.assertIn("rsync daemons", self.one("ours", "-a", "host::module", "dst").stderr)

    def test_a_program_that_is_called_rsync_has_rsyncs_command_line_and_does_not_call_itself(self):
        os.mkdir(self.path("bin"))
        os.symlink(harness.URSYNC, self.path("bin", "rsync"))
        environment = {**ENVIRONMENT, "URSYNC_FALLBACK": "rsync", "PATH": self.path("bin") + ":" + os.environ["PATH"], "URINGSYNC_AGENT": harness.AGENT}
        ran = harness.run(["rsync", "-ai", "src/", "dst"], cwd=self.path("ours"), env=environment)
        self.assertEqual(0, ran.code, ran)
        self.assertIn("cd+++++++++ ./", ran.stdout)
        ran = harness.run(["rsync", "-a", "--write-batch=b", "src/", "other"], cwd=self.path("ours"), env=environment)
        self.assertEqual(0, ran.code, ran)
        self.assertTrue(os.path.exists(self.path("ours", "b")))

    def test_version_has_rsyncs_keys(self):
        theirs, ours = (json.loads(self.one(side, "-VV").stdout) for side in ("theirs", "ours"))
        self.assertEqual(list(theirs), list(ours))
        self.assertEqual(set(theirs["capabilities"]), set(ours["capabilities"]))
        self.assertIn("ursync  version", self.one("ours", "--version").stdout)

    def test_a_time_limit_that_has_passed_is_refused(self):
        self.both("-a", "--stop-at=2001-01-01T00:00", "src/", "dst")

    def test_progress_counts_the_objects_that_are_left(self):
        theirs, ours = self.both("-aP", "src/", "counted")
        found = [re.findall(r"xfr#(\d+), (?:to|ir)-chk=(\d+)/(\d+)", result.stdout) for result in (theirs, ours)]
        self.assertEqual([each[0] for each in found[0]], [each[0] for each in found[1]])
        for sent, left, known in found[1]:
            self.assertLessEqual(int(sent) + int(left), int(known), str(ours))
            self.assertGreater(int(known), 0, str(ours))

    def test_a_dry_run_has_no_progress_of_files(self):
        self.assertSameLines("-an", "--progress", "src/", "dst")
        self.assertSameLines("-anPi", "src/", "dst")

    def test_relative_names_are_told_as_absolute_ones_where_they_were_written_so(self):
        os.makedirs(self.path("shared", "d"))
        with open(self.path("shared", "d", "f"), "w") as file:
            file.write("f")
        named = (self.path("shared"), "src/sub", self.path("shared") + "/./d")
        self.assertSameLines("-aRi", *named, "dst")
        self.assertSameLines("-aRn", "--out-format=%n %f", *named, "new")
        os.utime(self.path("shared", "d", "f"), (1700000000, 1700000000))
        self.assertSameLines("-aRi", "--no-implied-dirs", self.path("shared"), "dst")

    def test_output_that_nobody_takes(self):
        for words, full in ((("-av", "src/", "dst"), 0), (("-avn", "--stats", "src/", "dst"), 0), (("-av", "--outbuf=L", "src/", "fresh"), 13)):
            for program, side in ((RSYNC, "theirs"), (harness.URSYNC, "ours")):
                with open("/dev/full", "w") as output:
                    done = subprocess.run([program, *words], cwd=self.path(side), env=ENVIRONMENT, stdout=output, stderr=subprocess.PIPE)
                self.assertEqual(done.returncode, full, "%s %s\n%s" % (program, words, done.stderr))
        self.assertEqual(*(sorted(os.listdir(self.path(side, "dst"))) for side in ("theirs", "ours")))
        with open("/dev/full", "w") as output:
            done = subprocess.run([harness.CLI, "plan", self.path("ours", "src"), self.path("dst")], stdout=output, stderr=subprocess.PIPE)
        self.assertEqual((done.returncode, done.stderr), (11, b"uringsync: standard output could not be written\n"))

    def test_output_modes(self):
        for mode in "NLB":
            ours = subprocess.run([harness.URSYNC, "-ai", "--outbuf=" + mode, "src/", "dst" + mode], cwd=self.path("ours"), env=ENVIRONMENT,
                                  capture_output=True)
            self.assertEqual(0, ours.returncode)
            self.assertIn(b"cd+++++++++ ./", ours.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
