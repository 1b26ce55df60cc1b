#!/usr/bin/env python3
"""--fake-super: what only root may set, kept in attributes by a user, in rsync's form: either program reads what the other wrote."""

import os
import shutil
import socket
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import treecmp  # noqa: E402
import zoo  # noqa: E402

# user::rw-, user:1000:rw-, group::r--, mask::rw-, other::r--
ACL = struct.pack("<I" + "HHI" * 5, 2, 1, 6, 0xffffffff, 2, 6, 1000, 4, 4, 0xffffffff, 16, 6, 0xffffffff, 32, 4, 0xffffffff)
SHELL = b"#!/bin/sh\nshift\nexec \"$@\"\n"


@harness.unittest.skipUnless(harness.is_root(), "needs root, to make what a user may not and to become one")
class FakeSuper(harness.Case):
    def setUp(self):
        super().setUp()
        os.makedirs(self.path("bin"))
        for program in (harness.CLI, harness.AGENT):
            shutil.copy2(program, self.path("bin"))
        os.symlink("uringsync", self.path("bin", "ursync"))
        with open(self.path("rsh"), "wb") as file:
            file.write(SHELL)
        os.chmod(self.path("rsh"), 0o755)
        os.makedirs(self.path("home"))
        os.chown(self.path("home"), harness.NOBODY, harness.NOBODY)
        self.prefix = ["setpriv", "--reuid", str(harness.NOBODY), "--regid", str(harness.NOBODY), "--clear-groups", "--inh-caps=-all"]
        self.src = self.path("src")
        self.make_tree()

    def make_tree(self):
        os.makedirs(os.path.join(self.src, "dir"))
        for name in ("plain", "owned", "setuid", "listed", "dir/inside", "noted"):
            with open(os.path.join(self.src, name), "w") as file:
                file.write(name * 100)
            os.chmod(os.path.join(self.src, name), 0o644)
        os.chown(os.path.join(self.src, "owned"), zoo.OTHER_UID, zoo.OTHER_GID)
        os.chmod(os.path.join(self.src, "setuid"), 0o6755)
        os.setxattr(os.path.join(self.src, "listed"), "system.posix_acl_access", ACL)
        os.setxattr(os.path.join(self.src, "dir"), "system.posix_acl_default", ACL)
        os.setxattr(os.path.join(self.src, "noted"), "user.kept", b"u")
        os.chown(os.path.join(self.src, "dir"), zoo.OTHER_UID, zoo.OTHER_GID)
        os.chmod(os.path.join(self.src, "dir"), 0o1775)
        os.mknod(os.path.join(self.src, "device"), 0o060640, os.makedev(7, 250))
        os.mknod(os.path.join(self.src, "null"), 0o020666, os.makedev(1, 3))
        os.mkfifo(os.path.join(self.src, "fifo"), 0o600)
        here = socket.socket(socket.AF_UNIX)
        here.bind(os.path.join(self.src, "socket"))
        here.close()
        os.symlink("some/where", os.path.join(self.src, "link"))
        os.lchown(os.path.join(self.src, "link"), zoo.OTHER_UID, zoo.OTHER_GID)
        os.link(os.path.join(self.src, "device"), os.path.join(self.src, "device2"))

        self.settle(1_500_000_000)

    def settle(self, seconds):
        """Times that no program finds set already."""
        for directory, names, files in os.walk(self.src, topdown=False):
            for name in names + files:
                os.utime(os.path.join(directory, name), (seconds, seconds), follow_symlinks=False)
        os.utime(self.src, (seconds, seconds))

    def ursync(self, *arguments, as_nobody=True, backend="auto", code=harness.OK):
        environment = dict(os.environ, LLVM_PROFILE_FILE=self.path("home", "%m.profraw"))
        return self.cli("-aHAXi", "--delete", "--io-backend", backend, "-e", self.path("rsh"), "--rsync-path", self.path("bin", "uringsync-agent"),
                        *arguments, program=self.path("bin", "ursync"), prefix=self.prefix if as_nobody else (), cwd=self.path("home"),
                        env=environment, code=code)

    def rsync(self, *arguments, as_nobody=True):
        ran = harness.run((self.prefix if as_nobody else []) + ["rsync", "-aHAXi", "--delete"] + list(arguments), cwd=self.path("home"))
        self.assertEqual(0, ran.code, ran)
        return ran.stdout

    def stored(self, tree):
        """What rsync's attributes say of each object, and what it holds."""
        found = {}
        for path, record in treecmp.snapshot(tree).items():
            real = os.path.join(os.fsencode(tree), path) if path else os.fsencode(tree)
            kept = {name: os.getxattr(real, name) for name in os.listxattr(real)}
            found[path] = (record.type, record.size, record.mtime_ns if path else None, sorted(kept.items()), record.nlink)
        return found

    def keep(self, backend):
        copy = self.path("home", "ours")
        self.ursync("-M--fake-super", self.src + "/", "host:" + copy + "/", backend=backend)
        for name in ("device", "fifo", "socket", "link", "owned"):
            found = os.lstat(os.path.join(copy, name))
            self.assertEqual((0o100000, harness.NOBODY), (found.st_mode & 0o170000, found.st_uid), name)
        self.assertEqual(0, os.stat(os.path.join(copy, "setuid")).st_mode & 0o6000)
        self.assertEqual("", self.ursync("-M--fake-super", self.src + "/", "host:" + copy + "/", backend=backend).stdout)
        # And back, by root: the same objects.
        self.ursync("-M--fake-super", "host:" + copy + "/", self.path("back") + "/", as_nobody=False, backend=backend)
        self.assertSame(treecmp.compare(treecmp.snapshot(self.src), treecmp.snapshot(self.path("back"))))

    def test_a_user_keeps_everything_and_root_gets_it_back_over_uring(self):
        if not harness.uring_works():
            self.skipTest("io_uring cannot be set up here")
        self.keep("uring")

    def test_a_user_keeps_everything_and_root_gets_it_back_over_threads(self):
        self.keep("threads")

    def change(self):
        os.unlink(os.path.join(self.src, "link"))
        os.symlink("else/where", os.path.join(self.src, "link"))
        os.unlink(os.path.join(self.src, "fifo"))
        with open(os.path.join(self.src, "fifo"), "w") as file:
            file.write("a file now")
        os.unlink(os.path.join(self.src, "plain"))
        os.mknod(os.path.join(self.src, "plain"), 0o020600, os.makedev(1, 5))
        os.chown(os.path.join(self.src, "null"), zoo.OTHER_UID, 0)
        os.removexattr(os.path.join(self.src, "listed"), "system.posix_acl_access")
        os.unlink(os.path.join(self.src, "dir/inside"))
        self.settle(1_500_000_100)

    @harness.unittest.skipUnless(harness.has_rsync(), "rsync is not installed")
    def test_both_programs_write_the_same(self):
        ours, theirs = self.path("home", "ours"), self.path("home", "theirs")
        for change in (lambda: None, self.change):
            change()
            self.ursync("-M--fake-super", self.src + "/", "host:" + ours + "/")
            self.rsync("-M--fake-super", self.src + "/", theirs + "/")
            self.assertEqual(self.stored(theirs), self.stored(ours))
            # Neither finds anything to do in what the other has made.
            self.assertEqual("", self.rsync("-M--fake-super", self.src + "/", ours + "/"))
            self.assertEqual("", self.ursync("-M--fake-super", self.src + "/", "host:" + theirs + "/").stdout)

    @harness.unittest.skipUnless(harness.has_rsync(), "rsync is not installed")
    def test_each_reads_what_the_other_wrote(self):
        ours, theirs = self.path("home", "ours"), self.path("home", "theirs")
        self.ursync("-M--fake-super", self.src + "/", "host:" + ours + "/")
        self.rsync("-M--fake-super", self.src + "/", theirs + "/")
        self.rsync("--fake-super", "-M--super", ours + "/", self.path("back1") + "/", as_nobody=False)
        self.ursync("-M--fake-super", "host:" + theirs + "/", self.path("back2") + "/", as_nobody=False)
        for back in ("back1", "back2"):
            self.assertSame(treecmp.compare(treecmp.snapshot(self.src), treecmp.snapshot(self.path(back))))

    def test_paths_of_this_host_are_read_and_written_alike(self):
        copy, second = self.path("home", "copy"), self.path("home", "second")
        self.ursync("-M--fake-super", self.src + "/", "host:" + copy + "/")
        self.ursync("--fake-super", copy + "/", second + "/")
        self.assertEqual(self.stored(copy), self.stored(second))
        self.assertEqual("", self.ursync("--fake-super", "--checksum", copy + "/", second + "/").stdout)

    def test_a_running_agent_has_an_option_of_its_own(self):
        agent = self.agent({"store": self.path("home")}, "--fake-super")
        self.sync(self.src, agent.endpoint("store", "copy"))
        self.assertTrue(os.path.isfile(self.path("home", "copy", "device")))
        self.sync(agent.endpoint("store", "copy"), self.path("back"))
        self.assertSame(treecmp.compare(treecmp.snapshot(self.src), treecmp.snapshot(self.path("back"))))
        refused = self.ursync("-M--fake-super", self.src + "/", self.path("home", "x"), code=harness.USAGE)
        self.assertIn("HOST:PATH", refused.stderr)


if __name__ == "__main__":
    harness.main()
