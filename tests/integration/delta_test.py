#!/usr/bin/env python3
"""Changed files between two agents: what crosses the wire when the old contents are used, and that the result is the same."""

import os
import random
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import treecmp  # noqa: E402
import zoo  # noqa: E402

MIB = 1 << 20


def noise(size, seed):
    return random.Random(seed).randbytes(size)


class Delta(harness.Case):
    def setUp(self):
        super().setUp()
        for directory in ("a/tree", "b/copy"):
            os.makedirs(self.path(directory))

    def write(self, side, name, data):
        with open(self.path(side, "tree" if side == "a" else "copy", name), "wb") as file:
            file.write(data)

    def agents(self, backend="auto", source=None, destination=None):
        return (self.agent({"data": source or self.path("a")}, "--io-backend", backend),
                self.agent({"store": destination or self.path("b")}, "--io-backend", backend))

    def between(self, pair, *options):
        summary = self.sync(pair[0].endpoint("data", "tree"), pair[1].endpoint("store", "copy"), "--json", *options).summary
        return summary["apply"]

    def check_equal(self):
        self.assertSame(treecmp.compare(treecmp.snapshot(self.path("a", "tree")), treecmp.snapshot(self.path("b", "copy"))))
        self.assertNoTemporaries(self.path("b"))

    def change_in_place(self, backend):
        old = noise(24 * MIB, 1)
        new = bytearray(old)
        for number in range(20):
            new[number * MIB + 5000:number * MIB + 5100] = noise(100, number)
        self.write("b", "image", old)
        self.write("a", "image", new)
        apply = self.between(self.agents(backend), "--no-whole-file")
        self.check_equal()
        self.assertEqual(len(new), apply["bytes_moved"] + apply["bytes_matched"])
        self.assertLessEqual(apply["bytes_moved"], 20 * 8192)
        self.assertLess(apply["wire_bytes"], 400 * 1024)

    def test_only_changed_blocks_cross_the_wire_over_uring(self):
        if not harness.uring_works():
            self.skipTest("io_uring cannot be set up here")
        self.change_in_place("uring")

    def test_only_changed_blocks_cross_the_wire_over_threads(self):
        self.change_in_place("threads")

    def test_what_follows_an_insertion_is_not_sent_again(self):
        old = noise(32 * MIB, 2)
        self.write("b", "image", old)
        self.write("a", "image", noise(MIB, 3) + old)
        apply = self.between(self.agents(), "--no-whole-file")
        self.check_equal()
        self.assertLess(apply["wire_bytes"], 1.5 * MIB)

    def test_whole_file_sends_all_of_it(self):
        old = noise(4 * MIB, 4)
        self.write("b", "image", old)
        self.write("a", "image", old + b"x")
        apply = self.between(self.agents(), "--whole-file")
        self.check_equal()
        self.assertEqual((len(old) + 1, 0), (apply["bytes_moved"], apply["bytes_matched"]))

    def test_without_an_option_the_result_is_the_same(self):
        old = noise(8 * MIB, 5)
        self.write("b", "image", old)
        self.write("a", "image", old[:3 * MIB] + b"in the middle" + old[3 * MIB:])
        apply = self.between(self.agents())
        self.check_equal()
        self.assertLessEqual(len(old), apply["bytes_moved"] + apply["bytes_matched"])

    def test_a_changed_zoo_arrives_with_deltas_forced(self):
        source = self.path("a", "tree")
        os.rmdir(source)
        zoo.make(source, self.path("outside"))
        pair = self.agents()
        self.between(pair, "--no-whole-file")
        self.check_equal()
        zoo.overwrite(source, 6)
        self.between(pair, "--no-whole-file")
        self.check_equal()

    def test_a_sparse_file_stays_sparse(self):
        for side, name in (("a", "tree"), ("b", "copy")):
            with open(self.path(side, name, "image"), "wb") as file:
                file.truncate(64 * MIB)
                for at in (0, 20 * MIB, 63 * MIB):
                    file.seek(at)
                    file.write(noise(100000, at))
                if side == "a":
                    file.seek(40 * MIB)
                    file.write(b"new")
        apply = self.between(self.agents(), "--no-whole-file")
        self.check_equal()
        self.assertLess(apply["wire_bytes"], MIB)
        self.assertLessEqual(os.stat(self.path("b", "copy", "image")).st_blocks,
                             os.stat(self.path("a", "tree", "image")).st_blocks + 64)

    def clone(self, kind):
        mount = self.loop_mount(kind, 512, "clones")
        os.makedirs(os.path.join(mount, "copy"))
        old = noise(64 * MIB, 7)
        image = os.path.join(mount, "copy", "image")
        with open(image, "wb") as file:
            file.write(old)
            os.fsync(file.fileno())
        # What a snapshot is to a reflink: it holds the old extents.
        subprocess.run(["cp", "--reflink=always", image, os.path.join(mount, "snapshot")], check=True)
        os.sync()
        before = os.statvfs(mount).f_bfree
        new = bytearray(old)
        new[30 * MIB:30 * MIB + 10] = b"0123456789"
        self.write("a", "image", new)
        pair = self.agents(destination=mount)
        apply = self.between(pair, "--no-whole-file")
        os.sync()
        used = (before - os.statvfs(mount).f_bfree) * os.statvfs(mount).f_frsize
        with open(image, "rb") as file:
            self.assertEqual(bytes(new), file.read())
        self.assertEqual(4096, apply["bytes_written"])
        self.assertLess(used, 4 * MIB, "the snapshot and the new file share little")

    def test_on_btrfs_only_what_changed_is_written(self):
        self.clone("btrfs")

    def test_on_xfs_only_what_changed_is_written(self):
        self.clone("xfs")

    def test_between_local_paths_it_is_refused(self):
        result = self.cli("sync", "--no-whole-file", self.path("a", "tree"), self.path("b", "copy"), code=1)
        self.assertIn("--no-whole-file", result.stderr)


if __name__ == "__main__":
    harness.main()
