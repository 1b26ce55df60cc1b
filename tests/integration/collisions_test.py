#!/usr/bin/env python3
"""Contents that XXH3 cannot tell apart, wherever equal digests let bytes be reused: the right ones come out.

A word of a long input whose lower half is that of the hash's secret adds nothing to its own lane, whatever its upper half is; so what one
such word gains, another of the same lane can lose again. The seed of files was 0, which everybody knows. Seeds of a run are not known, but
published pairs collide under one of 2^27: https://github.com/Cyan4973/xxHash/issues/1127.
"""

import ctypes
import ctypes.util
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

SECRET_BYTES = 192


class Hash128(ctypes.Structure):
    _fields_ = [("low", ctypes.c_uint64), ("high", ctypes.c_uint64)]


def xxhash():
    name = ctypes.util.find_library("xxhash")
    if name is None:
        return None
    library = ctypes.CDLL(name)
    library.XXH3_128bits.restype = Hash128
    library.XXH3_128bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    return library


def colliding(size, at=0, fill=b"x"):
    """Two contents of `size` bytes that XXH3 with seed 0 takes for one, in pieces that begin at `at` less a multiple of 1024."""
    library = xxhash()
    secret = ctypes.create_string_buffer(SECRET_BYTES)
    library.XXH3_generateSecret_fromSeed(secret, ctypes.c_uint64(0))
    one = bytearray(fill * size)[:size]
    for stripe in range(2):
        one[at + 64 * stripe:at + 64 * stripe + 8] = secret.raw[8 * stripe:8 * stripe + 4] + b"AAAA"
    other = bytearray(one)
    other[at + 4] += 1
    other[at + 64 + 4] -= 1
    return bytes(one), bytes(other)


class Collisions(harness.Case):
    def setUp(self):
        super().setUp()
        if xxhash() is None:
            self.skipTest("libxxhash is not here to make them with")
        self.src, self.dst = self.path("src"), self.path("dst")
        os.makedirs(self.src)

    def write(self, path, data, mtime=1_600_000_000):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
        os.utime(path, (mtime, mtime))

    def read(self, path):
        with open(path, "rb") as file:
            return file.read()

    def assertArrived(self, name, data, context=""):
        self.assertTrue(self.read(os.path.join(self.dst, name)) == data, "the wrong bytes came out %s" % context)

    def test_the_premise(self):
        for size in (700, 5000, 1 << 20):
            one, other = colliding(size)
            self.assertNotEqual(one, other)
            digests = [xxhash().XXH3_128bits(data, size) for data in (one, other)]
            self.assertEqual((digests[0].low, digests[0].high), (digests[1].low, digests[1].high))

    def test_checksum_sends_what_differs(self):
        for size in (700, 70_000, 3 << 20):
            one, other = colliding(size)
            self.write(os.path.join(self.src, "f"), one)
            self.write(os.path.join(self.dst, "f"), other)
            self.sync(self.src, self.dst, "--checksum")
            self.assertArrived("f", one, "of %d" % size)

    def test_verify_finds_the_difference(self):
        one, other = colliding(70_000)
        self.write(os.path.join(self.src, "f"), one)
        self.write(os.path.join(self.dst, "f"), other)
        for path in (self.src, self.dst):
            os.utime(path, (1, 1))
        self.assertIn("content", self.cli("verify", self.src, self.dst, code=harness.PARTIAL).stdout)

    def test_basis_directories_give_nothing_that_differs(self):
        one, other = colliding(70_000)
        for option in ("--copy-dest", "--link-dest", "--compare-dest"):
            with self.subTest(option=option):
                basis = self.path("basis" + option)
                self.dst = self.path("dst" + option)
                self.write(os.path.join(self.src, "f"), one)
                self.write(os.path.join(basis, "f"), other)
                os.makedirs(self.dst)
                self.sync(self.src, self.dst, "--checksum", option + "=" + basis)
                self.assertArrived("f", one, option)

    def between_agents(self, *options):
        """From one running agent to another one, where old contents are of use."""
        source, destination = self.agent({"data": self.src}), self.agent({"data": self.dst})
        return self.cli("sync", "--json", *self.certificates().client, *options, source.endpoint("data"), destination.endpoint("data")).summary

    def test_old_contents_and_similar_files_are_taken_leaf_by_leaf(self):
        size = 6 << 20
        one, other = colliding(size, at=2 << 20)
        self.write(os.path.join(self.src, "f"), one)
        self.write(os.path.join(self.dst, "f"), other, mtime=1_500_000_000)
        self.write(os.path.join(self.src, "report-2.txt"), one)
        self.write(os.path.join(self.dst, "report-1.txt"), other)
        summary = self.between_agents("--no-whole-file", "--fuzzy")
        self.assertArrived("f", one)
        self.assertArrived("report-2.txt", one)
        self.assertGreater(summary["apply"]["bytes_matched"], size, "nothing was reused: this shows nothing")

    def test_a_file_that_only_looks_renamed_is_not_taken_over(self):
        one, other = colliding(3 << 20, at=1 << 20)
        self.write(os.path.join(self.src, "new-name"), one)
        self.write(os.path.join(self.dst, "old-name"), other)
        self.between_agents("--detect-renames", "--delete")
        self.assertArrived("new-name", one)
        self.assertFalse(os.path.exists(os.path.join(self.dst, "old-name")))

    def test_a_part_that_an_earlier_run_left_is_taken_leaf_by_leaf(self):
        one, other = colliding(4 << 20, at=1 << 20)
        self.write(os.path.join(self.src, "f"), one)
        self.write(os.path.join(self.dst, ".parts", "f"), other[: 3 << 20])
        self.between_agents("--partial-dir=.parts", "--no-whole-file")
        self.assertArrived("f", one)

    def test_appending_with_verification_makes_the_beginning_right(self):
        one, other = colliding(4 << 20, at=1 << 20)
        self.write(os.path.join(self.src, "f"), one)
        self.write(os.path.join(self.dst, "f"), other[: 3 << 20])
        self.between_agents("--append-verify")
        self.assertArrived("f", one)

    def test_attributes_that_collide_are_set(self):
        name = "user.made"
        before = 8 + len(name)  # what is digested before the value
        one, other = (data[before:] for data in colliding(3000, at=1024))
        for tree, value in ((self.src, one), (self.dst, other)):
            self.write(os.path.join(tree, "f"), b"same")
            try:
                os.setxattr(os.path.join(tree, "f"), name, value)
            except OSError as error:
                self.skipTest("no such attributes here: %s" % error)
        self.sync(self.src, self.dst)
        self.assertTrue(os.getxattr(os.path.join(self.dst, "f"), name) == one, "the old value stayed")


if __name__ == "__main__":
    harness.main()
