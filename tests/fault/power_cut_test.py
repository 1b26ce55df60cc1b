#!/usr/bin/env python3
"""The power fails (FS_IOC_SHUTDOWN) at random instants of a run: what was told to be on disk is there, whole; the rest is old or new.

Each cut is of a fresh ext4 or xfs in a loop device, with or without its log flushed, when at least 100 files have been told to be on
disk (`durable` events of --json); then the file system is mounted again. After the run that makes all of it right the power fails at
once: after exit code 0 everything is on disk.

URINGSYNC_CUTS=N cuts N times instead of once for each kind. The seed is printed; URINGSYNC_TEST_SEED repeats it, but for the instant.
"""

import base64
import fcntl
import itertools
import json
import os
import random
import stat
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import treecmp  # noqa: E402
import wreck  # noqa: E402

FS_IOC_SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32)
# The log is flushed, or nothing at all is written any more. (Without a flag the kernel writes everything first: no cut.)
LOG_FLUSHED, NOTHING_FLUSHED = 1, 2
FLAGS = {"log flushed": LOG_FLUSHED, "nothing flushed": NOTHING_FLUSHED}
LEAST_DURABLE = 100
MEGABYTES = {"ext4": 200, "xfs": 320}
DIRECTORIES, FILES = 30, 100
# The run takes some seconds at this rate.
LIMIT = "--bwlimit=2M"
LONGEST_WAIT_S = 1
ENDS_SOON_S = 60
SIGKILLED = -9


class Run:
    """A sync whose events are read as they come."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.actions, self.through, self.summary = {}, 0, None
        self.durable_puts = 0
        self.changed = threading.Condition()
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            event = json.loads(line)
            with self.changed:
                if event["event"] == "action":
                    self.actions[event["id"]] = event
                elif event["event"] == "durable":
                    self.through = event["through_id"]
                elif event["event"] == "summary":
                    self.summary = event
                self.durable_puts = sum(1 for action in self.durable() if action["action"] == "put")
                self.heard()
                self.changed.notify_all()
        with self.changed:
            self.process.wait()
            self.changed.notify_all()

    def heard(self):
        """After each event."""

    def durable(self):
        return [action for id, action in self.actions.items() if id <= self.through and action["outcome"] == "done"]

    def wait_durable(self, files, seconds):
        """Until so many files are on disk, or the run has ended."""
        with self.changed:
            self.changed.wait_for(lambda: self.durable_puts >= files or self.process.returncode is not None, seconds)

    def finish(self, seconds):
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = None
        self.reader.join()
        self.error = self.process.stderr.read().decode("utf-8", "replace")
        self.process.stdout.close()
        self.process.stderr.close()
        return code


def path_of(event):
    if "path_base64" in event:
        return base64.b64decode(event["path_base64"])
    return event["path"].encode()


class PowerCut(harness.Case):
    def build(self, rng):
        src, old = self.path("src"), self.path("old")
        for number in range(DIRECTORIES):
            for tree in (src, old):
                os.makedirs(os.path.join(tree, "d%d" % number))
            for index in range(FILES):
                name = "d%d/f%d" % (number, index)
                self.write(os.path.join(src, name), rng.randbytes(rng.choice([10, 1000, 6000])), 0o644, 1600000000)
                if index % 3 == 0:
                    self.write(os.path.join(old, name), rng.randbytes(3000), 0o600, 1500000000)
            for index in range(5):
                self.write(os.path.join(old, "d%d/gone%d" % (number, index)), b"gone", 0o600, 1500000000)
            same = rng.randbytes(300)
            self.write(os.path.join(src, "d%d/mode" % number), same, 0o640, 1600000000)
            self.write(os.path.join(old, "d%d/mode" % number), same, 0o600, 1600000000)
            os.symlink("f1", os.path.join(src, "d%d/link" % number))
            os.link(os.path.join(src, "d%d/f2" % number), os.path.join(src, "d%d/hard" % number))
        self.write(os.path.join(src, "large"), rng.randbytes(3 << 20), 0o644, 1600000000)
        self.src, self.old = src, old
        self.source, self.before = treecmp.snapshot(src), treecmp.snapshot(old)

    @staticmethod
    def write(path, data, mode, when):
        with open(path, "wb") as file:
            file.write(data)
        os.chmod(path, mode)
        os.utime(path, (when, when))

    def mount(self, image, point):
        mounted = harness.run(["mount", "-o", "loop", image, point])
        self.assertEqual(0, mounted.code, str(mounted))

    def unmount(self, point):
        def unmounted():
            return harness.run(["umount", point]).code == 0
        harness.wait_until(unmounted, 30, "the agent to let go of the file system")

    def cut(self, point, flags):
        fd = os.open(point, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(fd, FS_IOC_SHUTDOWN, struct.pack("I", flags))
        finally:
            os.close(fd)

    def again(self, point, image):
        self.unmount(point)
        self.mount(image, point)

    def check_durable(self, actions, found, context):
        lost = []
        for event in actions:
            path, kind = path_of(event), event["action"]
            if kind == "delete":
                if path in found:
                    lost.append("%s: is there again" % treecmp.show(path))
                continue
            now, wanted = found.get(path), self.source[path]
            if now is None:
                lost.append("%s: %s is lost" % (treecmp.show(path), kind))
            elif wanted.type == stat.S_IFDIR:
                pass  # its attributes come last, in an action of their own
            elif (now.type, now.digest, now.target, now.mode, now.mtime_ns) != (
                    wanted.type, wanted.digest, wanted.target, wanted.mode, wanted.mtime_ns):
                lost.append("%s: %s is torn" % (treecmp.show(path), kind))
        self.assertSame(lost, "told to be on disk, and not whole\n" + context)

    def one_cut(self, kind, level, how, rng):
        """Files that were on disk at the cut, and whether the run was cut before its end."""
        context = "%s, --durability=%s, %s" % (kind, level, how)
        name = "disk%d" % next(self.numbers)
        point, image = self.loop_mount(kind, MEGABYTES[kind], name), self.path(name + ".img")
        dst = os.path.join(point, "tree")
        subprocess.run(["cp", "-a", self.old, dst], check=True)
        os.sync()
        command = [harness.CLI, "sync", "--json", "-v", "--delete", "--no-progress", "--reflink=never"]
        run = Run([*command, "--durability=" + level, LIMIT, self.src, dst])
        run.wait_durable(LEAST_DURABLE, ENDS_SOON_S * harness.SLOWNESS)
        time.sleep(rng.random() * LONGEST_WAIT_S)
        on_disk = run.durable_puts
        cut_short = run.process.poll() is None
        self.cut(point, FLAGS[how])
        code = run.finish(ENDS_SOON_S * harness.SLOWNESS)
        context += "\nexit %s\n%s" % (code, run.error[-2000:])
        self.assertIsNotNone(code, "the command did not end after the cut\n" + context)
        self.assertGreaterEqual(on_disk, LEAST_DURABLE, "too few were told to be on disk\n" + context)
        self.again(point, image)
        found = treecmp.snapshot(dst)
        self.check_durable(run.durable(), found, context)
        self.assertSame(wreck.damage(self.before, self.source, found), context)
        if code == 0:
            self.assertSame(treecmp.compare(self.source, found, holes=False), "exit 0\n" + context)
        self.converge_and_cut([*command, "--wait", "--durability=" + level, self.src, dst], point, image, dst, context)
        self.unmount(point)
        os.unlink(image)
        return on_disk, cut_short

    def converge_and_cut(self, command, point, image, dst, context):
        result = harness.run(command)
        self.assertEqual(0, result.code, "%s\n%s" % (context, result))
        self.assertEqual("durable", result.summary["state"], str(result))
        self.assertSame(treecmp.compare(self.source, treecmp.snapshot(dst), holes=False), context)
        self.assertNoTemporaries(dst)
        self.cut(point, NOTHING_FLUSHED)
        self.again(point, image)
        self.assertSame(treecmp.compare(self.source, treecmp.snapshot(dst), holes=False), "a cut after exit 0\n" + context)
        self.assertNoTemporaries(dst)

    def test_cuts(self):
        if not harness.is_root():
            self.skipTest("mounting and shutting a file system down need root")
        seed = int(os.environ.get("URINGSYNC_TEST_SEED", random.SystemRandom().randrange(1 << 32)))
        print("URINGSYNC_TEST_SEED=%d" % seed)
        rng = random.Random(seed)
        self.numbers = itertools.count()
        self.build(rng)
        kinds = [("ext4", "batch", "nothing flushed"), ("xfs", "batch", "log flushed"), ("ext4", "file", "log flushed"),
                 ("xfs", "file", "nothing flushed"), ("ext4", "batch", "log flushed"), ("xfs", "batch", "nothing flushed"),
                 ("ext4", "file", "nothing flushed"), ("xfs", "file", "log flushed")]
        cuts = int(os.environ.get("URINGSYNC_CUTS", "4"))
        results = [self.one_cut(*kinds[number % len(kinds)], rng) for number in range(cuts)]
        print("%d cuts, %d of them before the end of the run; %d to %d files were on disk" % (
            len(results), sum(short for _, short in results), min(n for n, _ in results), max(n for n, _ in results)))


if __name__ == "__main__":
    harness.main()
