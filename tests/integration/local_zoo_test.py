#!/usr/bin/env python3
"""A tree with one of everything, from one directory to another of the same host, on each I/O backend."""

import os
import stat
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import treecmp  # noqa: E402
import zoo  # noqa: E402


class LocalZoo(harness.Case):
    def make_zoo(self, **options):
        skipped = zoo.make(self.path("src"), self.path("outside"), **options)
        if skipped:
            print("not in the zoo here: %s" % "; ".join(skipped), file=sys.stderr)
        return treecmp.snapshot(self.path("src"))

    def check_everything(self, backend):
        if backend == "uring" and not harness.uring_works():
            self.skipTest("io_uring cannot be set up here")
        source = self.make_zoo()
        first = self.sync(self.path("src"), self.path("dst"), "--json", "--io-backend", backend).summary
        self.assertEqual(backend, first["io_backend"]["destination"])
        copied = treecmp.snapshot(self.path("dst"))
        self.assertSame(treecmp.compare(source, copied))
        self.assertNoTemporaries(self.path("dst"))
        self.assertSame(treecmp.touched(source, treecmp.snapshot(self.path("src"), content=False)), "the source was written to")

        second = self.sync(self.path("src"), self.path("dst"), "--json", "--delete", "--io-backend", backend).summary
        self.assertEqual(0, second["apply"]["bytes_moved"])
        self.assertEqual(0, second["plan"]["actions"])
        self.assertIn("nothing to do", second["message"])
        self.assertSame(treecmp.touched(copied, treecmp.snapshot(self.path("dst"), content=False)), "the second run changed something")
        verify = self.cli("verify", self.path("src"), self.path("dst"), "--io-backend", backend)
        self.assertIn("equal", verify.stdout)

    def test_everything_arrives_over_uring_and_a_second_run_touches_nothing(self):
        self.check_everything("uring")

    def test_everything_arrives_over_threads_and_a_second_run_touches_nothing(self):
        self.check_everything("threads")

    def test_rsync_finds_nothing_left_to_do(self):
        if not harness.has_rsync():
            self.skipTest("rsync is not installed")
        self.make_zoo(deep=False, huge=False, entries=500)
        self.sync(self.path("src"), self.path("dst"))
        self.assertEqual([], harness.rsync_differences(self.path("src"), self.path("dst"), "-c"))

    def test_modes_do_not_depend_on_the_umask(self):
        source = self.make_zoo(deep=False, huge=False, entries=0)
        for mask in (0o000, 0o077, 0o777):
            target = self.path("dst-%o" % mask)
            self.sync(self.path("src"), target, umask=mask)
            self.assertSame(treecmp.compare(source, treecmp.snapshot(target)), "umask %o" % mask)

    def test_a_tree_crosses_to_another_file_system(self):
        if not harness.is_root():
            self.skipTest("mounting needs root")
        self.make_zoo(deep=True, huge=True, entries=500)
        # xfs keeps symlinks of up to 1,023 bytes.
        os.unlink(self.path("src", "links", "long"))
        os.symlink("t" * 1000, self.path("src", "links", "long"))
        source = treecmp.snapshot(self.path("src"))
        for kind, make in (("tmpfs", lambda: self.tmpfs("256m", "tmpfs")), ("xfs", lambda: self.loop_mount("xfs", 600, "xfs")),
                           ("btrfs", lambda: self.loop_mount("btrfs", 400, "btrfs"))):
            with self.subTest(file_system=kind):
                target = os.path.join(make(), "dst")
                self.sync(self.path("src"), target, "--durability", "none")
                copied = treecmp.snapshot(target)
                # Each file system has blocks, preallocation and attributes of directories of its own.
                self.assertSame(treecmp.compare(source, copied, holes=kind == "tmpfs"))
                self.assertLess(sum(os.lstat(os.path.join(d, n)).st_blocks for d, _, names in os.walk(target) for n in names
                                    if n.startswith("sparse")) * 512, 8 << 20, "sparse files have grown")
                second = self.sync(self.path("src"), target, "--json").summary
                self.assertEqual(0, second["plan"]["actions"])
                back = self.path("back-from-" + kind)
                self.sync(target, back, "--durability", "none")
                self.assertSame(treecmp.compare(source, treecmp.snapshot(back), holes=kind == "tmpfs"), "and back again")
                names = os.listxattr(os.path.join(back, "acls", "access"))
                self.assertEqual([], [name for name in names if "SGI" in name], "xfs's other view of an ACL is no attribute to copy")

    def test_the_destination_root_may_be_new_or_empty_or_relative_or_end_in_a_slash(self):
        os.makedirs(self.path("src", "sub"))
        with open(self.path("src", "sub", "file"), "w") as file:
            file.write("content")
        os.makedirs(self.path("empty"))
        self.sync("src", "new", cwd=self.dir)
        self.sync("./src/", self.path("empty") + "/", cwd=self.dir)
        self.sync("../src", "../relative/", cwd=self.path("empty"))
        source = treecmp.snapshot(self.path("src"))
        for name in ("new", "relative"):
            self.assertSame(treecmp.compare(source, treecmp.snapshot(self.path(name))), name)

    def test_no_sparse_fills_the_holes(self):
        os.makedirs(self.path("src"))
        with open(self.path("src", "holes"), "wb") as file:
            file.write(b"x")
            file.truncate(4 << 20)
        self.sync(self.path("src"), self.path("sparse"))
        self.sync(self.path("src"), self.path("full"), "--no-sparse")
        self.assertLess(os.stat(self.path("sparse", "holes")).st_blocks * 512, 1 << 20)
        self.assertGreaterEqual(os.stat(self.path("full", "holes")).st_blocks * 512, 4 << 20)
        with open(self.path("full", "holes"), "rb") as file:
            self.assertEqual(b"x" + bytes((4 << 20) - 1), file.read())

    def test_a_fifo_or_a_device_is_never_opened(self):
        # Opening a FIFO for reading would block for ever; the run would then not end in time.
        os.makedirs(self.path("src"))
        os.mkfifo(self.path("src", "fifo"))
        self.sync(self.path("src"), self.path("dst"), "--checksum", timeout=60 * harness.SLOWNESS)
        self.assertTrue(stat.S_ISFIFO(os.lstat(self.path("dst", "fifo")).st_mode))


if __name__ == "__main__":
    harness.main()
