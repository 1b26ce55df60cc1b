"""What a disk may hold after a loss of power, from the log of tests/support/logged_disk.

    disk = LoggedDisk(case, "disk", image)        # disk.file is for a loop device
    at = disk.position()                          # before or after something
    image = disk.log().image_at(base, at, rng)    # a copy of `base` as a cut at that position may leave it
"""

import os
import struct
import subprocess

import harness

PROGRAM = os.path.join(harness.BIN_DIR, "logged_disk")
WRITE, FLUSH = 1, 2
HEADER = struct.Struct("=QQQ")
# What a disk writes as a whole.
SECTOR = 4096
START_SECONDS = 20


class BlockLog:
    """The records of a log up to now: (position of its end, kind, offset, position of its bytes, length)."""

    def __init__(self, path):
        self.path = path
        self.records = []
        end = os.stat(path).st_size
        with open(path, "rb") as file:
            at = 0
            while at + HEADER.size <= end:
                file.seek(at)
                kind, offset, length = HEADER.unpack(file.read(HEADER.size))
                after = at + HEADER.size + length
                if after > end:
                    break
                self.records.append((after, kind, offset, at + HEADER.size, length))
                at = after

    def image_at(self, base, target, position, rng):
        """Writes to `target` what is on the disk when the power fails at `position`: `base`, all that was written before the last flush,
        and of what came since then each sector or not. Returns how many sectors came, and how many did not."""
        copied = harness.run(["cp", "--sparse=always", base, target])
        if copied.code:
            raise AssertionError(str(copied))
        past = [record for record in self.records if record[0] <= position]
        flushed = max((index for index, record in enumerate(past) if record[1] == FLUSH), default=-1)
        came = lost = 0
        with open(self.path, "rb") as log, open(target, "r+b") as disk:
            for index, (_, kind, offset, begin, length) in enumerate(past):
                if kind != WRITE:
                    continue
                log.seek(begin)
                data = log.read(length)
                if index < flushed:
                    disk.seek(offset)
                    disk.write(data)
                    continue
                for part in range(0, length, SECTOR):
                    if rng.random() < 0.5:
                        lost += 1
                        continue
                    came += 1
                    disk.seek(offset + part)
                    disk.write(data[part:part + SECTOR])
        return came, lost


class LoggedDisk:
    def __init__(self, case, name, image):
        if not harness.is_root():
            case.skipTest("mounting needs root")
        if not os.path.exists("/dev/fuse"):
            case.skipTest("there is no FUSE here")
        self.point, self.log_path = case.path(name), case.path(name + ".blocks")
        os.makedirs(self.point)
        self.output = open(case.path(name + ".log"), "w+b")
        self.process = subprocess.Popen([PROGRAM, image, self.log_path, self.point], stdin=subprocess.DEVNULL, stdout=self.output,
                                        stderr=self.output)
        case.addCleanup(self.end)
        harness.wait_until(lambda: self.process.poll() is not None or os.path.ismount(self.point), START_SECONDS, "a FUSE mount")
        if self.process.poll() is not None:
            self.output.seek(0)
            case.skipTest("FUSE cannot be mounted: " + self.output.read().decode("utf-8", "replace").strip())

    @property
    def file(self):
        return os.path.join(self.point, "disk")

    def position(self):
        return os.stat(self.log_path).st_size

    def log(self):
        return BlockLog(self.log_path)

    def end(self):
        harness.run(["umount", "-l", self.point])
        try:
            self.process.wait(START_SECONDS * harness.SLOWNESS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.output.close()
