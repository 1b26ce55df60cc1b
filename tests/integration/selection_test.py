#!/usr/bin/env python3
"""What is part of the asked state and what is not: file systems, lost+found, the root itself, options that switch parts off."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import treecmp  # noqa: E402
import zoo  # noqa: E402


class Selection(harness.Case):
    def setUp(self):
        super().setUp()
        self.src, self.dst = self.path("src"), self.path("dst")
        os.makedirs(self.src)

    def write(self, path, text="content"):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)

    def test_one_file_system_leaves_the_mount_point_and_deletes_nothing_below_it(self):
        self.write(os.path.join(self.src, "outer"))
        mount = self.tmpfs("8m", "src/mounted")
        os.chmod(mount, 0o751)
        self.write(os.path.join(mount, "inner"))
        self.sync(self.src, self.dst, "-x", "--delete")
        self.assertTrue(os.path.exists(os.path.join(self.dst, "outer")))
        self.assertFalse(os.path.exists(os.path.join(self.dst, "mounted", "inner")))
        self.sync(self.src, self.dst, "--delete")
        self.assertTrue(os.path.exists(os.path.join(self.dst, "mounted", "inner")))
        self.sync(self.src, self.dst, "-x", "--delete")
        self.assertTrue(os.path.exists(os.path.join(self.dst, "mounted", "inner")),
                        "deleted below a mount point that was not entered")

    def test_lost_and_found_at_a_mount_root_is_neither_read_nor_copied_nor_deleted(self):
        point = self.loop_mount("ext4", 32, "volume")
        self.write(os.path.join(point, "file"))
        self.sync(point, self.dst)
        self.assertEqual(["file"], os.listdir(self.dst))
        self.write(os.path.join(self.src, "other"))
        os.chmod(os.path.join(point, "lost+found"), 0o711)
        before = os.lstat(os.path.join(point, "lost+found"))
        self.sync(self.src, point, "--delete")
        self.assertEqual(["lost+found", "other"], sorted(os.listdir(point)))
        self.assertEqual(before, os.lstat(os.path.join(point, "lost+found")))
        self.cli("verify", self.src, point)

    def test_a_directory_of_that_name_elsewhere_is_ordinary(self):
        self.write(os.path.join(self.src, "lost+found", "file"))
        self.sync(self.src, self.dst)
        self.assertTrue(os.path.exists(os.path.join(self.dst, "lost+found", "file")))

    def test_omit_root_metadata_leaves_the_destination_root_alone(self):
        self.write(os.path.join(self.src, "file"))
        os.chmod(self.src, 0o711)
        os.setxattr(self.src, "user.of-source", b"1")
        os.makedirs(self.dst)
        os.chmod(self.dst, 0o750)
        os.setxattr(self.dst, "user.of-destination", b"2")
        for option, mode, names in (("--omit-root-metadata", 0o750, ["user.of-destination"]), (None, 0o711, ["user.of-source"])):
            self.sync(self.src, self.dst, *[option] if option else [])
            self.assertEqual(mode, os.stat(self.dst).st_mode & 0o7777)
            self.assertEqual(names, os.listxattr(self.dst))
            second = self.sync(self.src, self.dst, "--json", *[option] if option else []).summary
            self.assertEqual(0, second["plan"]["actions"])

    def test_switches_leave_their_part_out_and_nothing_else(self):
        zoo.make(self.path("zoo"), deep=False, huge=False, entries=0)
        source = treecmp.snapshot(self.path("zoo"))
        acl = lambda key: key.startswith("system.posix_acl")
        cases = {
            "--no-xattrs": dict(xattrs=acl),
            "--no-acls": dict(xattrs=lambda key: not acl(key)),
            "--no-times": dict(times=False),
            "--no-hard-links": dict(links=False),
        }
        if harness.is_root():
            cases["--no-owner"] = dict(owner=False)
        for option, checks in cases.items():
            with self.subTest(option=option):
                target = self.path("dst" + option)
                self.sync(self.path("zoo"), target, option)
                copied = treecmp.snapshot(target)
                # setuid is no part of the asked state where the file belongs to somebody else.
                foreign = {p for p, r in source.items() if option == "--no-owner" and r.uid != os.geteuid() and r.mode & 0o4000}
                # Without its ACL a file's group bits are the mask's, which is what mode keeps.
                self.assertSame(treecmp.compare(source, copied, ignore=foreign, **checks))
                self.assertFalse([p for p in foreign if copied[p].mode & 0o4000])
                # Times that are not kept still decide what is taken as changed, as with rsync; contents do under --checksum.
                by_content = ["--checksum"] if option == "--no-times" else []
                second = self.sync(self.path("zoo"), target, option, "--json", *by_content).summary
                self.assertEqual(0, second["plan"]["actions"])
        self.assertFalse([p for p, r in treecmp.snapshot(self.path("dst--no-xattrs")).items() if any(not acl(k) for k in r.xattrs)])
        self.assertFalse([p for p, r in treecmp.snapshot(self.path("dst--no-acls")).items() if any(acl(k) for k in r.xattrs)])
        self.assertEqual(set(), treecmp.link_groups(treecmp.snapshot(self.path("dst--no-hard-links"))))

    def test_no_links_no_specials_no_devices_leave_those_objects_out(self):
        zoo.make(self.path("zoo"), deep=False, huge=False, entries=0)
        source = treecmp.snapshot(self.path("zoo"))
        kinds = {"--no-links": ("symlink",), "--no-specials": ("fifo", "socket"), "--no-devices": ("block device", "character device")}
        for option, names in kinds.items():
            target = self.path("dst" + option)
            self.sync(self.path("zoo"), target, option)
            left_out = {p for p, r in source.items() if treecmp.TYPES[r.type] in names}
            copied = treecmp.snapshot(target)
            self.assertSame(treecmp.compare(source, copied, ignore=left_out))
            self.assertEqual(set(), left_out & set(copied))

    def test_atimes_are_kept_when_asked(self):
        self.write(os.path.join(self.src, "file"))
        os.utime(os.path.join(self.src, "file"), ns=(10 ** 18 + 1, 10 ** 18 + 2))
        self.sync(self.src, self.dst, "--atimes")
        self.assertEqual(10 ** 18 + 1, os.stat(os.path.join(self.dst, "file")).st_atime_ns)

    def test_a_second_run_that_keeps_atimes_changes_nothing(self):
        self.write(os.path.join(self.src, "file"))
        os.makedirs(os.path.join(self.src, "dir", "below"))
        os.symlink("file", os.path.join(self.src, "dir", "link"))
        for path in ("dir/below", "dir", "file", "."):
            # Older than the modification: every read would move it, also with relatime.
            os.utime(os.path.join(self.src, path), ns=(10 ** 18 + 7, 10 ** 18 + 10 ** 9))
        first = self.sync(self.src, self.dst, "--atimes", "--checksum")
        for path in ("dir/below", "dir", "file", "."):
            for side in (self.src, self.dst):
                self.assertEqual(10 ** 18 + 7, os.stat(os.path.join(side, path)).st_atime_ns, "%s\n%s" % (os.path.join(side, path), first))
        for options in (["--checksum"], [], ["--checksum"]):
            again = self.sync(self.src, self.dst, "--atimes", "--json", *options).summary
            self.assertEqual((0, 0), (again["plan"]["actions"], again["apply"]["bytes_moved"]))
        self.cli("verify", "--atimes", self.src, self.dst)

    def test_temporaries_and_state_never_show_in_a_chained_sync(self):
        self.write(os.path.join(self.src, "file"))
        stray = ".~uringsync~0123456789abcdef.7.tmp"
        self.write(os.path.join(self.src, "sub", stray), "a dead run's")
        self.write(os.path.join(self.src, stray), "a dead run's")
        self.sync(self.src, self.dst)
        self.assertEqual({b"", b"file", b"sub"}, set(treecmp.snapshot(self.dst)))

    def test_strays_of_dead_runs_are_removed_at_the_destination(self):
        self.write(os.path.join(self.src, "sub", "file"))
        stray = ".~uringsync~0123456789abcdef.7.tmp"
        self.write(os.path.join(self.dst, "sub", stray), "a dead run's")
        summary = self.sync(self.src, self.dst, "--json").summary
        self.assertEqual(1, summary["strays_removed"])
        self.assertNoTemporaries(self.dst)

    def test_a_directory_of_somebody_else_under_the_name_of_a_temporary_stays(self):
        self.write(os.path.join(self.src, "sub", "file"))
        kept = os.path.join(self.dst, "sub", ".~uringsync~0123456789abcdef.7.tmp", "below", "precious")
        empty = os.path.join(self.dst, "sub", ".~uringsync~0123456789abcdef.8.tmp")
        self.write(kept, "precious")
        os.mkdir(empty)
        summary = self.sync(self.src, self.dst, "--json").summary
        self.assertEqual(1, summary["strays_removed"])
        self.assertFalse(os.path.exists(empty))
        self.assertTrue(os.path.exists(kept))

    def test_what_is_left_out_for_its_name_is_told_and_counted(self):
        temporary = ".~uringsync~0123456789abcdef."
        self.write(os.path.join(self.src, "file"))
        for serial in ("7", "8"):
            self.write(os.path.join(self.src, "sub", temporary + serial + ".tmp"), "mine")
        ran = self.sync(self.src, self.dst)
        line = [line for line in ran.stderr.splitlines() if temporary in line]
        self.assertEqual(1, len(line), str(ran))
        self.assertIn("2 objects have names of uringsync's temporaries", line[0])
        self.assertIn("sub/" + temporary + "7.tmp", line[0])
        self.assertEqual(2, self.sync(self.src, self.dst, "--json").summary["left_out"]["temporaries"])
        self.assertIn("sub/" + temporary + "7.tmp", self.cli("verify", self.src, self.dst).stderr)
        self.assertIn("sub/" + temporary + "7.tmp", self.cli("prove", self.src, "--out", os.path.join(self.dir, "proof")).stderr)
        told = self.cli("-a", self.src + "/", self.dst + "/", program=harness.URSYNC)
        self.assertIn("2 of the source's names are those of temporaries and were left out", told.stderr)
        # What rules leave out is nobody's surprise.
        ruled = self.sync(self.src, self.dst, "--json", "--exclude=.~uringsync~*")
        self.assertEqual(0, ruled.summary["left_out"]["temporaries"])
        self.assertNotIn(temporary, ruled.stderr)

    def test_a_sources_directory_of_somebody_else_under_such_a_name_is_a_problem(self):
        name = ".~uringsync~0123456789abcdef.7.tmp"
        self.write(os.path.join(self.src, name, "below", "precious"), "precious")
        for command in (("sync",), ("sync", "--delete"), ("verify",)):
            ran = self.cli(*command, self.src, self.dst, code=harness.PARTIAL)
            self.assertIn(name, ran.stderr, str(ran))
            self.assertIn("rename it", ran.stderr)
        proof = os.path.join(self.dir, "proof")
        self.cli("prove", self.src, "--out", proof, code=harness.PARTIAL)
        self.assertFalse(os.path.exists(proof))


if __name__ == "__main__":
    harness.main()
