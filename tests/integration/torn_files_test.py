#!/usr/bin/env python3
"""A file that is written through a mapping while it is read: no time tells of that, and still no mixture of two moments is copied."""

import os
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

PAGES = 64
# Fills one page after the other with the number of the round, then rests for up to 2 ms, until its input ends.
WRITER = """
import mmap, os, random, select, struct, sys, time
with open(sys.argv[1], "r+b") as file:
    pages = mmap.mmap(file.fileno(), 0)
number = 0
while not select.select([0], [], [], random.random() * 0.002)[0]:
    number += 1
    page = struct.pack("<I", number) * 1024
    for at in range(0, len(pages), 4096):
        pages[at:at + 4096] = page
    if number == 20:
        print(".", flush=True)
"""


class TornFiles(harness.Case):
    def rounds(self, path):
        """The number of the round that filled each page; every page has to be whole."""
        with open(path, "rb") as file:
            data = file.read()
        self.assertEqual(PAGES * 4096, len(data))
        numbers = struct.unpack("<%dI" % (PAGES * 1024), data)
        return numbers[::1024]

    def test_no_mixture_of_two_moments_is_copied(self):
        src, dst = self.path("src"), self.path("dst")
        os.makedirs(src)
        with open(os.path.join(src, "mapped"), "wb") as file:
            file.write(bytes(PAGES * 4096))
        with subprocess.Popen([sys.executable, "-c", WRITER, os.path.join(src, "mapped")], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as writer:
            self.assertEqual(b".", writer.stdout.read(1))
            copies = 0
            for _ in range(30):
                result = self.sync(src, dst, "--ignore-times", code=(harness.OK, harness.PARTIAL))
                copied = os.path.join(dst, "mapped")
                if result.code == harness.PARTIAL:
                    self.assertIn("mapped", result.stderr)
                if not os.path.exists(copied):
                    continue
                copies += 1
                numbers = self.rounds(copied)
                # A moment: the writer was between two pages of one round.
                steps = [a - b for a, b in zip(numbers, numbers[1:]) if a != b]
                self.assertIn(steps, ([], [1]), numbers)
            writer.stdin.close()
        self.sync(src, dst, "--ignore-times")
        self.assertEqual(self.rounds(os.path.join(src, "mapped")), self.rounds(os.path.join(dst, "mapped")))
        print("%d of 30 copies found it at rest" % copies, file=sys.stderr)


if __name__ == "__main__":
    harness.main()
