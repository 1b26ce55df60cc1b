"""The trees that the benchmark copies. Each builder fills a directory and returns (objects, bytes), the directory itself not counted."""

import mmap
import os
import random
import shutil
import subprocess

SMALL_FILE_BYTES = 7 * 1024
FILES_PER_DIRECTORY = 100
GIB = 1 << 30


def _fill(path, count, data):
    """`count` files of `data` in directories of 100."""
    objects = 0
    for first in range(0, count, FILES_PER_DIRECTORY):
        directory = os.path.join(path, "dir-%05d" % (first // FILES_PER_DIRECTORY))
        os.makedirs(directory)
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        for number in range(first, min(first + FILES_PER_DIRECTORY, count)):
            file = os.open("file-%07d" % number, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=fd)
            if data:
                os.write(file, data)
            os.close(file)
        os.close(fd)
        objects += 1
    return objects + count


def small(path, scale):
    """100,000 files of 7 KiB, 100 to a directory."""
    count = max(100, int(100000 * scale))
    return _fill(path, count, random.Random(1).randbytes(SMALL_FILE_BYTES)), count * SMALL_FILE_BYTES


def large(path, scale):
    """2 files of 1 GiB, random bytes."""
    size = max(1 << 20, int(GIB * scale) >> 20 << 20)
    block = random.Random(2).randbytes(8 << 20)
    for number in range(2):
        with open(os.path.join(path, "large-%d" % number), "wb", buffering=0) as file:
            written = 0
            while written < size:
                written += file.write(block[:min(len(block), size - written)])
    return 2, 2 * size


def mixed(path, scale):
    """Like a source checkout: 30,000 files of log-normal size (median 4 KB, some of megabytes), 3,000 directories up to 9 deep,
    symlinks, hard links, a few executables and extended attributes."""
    rng = random.Random(3)
    noise = rng.randbytes(1 << 20)
    directories, objects, size = [path], 0, 0
    for number in range(max(20, int(3000 * scale))):
        parent = rng.choice(directories)
        if parent.count("/") - path.count("/") >= 8:
            parent = path
        directories.append(os.path.join(parent, "module-%d" % number))
        os.mkdir(directories[-1])
        objects += 1
    files = []
    for number in range(max(200, int(30000 * scale))):
        name = os.path.join(rng.choice(directories), "source-%d.%s" % (number, rng.choice(["c", "h", "py", "md", "o"])))
        kind = rng.random()
        if kind < 0.02:
            os.symlink("source-%d.c" % rng.randrange(number + 1), name)
        elif kind < 0.03 and files:
            os.link(rng.choice(files), name)
            size += os.stat(name).st_size
        else:
            length = min(int(rng.lognormvariate(8.3, 1.6)), 8 << 20)
            with open(name, "wb") as file:
                for at in range(0, length, len(noise)):
                    file.write(noise[:min(len(noise), length - at)])
            os.chmod(name, 0o755 if kind < 0.1 else 0o644)
            if kind < 0.04:
                try:
                    os.setxattr(name, "user.origin", b"benchmark")
                except OSError:
                    pass  # this file system keeps none; all contenders see the same tree
            files.append(name)
            size += length
        objects += 1
    return objects, size


def sparse(path, scale):
    """A file of 10 GiB that holds 64 MiB of data in 1,024 pieces."""
    rng = random.Random(4)
    size = max(64 << 20, int(10 * GIB * scale))
    pieces = max(64, int(1024 * scale))
    piece = rng.randbytes(64 << 10)
    with open(os.path.join(path, "image"), "wb") as file:
        file.truncate(size)
        for _ in range(pieces):
            file.seek(rng.randrange(0, size - len(piece)) // 65536 * 65536)
            file.write(piece)
    return 1, size


def million(path, scale):
    """1,000,000 empty files, 1,000 to a directory: what memory grows with."""
    count = max(1000, int(1000000 * scale))
    objects = 0
    for first in range(0, count, 1000):
        directory = os.path.join(path, "dir-%05d" % (first // 1000))
        os.makedirs(directory)
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        for number in range(first, min(first + 1000, count)):
            os.close(os.open("%07d" % number, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=fd))
        os.close(fd)
        objects += 1
    return objects + count, 0


def _old_large_file(path, scale):
    """One file of 2 GiB, random bytes: what the two below were changed from."""
    os.makedirs(path)
    size = max(8 << 20, int(2 * GIB * scale) >> 20 << 20)
    rng = random.Random(5)
    with open(os.path.join(path, "image"), "wb", buffering=0) as file:
        written = 0
        while written < size:
            written += file.write(rng.randbytes(min(8 << 20, size - written)))
    os.utime(os.path.join(path, "image"), (1_600_000_000, 1_600_000_000))
    return size


def edits(path, scale, old):
    """A file of 2 GiB in which 4 KiB were overwritten in 200 places; `old` gets the file as it was."""
    size = _old_large_file(old, scale)
    rng = random.Random(6)
    subprocess.run(["cp", os.path.join(old, "image"), path], check=True)
    with open(os.path.join(path, "image"), "r+b") as file:
        for _ in range(200):
            file.seek(rng.randrange(size - 4096))
            file.write(rng.randbytes(4096))
    return 1, size


def insert(path, scale, old):
    """The same file with 1 MiB inserted at its head; `old` gets the file as it was."""
    size = _old_large_file(old, scale)
    with open(os.path.join(path, "image"), "wb") as file, open(os.path.join(old, "image"), "rb") as rest:
        file.write(random.Random(7).randbytes(1 << 20))
        shutil.copyfileobj(rest, file, 8 << 20)
    return 1, size + (1 << 20)


def warm(size):
    """Touches `size` bytes of free memory and lets go of them. A virtual machine that gave its free memory back to its host gets it page
    by page, at many times the price: without this whoever happens to run next pays for it, and nobody else."""
    block = bytes(1 << 20)
    with mmap.mmap(-1, max(size, 1)) as memory:
        for at in range(0, size - len(block) + 1, len(block)):
            memory[at:at + len(block)] = block


def count(path):
    """(objects, bytes) of a tree, found by walking it."""
    objects = size = 0
    pending = [path]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                objects += 1
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    size += entry.stat(follow_symlinks=False).st_size
    return objects, size
