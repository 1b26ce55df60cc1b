#!/usr/bin/env python3
"""Narrow limits: few descriptors, little memory, few threads, times that a file system cannot hold, modes that are not kept."""

import os
import shutil
import stat
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import treecmp  # noqa: E402
import zoo  # noqa: E402


class Limits(harness.Case):
    def setUp(self):
        super().setUp()
        self.src, self.dst = self.path("src"), self.path("dst")
        os.makedirs(self.src)

    def write(self, path, text="content"):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)

    def test_few_descriptors_are_enough(self):
        zoo.make(self.path("zoo"), entries=500)
        few = ["prlimit", "--nofile=64:64"]
        for backend in harness.BACKENDS:
            if backend == "uring" and not harness.uring_works():
                continue
            target = self.path("dst-" + backend)
            self.sync(self.path("zoo"), target, "--io-backend=" + backend, prefix=few)
            self.assertSame(treecmp.compare(treecmp.snapshot(self.path("zoo")), treecmp.snapshot(target)))
            again = self.sync(self.path("zoo"), target, "--json", "--io-backend=" + backend).summary
            self.assertEqual(0, again["plan"]["actions"])

    def test_few_descriptors_are_enough_for_two_agents(self):
        zoo.make(self.path("zoo"), entries=500)
        os.makedirs(self.path("pool"))
        few = ["prlimit", "--nofile=64:64"]
        source = self.agent({"zoo": self.path("zoo") + ":ro"}, prefix=few)
        target = self.agent({"pool": self.path("pool")}, prefix=few)
        self.sync(source.endpoint("zoo"), target.endpoint("pool", "copy"), prefix=few)
        self.assertSame(treecmp.compare(treecmp.snapshot(self.path("zoo")), treecmp.snapshot(self.path("pool", "copy"))))

    def few_threads(self, number, uid):
        """What runs a program as a user of its own with so many threads and processes: the limit counts all of a user's."""
        if not harness.is_root() or not shutil.which("setpriv"):
            self.skipTest("needs root and setpriv")
        return ["setpriv", "--reuid=%d" % uid, "--regid=%d" % uid, "--clear-groups", "prlimit", "--nproc=%d" % number]

    def processes_of(self, uid):
        return [pid for pid in os.listdir("/proc") if pid.isdigit() and self.uid_of(pid) == uid]

    @staticmethod
    def uid_of(pid):
        try:
            return os.stat("/proc/" + pid).st_uid
        except OSError:
            return None

    def test_few_threads_are_a_clear_error_of_the_command_and_its_agent(self):
        self.write(os.path.join(self.src, "file"))
        for number in (1, 2, 3, 5, 8, 12, 18, 25, 32):
            uid = 61300 + number
            os.makedirs(self.path("of-%d" % number))
            os.chown(self.path("of-%d" % number), uid, uid)
            with self.subTest(threads=number):
                result = self.sync(self.src, self.path("of-%d" % number, "dst"), prefix=self.few_threads(number, uid), code=None)
                self.assertIn(result.code, (harness.OK, harness.FILE_IO, harness.PROTOCOL), str(result))
                self.assertNotIn("terminate called", result.stderr, str(result))
                if result.code:
                    self.assertIn("ulimit -u", result.stderr, str(result))
                harness.wait_until(lambda: not self.processes_of(uid), 20, "the end of the private agent")

    def test_few_threads_are_a_clear_error_of_an_agent(self):
        for number in (1, 2, 4, 8, 12):
            uid = 61400 + number
            certificates = harness.Certificates(self.path("certs-%d" % number))
            for name in [""] + os.listdir(certificates.directory):
                os.chown(os.path.join(certificates.directory, name), uid, uid)
            with self.subTest(threads=number):
                result = harness.run(self.few_threads(number, uid) +
                                     [harness.AGENT, "--root", "src=" + self.src, "--allow", "*=*:all", "--listen", "127.0.0.1:0", "--data-listen",
                                      "127.0.0.1:0"] + certificates.server, timeout=60 * harness.SLOWNESS)
                self.assertEqual(harness.FILE_IO, result.code, str(result))
                self.assertIn("ulimit -u", result.stderr, str(result))

    def test_no_room_for_threads_or_memory_is_a_clear_error(self):
        with open(harness.CLI, "rb") as program:
            if b"__asan_init" in program.read() or harness.SLOWNESS > 1:
                self.skipTest("an instrumented program needs more address space than any limit leaves it")
        self.write(os.path.join(self.src, "file"))
        for limit in (["prlimit", "--as=%d" % (200 << 20)], ["prlimit", "--as=%d" % (90 << 20)]):
            with self.subTest(limit=limit):
                result = self.sync(self.src, self.dst, prefix=limit, code=None)
                self.assertGreaterEqual(result.code, 0, "ended by a signal\n%s" % result)
                self.assertNotIn("terminate called", result.stderr, str(result))
                if result.code:
                    self.assertTrue(result.stderr.strip(), str(result))

    def test_times_outside_of_the_range_of_the_file_system_settle(self):
        volume = self.old_ext4()
        for number, seconds in enumerate((-5 * 10 ** 9, -2 ** 31 - 5, 2 ** 31 + 5, 2 ** 33, 10 ** 9)):
            path = os.path.join(self.src, "f%d" % number)
            self.write(path)
            os.utime(path, ns=(10 ** 18, seconds * 10 ** 9 + 123456789))
        dst = os.path.join(volume, "dst")
        self.sync(self.src, dst)
        again = self.sync(self.src, dst, "--json").summary
        self.assertEqual((0, 0), (again["plan"]["actions"], again["apply"]["bytes_moved"]))
        self.cli("verify", self.src, dst)
        self.assertEqual(10 ** 9, int(os.stat(os.path.join(dst, "f4")).st_mtime))
        os.utime(os.path.join(self.src, "f4"), (10 ** 9, 10 ** 9 + 1))
        self.assertEqual(1, self.sync(self.src, dst, "--json").summary["plan"]["transfer_files"])

    def old_ext4(self):
        """ext4 with inodes of 128 bytes: whole seconds of 32 bits."""
        if not harness.is_root() or not shutil.which("mkfs.ext4"):
            self.skipTest("needs root and mkfs.ext4")
        image, point = self.path("old.img"), self.path("old")
        with open(image, "wb") as file:
            file.truncate(16 << 20)
        os.makedirs(point)
        made = harness.run(["mkfs.ext4", "-q", "-F", "-I", "128", image])
        if made.code:
            self.skipTest("mkfs.ext4 -I 128: %s" % made.stderr.strip())
        return self._mount(["mount", "-o", "loop", image, point], point)

    def test_without_modes_new_files_get_plain_ones_and_old_ones_keep_theirs(self):
        for name, mode in (("new", 0o777), ("secret", 0o600), ("kept", 0o640), ("special", 0o4755)):
            self.write(os.path.join(self.src, name), "contents of " + name)
            os.chmod(os.path.join(self.src, name), mode)
        self.write(os.path.join(self.dst, "kept"), "old")
        os.chmod(os.path.join(self.dst, "kept"), 0o604)
        self.sync(self.src, self.dst, "--no-perms", preexec_fn=lambda: os.umask(0o027))
        modes = {name: stat.S_IMODE(os.stat(os.path.join(self.dst, name)).st_mode) for name in os.listdir(self.dst)}
        self.assertEqual({"new": 0o750, "secret": 0o600, "kept": 0o604, "special": 0o750}, modes)
        again = self.sync(self.src, self.dst, "--no-perms", "--json").summary
        self.assertEqual(0, again["plan"]["actions"])


if __name__ == "__main__":
    harness.main()
