#!/usr/bin/env python3
"""--copy-devices and --write-devices: what block devices hold, as files and from files. Needs root and loop devices."""

import os
import random
import stat
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

KIB = 1 << 10
MIB = 1 << 20


def noise(size, seed):
    return random.Random(seed).randbytes(size)


class Devices(harness.Case):
    def setUp(self):
        super().setUp()
        if not harness.is_root():
            self.skipTest("devices need root")
        for name in ("a/tree", "b"):
            os.makedirs(self.path(name))
        self.src, self.dst = self.path("a", "tree"), self.path("b", "copy")

    def disk(self, size, seed):
        """A loop device of our own, over a file of ours: (number, image)."""
        image = self.path("image%d" % seed)
        with open(image, "wb") as file:
            file.write(noise(size, seed))
        made = harness.run(["losetup", "--find", "--show", image])
        if made.code:
            self.skipTest("no loop device to be had: %s" % made.stderr.strip())
        device = made.stdout.strip()
        self.addCleanup(harness.run, ["losetup", "--detach", device])
        found = harness.run(["losetup", "--noheadings", "--output", "BACK-FILE", device])
        self.assertEqual(image, found.stdout.strip())
        return os.stat(device).st_rdev, device

    def content(self, device, size):
        harness.run(["blockdev", "--flushbufs", device])
        with open(device, "rb") as file:
            return file.read(size)

    def node(self, path, number, kind=stat.S_IFBLK):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.mknod(path, kind | 0o640, number)

    def ends(self, backend, *options):
        agents = (self.agent({"data": self.path("a")}, "--io-backend", backend, *options),
                  self.agent({"store": self.path("b")}, "--io-backend", backend, *options))
        return agents[0].endpoint("data", "tree"), agents[1].endpoint("store", "copy")

    def copy(self, backend):
        number, device = self.disk(5 * MIB + 512, 1)
        self.node(os.path.join(self.src, "disk"), number)
        self.node(os.path.join(self.src, "null"), os.makedev(1, 3), stat.S_IFCHR)
        ends = self.ends(backend, "--device-data")
        self.sync(*ends, "--copy-devices")
        with open(os.path.join(self.dst, "disk"), "rb") as file:
            self.assertEqual(noise(5 * MIB + 512, 1), file.read())
        self.assertEqual(0o640, stat.S_IMODE(os.stat(os.path.join(self.dst, "disk")).st_mode))
        self.assertEqual(0, os.stat(os.path.join(self.dst, "null")).st_size)
        with open(device, "r+b") as file:
            file.seek(2 * MIB + 5)
            file.write(b"changed")
        apply = self.sync(*ends, "--copy-devices", "--no-whole-file", "--json").summary["apply"]
        with open(os.path.join(self.dst, "disk"), "rb") as file:
            self.assertEqual(self.content(device, 6 * MIB), file.read())
        self.assertEqual((4 * KIB, 5 * MIB + 512 - 4 * KIB), (apply["bytes_moved"], apply["bytes_matched"]))
        blocks = self.sync(*ends, "--copy-devices", "--no-whole-file", "--ignore-times", "--json").summary["apply"]
        self.assertEqual(0, blocks["bytes_moved"])

    def test_a_device_becomes_a_file_over_uring(self):
        if not harness.uring_works():
            self.skipTest("io_uring cannot be set up here")
        self.copy("uring")

    def test_a_device_becomes_a_file_over_threads(self):
        self.copy("threads")

    def write(self, backend):
        number, device = self.disk(4 * MIB, 2)
        self.node(os.path.join(self.dst, "disk"), number)
        with open(os.path.join(self.src, "disk"), "wb") as file:
            file.write(noise(3 * MIB + 100, 3))
        ends = self.ends(backend, "--device-data")
        self.sync(*ends, "--write-devices")
        self.assertEqual(noise(3 * MIB + 100, 3) + noise(4 * MIB, 2)[3 * MIB + 100:], self.content(device, 5 * MIB))
        self.assertEqual(number, os.stat(os.path.join(self.dst, "disk")).st_rdev)
        # Larger than the device: refused before a byte is written.
        with open(os.path.join(self.src, "disk"), "wb") as file:
            file.write(noise(4 * MIB + 1, 4))
        self.sync(*ends, "--write-devices", code=harness.PARTIAL)
        self.assertEqual(noise(3 * MIB + 100, 3), self.content(device, 3 * MIB + 100))

    def test_a_file_is_written_into_a_device_over_uring(self):
        if not harness.uring_works():
            self.skipTest("io_uring cannot be set up here")
        self.write("uring")

    def test_a_file_is_written_into_a_device_over_threads(self):
        self.write("threads")

    def test_from_device_to_device(self):
        source, _ = self.disk(2 * MIB, 5)
        target, device = self.disk(3 * MIB, 6)
        self.node(os.path.join(self.src, "disk"), source)
        self.node(os.path.join(self.dst, "disk"), target)
        self.cli("-a", "--copy-devices", "--write-devices", self.src + "/", self.dst + "/", program=harness.URSYNC)
        self.assertEqual(noise(2 * MIB, 5) + noise(3 * MIB, 6)[2 * MIB:], self.content(device, 3 * MIB))

    def test_an_agent_has_to_allow_it(self):
        number, device = self.disk(MIB, 7)
        self.node(os.path.join(self.dst, "disk"), number)
        with open(os.path.join(self.src, "disk"), "wb") as file:
            file.write(b"contents")
        ends = self.ends("auto")
        for option in ("--copy-devices", "--write-devices"):
            self.assertIn("--device-data", self.sync(*ends, option, code=harness.USAGE).stderr)
        self.assertEqual(noise(MIB, 7), self.content(device, MIB))
        # Without the option a device makes way for a file.
        self.sync(*ends)
        self.assertTrue(stat.S_ISREG(os.stat(os.path.join(self.dst, "disk")).st_mode))
        self.assertEqual(noise(MIB, 7), self.content(device, MIB))


if __name__ == "__main__":
    harness.main()
