#!/usr/bin/env python3
"""A user without privileges: what may not be set is no part of the asked state, is told in one line, and is never retried."""

import shutil
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import treecmp  # noqa: E402
import zoo  # noqa: E402


@harness.unittest.skipUnless(harness.is_root(), "needs root, to become another user and to make what a user may not")
class Unprivileged(harness.Case):
    def setUp(self):
        super().setUp()
        # The programs may lie where another user cannot go.
        os.makedirs(self.path("bin"))
        for program in (harness.CLI, harness.AGENT):
            shutil.copy2(program, self.path("bin"))
        self.program = self.path("bin", "uringsync")
        self.prefix = ["setpriv", "--reuid", str(harness.NOBODY), "--regid", str(harness.NOBODY), "--clear-groups", "--inh-caps=-all"]
        os.makedirs(self.path("home"))
        os.chown(self.path("home"), harness.NOBODY, harness.NOBODY)
        self.dst = self.path("home", "dst")

    def as_nobody(self, *arguments, **options):
        # An instrumented program would complain that it cannot write its counts where root's are.
        options["env"] = dict(os.environ, LLVM_PROFILE_FILE=self.path("home", "%m.profraw"))
        return self.cli(*arguments, prefix=self.prefix, program=self.program, cwd=self.path("home"), **options)

    def test_a_destination_that_may_not_be_made_is_an_error_of_the_file_system(self):
        self.make_privileged_tree()
        os.makedirs(self.path("closed"), mode=0o755)
        for destination in (self.path("closed", "new"), self.path("closed", "new") + "/"):
            told = self.as_nobody("sync", self.path("src"), destination, code=harness.FILE_IO)
            self.assertIn("mkdir", told.stderr)
            self.assertIn("Permission denied", told.stderr)

    def make_privileged_tree(self):
        """Readable by everyone, but full of what only root can set."""
        src = self.path("src")
        os.makedirs(os.path.join(src, "dir"))
        for name in ("plain", "owned", "setuid", "capable", "trusted", "dir/inside"):
            path = os.path.join(src, name)
            with open(path, "w") as file:
                file.write(name)
            os.chmod(path, 0o644)
        os.chown(os.path.join(src, "owned"), zoo.OTHER_UID, zoo.OTHER_GID)
        os.chown(os.path.join(src, "dir"), zoo.OTHER_UID, zoo.OTHER_GID)
        os.chmod(os.path.join(src, "dir"), 0o755)
        os.chmod(os.path.join(src, "setuid"), 0o4755)
        os.setxattr(os.path.join(src, "capable"), "security.capability", zoo.FILE_CAPABILITY)
        os.setxattr(os.path.join(src, "trusted"), "trusted.thing", b"t")
        os.setxattr(os.path.join(src, "plain"), "user.kept", b"u")
        os.mknod(os.path.join(src, "device"), 0o020644, os.makedev(1, 3))
        os.mkfifo(os.path.join(src, "fifo"), 0o644)
        os.symlink("plain", os.path.join(src, "symlink"))
        os.lchown(os.path.join(src, "symlink"), zoo.OTHER_UID, zoo.OTHER_GID)
        return src

    def test_exit_0_one_summary_line_and_a_quiet_second_run(self):
        src = self.make_privileged_tree()
        first = self.as_nobody("sync", src, self.dst)
        self.assertEqual(1, sum("left out" in line for line in first.stdout.splitlines()), str(first))
        self.assertEqual("", first.stderr)
        copied = treecmp.snapshot(self.dst)
        self.assertSame(treecmp.compare(treecmp.snapshot(src), copied, owner=False, modes=False, ignore=[b"device"],
                                        xattrs=lambda key: key.startswith("user.")))
        self.assertNotIn(b"device", copied)
        self.assertEqual(b"u", copied[b"plain"].xattrs["user.kept"])
        second = self.as_nobody("sync", src, self.dst, "--json").summary
        self.assertEqual((0, 0), (second["plan"]["actions"], second["apply"]["bytes_moved"]))
        self.assertEqual(1, second["left_out"]["devices"])
        self.assertGreater(second["left_out"]["owner"], 0)
        self.assertSame(treecmp.touched(copied, treecmp.snapshot(self.dst, content=False)), "the second run changed something")
        self.as_nobody("verify", src, self.dst)

    def test_what_an_option_names_must_be_set(self):
        src = self.make_privileged_tree()
        for option, name in (("--owner", "owned"), ("--devices", "device"), ("--xattrs", "capable")):
            result = self.as_nobody("sync", src, self.dst, option, code=harness.PARTIAL)
            self.assertIn(name, result.stderr)

    def test_unreadable_files_and_directories_are_reported_and_skipped_and_nothing_is_deleted_there(self):
        src = self.make_privileged_tree()
        os.makedirs(os.path.join(src, "closed"))
        with open(os.path.join(src, "closed", "inside"), "w") as file:
            file.write("x")
        self.as_nobody("sync", src, self.dst)
        os.chmod(os.path.join(src, "plain"), 0o600)
        with open(os.path.join(src, "plain"), "a") as file:
            file.write("changed, and no longer readable")
        os.chmod(os.path.join(src, "closed"), 0o700)
        with open(os.path.join(src, "new"), "w") as file:
            file.write("new")
        result = self.as_nobody("sync", src, self.dst, "--delete", code=harness.PARTIAL)
        for name in ("plain", "closed"):
            self.assertEqual(1, sum(name in line for line in result.stderr.splitlines()), str(result))
        self.assertIn("Permission denied", result.stderr)
        with open(os.path.join(self.dst, "plain")) as file:
            self.assertEqual("plain", file.read(), "the old content must stay")
        self.assertTrue(os.path.exists(os.path.join(self.dst, "closed", "inside")), "deleted where the source could not be listed")
        self.assertTrue(os.path.exists(os.path.join(self.dst, "new")))

    def test_a_users_own_zoo_arrives_whole(self):
        for name in ("zoo.py",):
            shutil.copy2(os.path.join(harness.REPOSITORY, "tests", "support", name), self.path("home"))
        made = harness.run(self.prefix + ["/usr/bin/python3", self.path("home", "zoo.py"), "--entries", "200", self.path("home", "src")])
        self.assertEqual(0, made.code, str(made))
        # Without read permission even the owner cannot copy these.
        closed = [b"modes/file-0000", b"modes/file-0200", b"modes/file-0111"]
        result = self.as_nobody("sync", self.path("home", "src"), self.dst, code=harness.PARTIAL)
        for path in closed:
            self.assertIn(path.decode(), result.stderr)
        self.assertEqual(len(closed), len(result.stderr.splitlines()), str(result))
        self.assertSame(treecmp.compare(treecmp.snapshot(self.path("home", "src")), treecmp.snapshot(self.dst), ignore=closed))

    def test_a_destination_without_write_permission_is_a_clear_error(self):
        src = self.make_privileged_tree()
        os.makedirs(self.path("closed"))
        result = self.as_nobody("sync", src, self.path("closed", "dst"), code=(harness.SELECTION, harness.FILE_IO, harness.PARTIAL))
        self.assertIn("Permission denied", result.stderr)
        self.assertIn("closed", result.stderr)

    def test_read_only_directories_of_the_user_are_written_into_and_stay_read_only(self):
        src = self.path("home", "own")
        os.makedirs(os.path.join(src, "locked", "sub"))
        with open(os.path.join(src, "locked", "sub", "file"), "w") as file:
            file.write("1")
        for path in (src, os.path.join(src, "locked"), os.path.join(src, "locked", "sub"), os.path.join(src, "locked", "sub", "file")):
            os.chown(path, harness.NOBODY, harness.NOBODY)
        os.chmod(os.path.join(src, "locked", "sub"), 0o500)
        os.chmod(os.path.join(src, "locked"), 0o500)
        self.as_nobody("sync", src, self.dst)
        self.assertSame(treecmp.compare(treecmp.snapshot(src), treecmp.snapshot(self.dst)))
        with open(os.path.join(src, "locked", "sub", "second"), "w") as file:
            file.write("2")
        os.chown(os.path.join(src, "locked", "sub", "second"), harness.NOBODY, harness.NOBODY)
        self.as_nobody("sync", src, self.dst)
        self.assertSame(treecmp.compare(treecmp.snapshot(src), treecmp.snapshot(self.dst)))

    def test_the_journal_of_large_files_goes_from_a_root_that_is_read_only(self):
        src = self.path("home", "own")
        os.makedirs(src)
        os.chown(src, harness.NOBODY, harness.NOBODY)
        os.chmod(src, 0o555)
        self.as_nobody("sync", src, self.dst)
        with open(os.path.join(src, "large"), "wb") as file:
            file.write(b"x" * 3000000)
        os.chown(os.path.join(src, "large"), harness.NOBODY, harness.NOBODY)
        self.as_nobody("sync", "--delete", src, self.dst)
        self.assertSame(treecmp.compare(treecmp.snapshot(src), treecmp.snapshot(self.dst)))
        self.assertEqual([], harness.temporaries(self.dst))
        # One that an earlier run left there: nothing else is to be done.
        left = os.path.join(self.dst, ".~uringsync~%016d.0.tmp" % 0)
        with open(left, "w") as file:
            file.write("dead")
        os.chown(left, harness.NOBODY, harness.NOBODY)
        os.chmod(left, 0o600)
        self.as_nobody("sync", src, self.dst)
        self.assertEqual([], harness.temporaries(self.dst))
        self.assertSame(treecmp.compare(treecmp.snapshot(src), treecmp.snapshot(self.dst)))


if __name__ == "__main__":
    harness.main()
