#!/usr/bin/env python3
"""A second run after one change: only that change is carried over, and everything else stays untouched."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import treecmp  # noqa: E402
import zoo  # noqa: E402

FILES = 40


class Changes(harness.Case):
    """Each test changes a synced pair and looks at what the next run does."""

    def setUp(self):
        super().setUp()
        self.src, self.dst = self.path("src"), self.path("dst")
        os.makedirs(os.path.join(self.src, "dir", "sub"))
        for number in range(FILES):
            with open(os.path.join(self.src, "dir", "file-%d" % number), "wb") as file:
                file.write(b"content %d" % number * 50)
        with open(os.path.join(self.src, "dir", "sub", "deep"), "wb") as file:
            file.write(b"deep")
        os.symlink("file-1", os.path.join(self.src, "dir", "link"))
        os.link(os.path.join(self.src, "dir", "file-2"), os.path.join(self.src, "dir", "sub", "also-2"))
        self.sync(self.src, self.dst)
        self.before = treecmp.snapshot(self.dst)
        self.assertSame(treecmp.compare(treecmp.snapshot(self.src), self.before))

    def at(self, *parts):
        return os.path.join(self.src, *parts)

    def there(self, *parts):
        return os.path.join(self.dst, *parts)

    def again(self, *options, same=True):
        """Syncs again, checks equality and that the third run does nothing; returns the summary and the touched paths."""
        summary = self.sync(self.src, self.dst, "--json", *options).summary
        after = treecmp.snapshot(self.dst)
        if same:
            self.assertSame(treecmp.compare(treecmp.snapshot(self.src), after))
            third = self.sync(self.src, self.dst, "--json", *options).summary
            self.assertEqual(0, third["plan"]["actions"], "a third run still finds something to do")
        touched = {line.rsplit(": ", 1)[0] for line in treecmp.touched(self.before, after)}
        self.assertNoTemporaries(self.dst)
        return summary, touched

    def keep_times(self, path, change):
        status = os.stat(path)
        change()
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    def test_nothing_changed(self):
        summary, touched = self.again()
        self.assertEqual((0, 0, FILES + 6), (summary["plan"]["actions"], summary["apply"]["bytes_moved"], summary["plan"]["unchanged"]))
        self.assertEqual(set(), touched)

    def test_one_file_changed(self):
        with open(self.at("dir", "file-7"), "ab") as file:
            file.write(b"more")
        summary, touched = self.again()
        self.assertEqual(os.path.getsize(self.at("dir", "file-7")), summary["apply"]["bytes_moved"])
        self.assertEqual({"dir", "dir/file-7"}, touched)

    def test_mode_alone_moves_no_data(self):
        os.chmod(self.at("dir", "file-3"), 0o4711)
        summary, touched = self.again()
        self.assertEqual((0, 0), (summary["apply"]["bytes_moved"], summary["apply"]["files_published"]))
        self.assertEqual({"dir/file-3"}, touched)

    def test_an_acl_alone_with_equal_size_and_mtime_is_found(self):
        try:
            os.setxattr(self.at("dir", "file-4"), "system.posix_acl_access", zoo.ACCESS_ACL)
        except OSError as error:
            self.skipTest("no ACLs here: %s" % error)
        summary, touched = self.again()
        self.assertEqual(0, summary["apply"]["bytes_moved"])
        self.assertEqual({"dir/file-4"}, touched)
        os.setxattr(self.at("dir", "file-4"), "system.posix_acl_access", zoo.OTHER_ACL)  # the same mode bits, other entries
        self.before = treecmp.snapshot(self.dst)
        self.assertEqual({"dir/file-4"}, self.again()[1])
        os.removexattr(self.at("dir", "file-4"), "system.posix_acl_access")
        self.again()

    def test_a_default_acl_of_a_directory_comes_and_goes(self):
        try:
            os.setxattr(self.at("dir"), "system.posix_acl_default", zoo.DEFAULT_ACL)
        except OSError as error:
            self.skipTest("no ACLs here: %s" % error)
        self.assertEqual({"dir"}, self.again()[1])
        with open(self.at("dir", "inherits"), "w") as file:
            file.write("x")
        self.again()
        os.removexattr(self.at("dir"), "system.posix_acl_default")
        self.again()

    def test_xattrs_are_added_changed_and_removed(self):
        path = self.at("dir", "file-5")
        try:
            os.setxattr(path, "user.one", b"1")
            os.setxattr(path, "user.two", b"2")
        except OSError as error:
            self.skipTest("no xattrs here: %s" % error)
        self.assertEqual({"dir/file-5"}, self.again()[1])
        os.setxattr(path, "user.one", b"other")
        os.removexattr(path, "user.two")
        summary, _ = self.again()
        self.assertEqual(0, summary["apply"]["bytes_moved"])
        self.assertEqual(["user.one"], [n for n in os.listxattr(self.there("dir", "file-5")) if n.startswith("user.")])

    def test_owner_and_capability_changes_do_not_undo_each_other(self):
        if not harness.is_root():
            self.skipTest("owners need root")
        path = self.at("dir", "file-6")
        os.chown(path, zoo.OTHER_UID, zoo.OTHER_GID)
        os.chmod(path, 0o6755)
        os.setxattr(path, "security.capability", zoo.FILE_CAPABILITY)
        self.assertEqual({"dir/file-6"}, self.again()[1])
        os.chown(path, zoo.OTHER_UID + 1, zoo.OTHER_GID)  # the kernel clears setuid and the capability
        os.chmod(path, 0o4755)
        os.setxattr(path, "security.capability", zoo.FILE_CAPABILITY)
        self.again()

    def test_time_alone_of_file_directory_and_symlink(self):
        os.utime(self.at("dir", "link"), ns=(1, zoo.NEGATIVE_NS), follow_symlinks=False)
        os.utime(self.at("dir", "sub"), ns=(1, 1))
        summary, touched = self.again()
        self.assertEqual({"dir/link", "dir/sub"}, touched)
        self.assertEqual(0, summary["apply"]["bytes_moved"])

    def test_content_with_equal_size_and_mtime_needs_checksum(self):
        path = self.at("dir", "file-8")

        def change():
            with open(path, "r+b") as file:
                file.write(b"C")
        self.keep_times(path, change)
        summary, touched = self.again(same=False)
        self.assertEqual((0, set()), (summary["plan"]["actions"], touched))
        summary, touched = self.again("--checksum")
        self.assertEqual({"dir", "dir/file-8"}, touched)
        self.assertEqual(1, summary["apply"]["files_published"])

    def test_equal_content_with_another_mtime_moves_nothing_under_checksum(self):
        os.utime(self.at("dir", "file-9"), ns=(5, 5))
        summary, touched = self.again("--checksum")
        self.assertEqual((0, {"dir/file-9"}), (summary["apply"]["bytes_moved"], touched))

    def test_every_type_changes_into_every_other(self):
        kinds = {
            "file": lambda path: open(path, "w").close(),
            "dir": os.mkdir,
            "full-dir": lambda path: (os.mkdir(path), open(os.path.join(path, "inside"), "w").close()),
            "symlink": lambda path: os.symlink("anywhere", path),
            "fifo": os.mkfifo,
            "socket": lambda path: os.mknod(path, 0o140600),
        }
        if harness.is_root():
            kinds["device"] = lambda path: os.mknod(path, 0o020600, os.makedev(1, 3))
        for side, make in (("src", lambda a, b: b), ("old", lambda a, b: a)):
            os.makedirs(self.path("types-" + side))
            for a in kinds:
                for b in kinds:
                    kinds[make(a, b)](os.path.join(self.path("types-" + side), "%s-to-%s" % (a, b)))
        source = treecmp.snapshot(self.path("types-src"))
        self.sync(self.path("types-old"), self.path("types-dst"))
        self.sync(self.path("types-src"), self.path("types-dst"), "--delete")
        self.assertSame(treecmp.compare(source, treecmp.snapshot(self.path("types-dst"))))
        self.sync(self.path("types-old"), self.path("types-forced"))
        self.sync(self.path("types-src"), self.path("types-forced"), "--force")
        self.assertSame(treecmp.compare(source, treecmp.snapshot(self.path("types-forced")),
                                        ignore=lambda path: path.startswith(b"full-dir-to-dir")))

    def test_a_full_directory_makes_way_only_under_delete_or_force(self):
        os.makedirs(self.there("dir", "victim"))
        with open(self.there("dir", "victim", "precious"), "w") as file:
            file.write("precious")
        with open(self.at("dir", "victim"), "w") as file:
            file.write("now a file")
        result = self.sync(self.src, self.dst, code=harness.PARTIAL)
        self.assertIn("dir/victim", result.stderr)
        self.assertTrue(os.path.exists(self.there("dir", "victim", "precious")))
        self.again("--delete")

    def test_hard_links_are_made_and_broken(self):
        os.link(self.at("dir", "file-10"), self.at("dir", "linked-10"))
        os.link(self.at("dir", "file-10"), self.at("dir", "sub", "linked-10"))
        self.again()
        os.unlink(self.at("dir", "sub", "also-2"))  # becomes a file of its own with the same content
        with open(self.at("dir", "file-2"), "rb") as old, open(self.at("dir", "sub", "also-2"), "wb") as new:
            new.write(old.read())
        status = os.stat(self.at("dir", "file-2"))
        os.utime(self.at("dir", "sub", "also-2"), ns=(status.st_atime_ns, status.st_mtime_ns))
        self.again()

    def test_destination_links_to_the_outside_are_not_written_through(self):
        # A backup made of hard links (cp -al) must not change when the live copy is synced again.
        os.makedirs(self.path("snapshot"))
        os.link(self.there("dir", "file-11"), self.path("snapshot", "file-11"))
        old = open(self.path("snapshot", "file-11"), "rb").read()
        with open(self.at("dir", "file-11"), "ab") as file:
            file.write(b"changed")
        self.again()
        self.assertEqual(old, open(self.path("snapshot", "file-11"), "rb").read())

    def test_delete_removes_exactly_what_the_source_does_not_have(self):
        os.makedirs(self.there("extra", "deep", "deeper"))
        for name in ("extra/deep/deeper/file", "dir/extra", "dir/sub/extra"):
            with open(self.there(*name.split("/")), "w") as file:
                file.write("x")
        os.mkfifo(self.there("extra", "fifo"))
        summary, _ = self.again(same=False)
        self.assertTrue(os.path.exists(self.there("extra", "deep", "deeper", "file")), "removed without --delete")
        summary, _ = self.again("--delete")
        self.assertEqual(7, summary["changes"]["deleted"])

    def test_delete_from_an_empty_source_empties_the_destination(self):
        os.makedirs(self.path("empty"))
        self.sync(self.path("empty"), self.dst, "--delete")
        self.assertEqual([], os.listdir(self.dst))

    def test_plan_and_dry_run_change_nothing_and_list_what_sync_then_does(self):
        with open(self.at("dir", "new"), "w") as file:
            file.write("x" * 100)
        os.chmod(self.at("dir", "file-1"), 0o600)
        os.unlink(self.at("dir", "file-12"))
        plan = self.cli("plan", "--delete", self.src, self.dst)
        dry = self.sync(self.src, self.dst, "-n", "-v", "--delete")
        self.assertEqual(plan.stdout.splitlines()[:-1], dry.stdout.splitlines()[:-1])
        self.assertSame(treecmp.touched(self.before, treecmp.snapshot(self.dst, content=False)), "a plan changed something")
        done = self.sync(self.src, self.dst, "-v", "--delete")
        self.assertEqual(sorted(plan.stdout.splitlines()[:-1]), sorted(done.stdout.splitlines()[:-1]))
        for name in ("dir/new", "dir/file-1", "dir/file-12"):
            self.assertIn(name, plan.stdout)

    def test_verify_lists_every_difference_and_exits_23(self):
        def change(path, data):
            with open(path, "r+b") as file:
                file.write(data)
        self.keep_times(self.there("dir", "file-20"), lambda: change(self.there("dir", "file-20"), b"Z"))
        os.chmod(self.there("dir", "file-21"), 0o611)
        os.unlink(self.there("dir", "file-22"))
        with open(self.there("dir", "extra"), "w") as file:
            file.write("x")
        result = self.cli("verify", self.src, self.dst, code=harness.PARTIAL)
        for name in ("dir/file-20", "dir/file-21", "dir/file-22", "dir/extra"):
            self.assertIn(name, result.stdout)
        self.assertNotIn("file-23", result.stdout)
        self.assertTrue(os.path.exists(self.there("dir", "extra")))
        summary = self.cli("verify", "--json", self.src, self.dst, code=harness.PARTIAL).summary
        self.assertGreaterEqual(summary["problems"]["differing"], 4)


if __name__ == "__main__":
    harness.main()
