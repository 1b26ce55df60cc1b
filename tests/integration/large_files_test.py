#!/usr/bin/env python3
"""Large files: clones where the file system can, and a page cache that stays as it was."""

import ctypes
import mmap
import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import treecmp  # noqa: E402
import zoo  # noqa: E402

MIB = 1 << 20


def cached_bytes(path):
    """Bytes of the file in the page cache, by mincore."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    libc.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        at = libc.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, file.fileno(), 0)
    pages = (size + mmap.PAGESIZE - 1) // mmap.PAGESIZE
    resident = (ctypes.c_ubyte * pages)()
    failed = libc.mincore(at, size, resident)
    libc.munmap(at, size)
    if failed:
        raise OSError(ctypes.get_errno(), "mincore")
    return sum(page & 1 for page in resident) * mmap.PAGESIZE


def drop(path):
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class LargeFiles(harness.Case):
    def noise(self, path, size):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(random.Random(path).randbytes(size))

    def trees(self, mount):
        return os.path.join(mount, "src"), os.path.join(mount, "dst")

    def clones(self, kind):
        mount = self.loop_mount(kind, 600, kind)
        src, dst = self.trees(mount)
        self.noise(os.path.join(src, "big"), 40 * MIB + 123)
        self.noise(os.path.join(src, "middle"), 300000)
        self.noise(os.path.join(src, "small"), 7000)
        with open(os.path.join(src, "empty"), "wb"):
            pass
        with open(os.path.join(src, "holes"), "wb") as file:
            file.truncate(64 * MIB)
            file.seek(20 * MIB)
            file.write(b"x" * MIB)
        total = sum(os.path.getsize(os.path.join(src, name)) for name in os.listdir(src))
        for backend in ("uring", "threads"):
            with self.subTest(backend=backend):
                self.sync(src, dst + "-copied", "--reflink=never", "--io-backend", backend)
                os.sync()
                free = os.statvfs(mount).f_bfree
                always = self.sync(src, dst + "-" + backend, "--reflink=always", "--json", "--io-backend", backend).summary["apply"]
                self.assertEqual((total, 0, 0), (always["bytes_cloned"], always["bytes_moved"], always["bytes_written"]))
                os.sync()
                used = (free - os.statvfs(mount).f_bfree) * os.statvfs(mount).f_frsize
                self.assertLess(used, 4 * MIB, "the clones share little")
                self.assertSame(treecmp.compare(treecmp.snapshot(src), treecmp.snapshot(dst + "-" + backend)))
                self.assertSame(treecmp.compare(treecmp.snapshot(src), treecmp.snapshot(dst + "-copied"), holes=False))
        auto = self.sync(src, dst, "--json").summary["apply"]
        self.assertGreater(auto["bytes_cloned"], 100 * MIB)
        # What is written to one of them afterwards does not reach the other.
        with open(os.path.join(src, "big"), "rb") as file:
            before = file.read()
        with open(os.path.join(dst, "big"), "r+b") as file:
            file.write(b"changed")
        with open(os.path.join(src, "big"), "rb") as file:
            self.assertEqual(before, file.read())

    def test_on_xfs_files_are_cloned(self):
        self.clones("xfs")

    def test_on_btrfs_files_are_cloned(self):
        self.clones("btrfs")

    def test_the_zoo_is_kept_by_clones(self):
        mount = self.loop_mount("xfs", 600, "xfs")
        src, dst = self.trees(mount)
        os.makedirs(src)
        # xfs keeps symlinks of up to 1,023 bytes: the zoo is made elsewhere and brought there first.
        made = self.path("made")
        zoo.make(made, self.path("outside"))
        os.unlink(os.path.join(made, "links", "long"))
        self.sync(made, src, "--reflink=never")
        self.sync(src, dst, "--reflink=always")
        self.assertSame(treecmp.compare(treecmp.snapshot(src), treecmp.snapshot(dst), holes=False))
        self.assertEqual(0, self.sync(src, dst, "--json").summary["plan"]["actions"])

    def test_always_is_an_error_where_nothing_can_be_cloned(self):
        src = self.path("src")
        self.noise(os.path.join(src, "file"), 100000)
        mount = self.tmpfs("64m", "tmpfs")
        dst = os.path.join(mount, "dst")
        result = self.sync(src, dst, "--reflink=always", "--json", code=23)
        self.assertIn('"clone"', result.stdout)
        self.assertFalse(os.path.exists(os.path.join(dst, "file")))
        self.assertNoTemporaries(dst)
        self.assertEqual(0, self.sync(src, dst, "--json").summary["apply"]["bytes_cloned"])
        self.assertSame(treecmp.compare(treecmp.snapshot(src), treecmp.snapshot(dst)))

    def test_a_sync_leaves_the_page_cache_as_it_was(self):
        mount = self.loop_mount("ext4", 600, "ext4")
        src, dst = self.trees(mount)
        cold, warm, half = (os.path.join(src, name) for name in ("cold", "warm", "half"))
        for path in (cold, warm, half):
            self.noise(path, 48 * MIB)
            drop(path)
        if cached_bytes(cold):
            self.skipTest("this kernel does not let go of pages")
        with open(warm, "rb") as file:
            file.read()
        with open(half, "rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
            file.read(8 * MIB)
        for backend in ("uring", "threads"):
            with self.subTest(backend=backend):
                target = dst + backend
                self.sync(src, target, "--io-backend", backend)
                self.assertSame(treecmp.compare(treecmp.snapshot(src, content=False), treecmp.snapshot(target, content=False)))
                # Reading ahead of a range that has been let go of leaves a range or two.
                self.assertLess(cached_bytes(cold), 16 * MIB)
                self.assertGreater(cached_bytes(warm), 40 * MIB)
                # The kernel lets go of large folios as a whole, also where only a part of one was meant.
                self.assertGreaterEqual(cached_bytes(half), 7 * MIB)
                self.assertLess(cached_bytes(half), 28 * MIB)
                for name in ("cold", "warm", "half"):
                    self.assertLess(cached_bytes(os.path.join(target, name)), 16 * MIB, name)

    def test_direct_io_passes_the_page_cache_by(self):
        mount = self.loop_mount("ext4", 600, "ext4")
        src, dst = self.trees(mount)
        big = os.path.join(src, "big")
        self.noise(big, 48 * MIB + 123)
        self.noise(os.path.join(src, "middle"), 3 * MIB + 1)
        self.noise(os.path.join(src, "small"), 7000)
        with open(os.path.join(src, "holes"), "wb") as file:
            file.truncate(64 * MIB)
            for at in (5 * MIB, 33 * MIB + 4096):
                file.seek(at)
                file.write(b"x" * (2 * MIB + 77))
        for name in os.listdir(src):
            drop(os.path.join(src, name))
        if cached_bytes(big):
            self.skipTest("this kernel does not let go of pages")
        before = treecmp.snapshot(src, content=False)
        for backend in ("uring", "threads"):
            for mode, least, most in (("off", 24 * MIB, 49 * MIB), ("on", 0, MIB)):
                with self.subTest(backend=backend, mode=mode):
                    target = "%s-%s-%s" % (dst, backend, mode)
                    # Without fsyncs nothing can be dropped: what went through the cache is there, but for what the kernel took.
                    result = self.sync(src, target, "--durability=none", "--direct-io=" + mode, "--io-backend", backend, "--json")
                    self.assertEqual([], [event for event in result.events if event["event"] == "notice"])
                    found = cached_bytes(os.path.join(target, "big"))
                    self.assertTrue(least <= found <= most, "%d bytes are cached" % found)
                    self.assertSame(treecmp.compare(before, treecmp.snapshot(target, content=False)))
        self.sync(src, dst, "--direct-io=on", "--no-sparse")
        full = treecmp.snapshot(src)
        for target in [dst] + ["%s-%s-on" % (dst, backend) for backend in ("uring", "threads")]:
            self.assertSame(treecmp.compare(full, treecmp.snapshot(target), holes=target != dst))

    def test_direct_io_says_where_it_cannot_be(self):
        src, mount = os.path.join(self.loop_mount("ext4", 64, "ext4"), "src"), self.tmpfs("64m", "tmpfs")
        self.noise(os.path.join(src, "big"), 9 * MIB + 5)
        for mode, told in (("on", 1), ("auto", 0), ("off", 0)):
            dst = os.path.join(mount, mode)
            result = self.sync(src, dst, "--direct-io=" + mode, "--json")
            notices = [event["message"] for event in result.events if event["event"] == "notice"]
            self.assertEqual(told, len(notices), notices)
            if notices:
                self.assertIn("page cache", notices[0])
            self.assertSame(treecmp.compare(treecmp.snapshot(src), treecmp.snapshot(dst)))
            harness.remove_tree(dst)


if __name__ == "__main__":
    harness.main()
