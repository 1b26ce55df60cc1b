"""What goes wrong around a copy, done to one contender at a time: each case makes its trees, lets the contender run into it, and counts what is left.

A case yields an outcome: {"figures": {label: value}, "harm": what the user has lost or was told wrongly, empty where nothing, "note": what else one
should know}. Figures come in the same order for every contender of a case.
"""

import contextlib
import fcntl
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import time

FS_IOC_SHUTDOWN = 0x8004587D
LOG_FLUSHED, NOTHING_FLUSHED = 1, 2
OLD_TIME, NEW_TIME = 1500000000, 1600000000
RUN_LIMIT_S = 300
ENDS_SOON_S = 20
PAGE = 4096
OUR_TEMPORARY = re.compile(r"^\.~uringsync~")
RSYNC_TEMPORARY = re.compile(r"^\..+\.[A-Za-z0-9]{6}$")
# One page after the other gets the number of the round: at any instant the pages have one number up to some page, and the one before behind it.
WRITER = """
import os, select, struct, sys
file = os.open(sys.argv[1], os.O_WRONLY)
pages = os.fstat(file).st_size // 4096
number = 0
while True:
    number += 1
    for page in range(pages):
        if page % 16 == 0 and select.select([0], [], [], 0)[0]:
            sys.exit()
        os.pwrite(file, struct.pack("<I", number) * 1024, page * 4096)
    print(number, flush=True)
"""


class Ended:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out.decode("utf-8", "replace"), err.decode("utf-8", "replace")


def finish(process):
    try:
        out, err = process.communicate(timeout=RUN_LIMIT_S)
    except subprocess.TimeoutExpired:
        kill_all(process)
        out, err = process.communicate()
    return Ended(process.returncode, out, err)


def start(command):
    # A session of its own: what it starts can be killed with it.
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)


def run(command):
    return finish(start(command))


def descendants(pid):
    found = []
    with contextlib.suppress(OSError):
        with open("/proc/%d/task/%d/children" % (pid, pid)) as file:
            for child in file.read().split():
                found += [int(child)] + descendants(int(child))
    return found


def kill_all(process):
    for pid in descendants(process.pid) + [process.pid]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def put(path, data, when=NEW_TIME):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)
    os.utime(path, (when, when))


def get(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def strays(root):
    found = []
    for directory, names, files in os.walk(root):
        found += [os.path.join(directory, name) for name in names + files if OUR_TEMPORARY.match(name) or RSYNC_TEMPORARY.match(name)]
    return found


class Trees:
    """Two trees, and what a third, half-changed one has of them: {relative path: contents}."""

    def __init__(self, files, replaced, size, seed=1):
        rng = random.Random(seed)
        names = ["d%d/f%d" % (i % 20, i) for i in range(files)]
        self.new = {name: rng.randbytes(size) for name in names}
        self.old = {name: rng.randbytes(size // 2) for name in names[:replaced]}

    def make(self, src, dst):
        for name, data in self.new.items():
            put(os.path.join(src, name), data)
        for name, data in self.old.items():
            put(os.path.join(dst, name), data, OLD_TIME)
        os.makedirs(dst, exist_ok=True)

    def judge(self, dst, told=None):
        """Counts of what is missing and torn; with `told`, of those names the new contents have to be there."""
        lost = torn = 0
        for name, data in self.new.items():
            found = get(os.path.join(dst, name))
            must = told is None or name in told
            if found == data:
                continue
            if found is not None and found != self.old.get(name):
                torn += 1
            elif must or (found is None and name in self.old):
                lost += 1
        return lost, torn


class PowerCut:
    """The power fails right after exit code 0, or in the middle of the run."""

    needs = "root"

    def __init__(self, midway, flags, how, files):
        self.midway, self.flags = midway, flags
        self.name = "cut-midway" if midway else "cut-after-" + how.split()[0]
        self.title = "Power cut " + ("in the middle of the run" if midway else "right after exit code 0") + ", %s (ext4)" % how
        self.says = ("Told: names that the program said to be finished; uringsync: on disk (`durable`); a line of rsync or ursync promises nothing about the disk. Lost: not there, or still the old file, though told"
                     if midway else "Lost: not there, or still the old file") + ". Torn: neither the old file nor the new one."
        self.files = files

    def __call__(self, contender, place):
        trees = Trees(self.files, self.files // 4, 6000)
        image, point = place.image("ext4", 512)
        src, dst = place.path("src"), os.path.join(point, "dst")
        trees.make(src, dst)
        os.sync()
        if self.midway:
            code, told = self.cut_midway(contender, src, dst, point)
        else:
            ended = run(contender.command(src, dst))
            code, told = ended.code, None
            self.cut(point)
        place.remount(image, point)
        lost, torn = trees.judge(dst, told)
        left = len(strays(dst))
        figures = {"exit": code, "told": self.files if told is None else len(told), "lost": lost, "torn": torn, "strays": left}
        harm = "%d lost, %d torn" % (lost, torn) if lost + torn else ""
        return {"figures": figures, "harm": harm, "note": ""}

    def cut(self, point):
        fd = os.open(point, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(fd, FS_IOC_SHUTDOWN, struct.pack("I", self.flags))
        finally:
            os.close(fd)

    def cut_midway(self, contender, src, dst, point):
        process = start(contender.command(src, dst, "--bwlimit=1500", telling=True))
        told, wanted = set(), self.files // 3
        hear = contender.listener(told)
        try:
            for line in process.stdout:
                hear(line)
                if len(told) >= wanted:
                    break
            self.cut(point)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=ENDS_SOON_S)
        finally:
            code = process.poll()
            kill_all(process)
            process.communicate()
        return code, told


class Kill:
    """Every process of the program gets SIGKILL in the middle of a large file and many small ones; then it is run again."""

    needs = None

    def __init__(self, files, megabytes):
        self.name, self.title = "kill", "kill -9 in the middle of the run, then the same run again"
        self.says = "Torn: under its final name, neither old nor new. Strays: after the kill, and after the run that followed. Sent again: bytes of the second run."
        self.files, self.megabytes = files, megabytes

    def __call__(self, contender, place):
        trees = Trees(self.files, self.files // 4, 6000)
        src, dst = place.path("src"), place.path("dst")
        trees.make(src, dst)
        large, before = random.Random(2).randbytes(self.megabytes << 20), random.Random(3).randbytes(1 << 20)
        trees.new["zz-large"], trees.old["zz-large"] = large, before
        put(os.path.join(src, "zz-large"), large)
        put(os.path.join(dst, "zz-large"), before, OLD_TIME)
        process = start(contender.command(src, dst, "--bwlimit=20000"))
        self.await_large(process, dst, self.megabytes * 1024)
        kill_all(process)
        process.communicate()
        self.await_end(dst)
        _, torn = trees.judge(dst, set())
        after_kill = len(strays(dst))
        again = run(contender.command(src, dst, telling=True, stats=True))
        lost_then, torn_then = trees.judge(dst)
        figures = {"torn": torn, "strays": after_kill, "exit of the next run": again.code, "sent again, MB": round(contender.sent(again) / 1e6, 1),
                   "strays then": len(strays(dst)), "wrong then": lost_then + torn_then}
        harm = []
        if torn:
            harm.append("%d torn" % torn)
        if figures["strays then"]:
            harm.append("%d strays stay" % figures["strays then"])
        if figures["wrong then"]:
            harm.append("%d wrong after the next run" % figures["wrong then"])
        return {"figures": figures, "harm": ", ".join(harm), "note": ""}

    def await_large(self, process, dst, kilobytes):
        """Until half of the large file has arrived, under whatever name."""
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            for entry in os.scandir(dst):
                with contextlib.suppress(FileNotFoundError):
                    if entry.is_file() and entry.stat().st_blocks // 2 > kilobytes // 2 and entry.stat().st_mtime > NEW_TIME:
                        return
            time.sleep(0.02)

    @staticmethod
    def await_end(dst):
        """Nobody holds the lock of the destination any more: killed processes end in their own time."""
        fd = os.open(dst, os.O_RDONLY)
        fcntl.flock(fd, fcntl.LOCK_EX)
        os.close(fd)


class TornSource:
    """A file is written to all the time while it is copied, again and again."""

    def __init__(self, copies, kind=None):
        self.kind, self.needs = kind, "root" if kind else None
        self.name = "torn-source" + ("-" + kind if kind else "")
        self.title = "A source file that is written to during the copy" + (" (%s)" % kind if kind else "")
        self.says = "Of so many copies. Mixtures: pages of different moments under the final name. Silent: of these, with exit code 0 and not a word."
        self.copies = copies

    def __call__(self, contender, place):
        base = place.image(self.kind, 512)[1] if self.kind else place.path()
        src, dst = os.path.join(base, "src"), os.path.join(place.path(), "dst")
        put(os.path.join(src, "database"), struct.pack("<I", 0) * 1024 * 2048)
        writer = subprocess.Popen([sys.executable, "-c", WRITER, os.path.join(src, "database")], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        mixed = silent = refused = whole = 0
        codes = set()
        try:
            for _ in range(3):
                writer.stdout.readline()
            drain = subprocess.Popen(["cat"], stdin=writer.stdout, stdout=subprocess.DEVNULL)
            for _ in range(self.copies):
                shutil.rmtree(dst, ignore_errors=True)
                ended = run(contender.command(src, dst))
                codes.add(ended.code)
                data = get(os.path.join(dst, "database"))
                if data is None:
                    refused += 1
                elif self.is_instant(data):
                    whole += 1
                else:
                    mixed += 1
                    silent += ended.code == 0 and "database" not in ended.err
        finally:
            writer.stdin.close()
            writer.wait()
            writer.stdout.close()
            drain.wait()
        figures = {"copies": self.copies, "of one moment": whole, "left out, told": refused, "mixtures": mixed, "silent": silent,
                   "exit": ", ".join(map(str, sorted(codes)))}
        harm = "%d of %d mixed without a word" % (silent, self.copies) if silent else ""
        note = "told: copied while it changed" if mixed and not silent else ""
        return {"figures": figures, "harm": harm, "note": note}

    @staticmethod
    def is_instant(data):
        numbers = struct.unpack("<%dI" % (len(data) // 4), data)[::1024]
        return list(numbers) == sorted(numbers, reverse=True) and numbers[0] - numbers[-1] <= 1


class FullDisk:
    """A file system of 16 MB: one file is larger than what is left, and replaces an older one; others would fit."""

    needs = "root"

    def __init__(self):
        self.name, self.title = "full-disk", "A full disk (tmpfs of 16 MB): one file does not fit, 50 others would"
        self.says = "Fitting: files that fit and arrived. Old kept: the older file in the place of the one that did not fit. Named: the message says which file."

    def __call__(self, contender, place):
        point = place.tmpfs("16m")
        src, dst = place.path("src"), os.path.join(point, "dst")
        old = random.Random(4).randbytes(1 << 20)
        put(os.path.join(dst, "m-large"), old, OLD_TIME)
        put(os.path.join(src, "m-large"), random.Random(5).randbytes(30 << 20))
        fitting = {"%s%d" % (letter, i): random.Random(i).randbytes(50000) for letter in "az" for i in range(25)}
        for name, data in fitting.items():
            put(os.path.join(src, name), data)
        ended = run(contender.command(src, dst))
        arrived = sum(get(os.path.join(dst, name)) == data for name, data in fitting.items())
        left = len(strays(dst))
        kept = get(os.path.join(dst, "m-large")) == old
        figures = {"exit": ended.code, "fitting": "%d of 50" % arrived, "old kept": "yes" if kept else "no", "strays": left,
                   "named": "yes" if "m-large" in ended.err else "no"}
        harm = [text for wrong, text in ((ended.code == 0, "exit code 0"), (not kept, "the old file is gone"), (left, "%d strays" % left),
                                         (arrived < 50, "%d files that fit did not arrive" % (50 - arrived))) if wrong]
        return {"figures": figures, "harm": ", ".join(harm), "note": ""}


class LostSource:
    """--delete, and what is no deletion at the source: it is not mounted, or cannot be read."""

    needs = "root"

    def __init__(self, how):
        self.how = how
        self.name = how + "-source"
        self.title = {"unmounted": "--delete when the source's file system is not mounted", "unreadable": "--delete when a directory of the source cannot be read"}[how]
        self.says = "100 files that the destination has from a run before."

    def __call__(self, contender, place):
        dst = place.path("dst")
        src = place.tmpfs("16m") if self.how == "unmounted" else place.path("src")
        for i in range(100):
            put(os.path.join(src, "dir", "f%d" % i), b"data" * i)
        os.chmod(src, 0o755)
        first = run(contender.command(src, dst, "--delete"))
        if first.code != 0:
            raise RuntimeError("the first run failed: " + first.err)
        command = contender.command(src, dst, "--delete")
        if self.how == "unmounted":
            place.unmount(src)
        else:
            os.chmod(os.path.join(src, "dir"), 0)
            for directory, _, files in os.walk(dst):
                for name in ["."] + files:
                    os.chown(os.path.join(directory, name), 65534, 65534)
            command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] + command
        ended = run(command)
        left = sum(1 for i in range(100) if get(os.path.join(dst, "dir", "f%d" % i)) is not None)
        figures = {"exit": ended.code, "deleted": 100 - left, "told": (ended.err.replace(place.path(), "").strip().splitlines() or ["nothing"])[0][:90]}
        harm = "%d files deleted%s" % (100 - left, ", exit code 0" if ended.code == 0 else "") if left < 100 else ""
        if not harm and ended.code == 0:
            harm = "exit code 0"
        return {"figures": figures, "harm": harm, "note": ""}


def every_case(quick):
    files = 300 if quick else 1200
    return [PowerCut(False, NOTHING_FLUSHED, "nothing flushed", files), PowerCut(False, LOG_FLUSHED, "log flushed", files),
            PowerCut(True, LOG_FLUSHED, "log flushed", files), Kill(files, 8 if quick else 64), TornSource(3 if quick else 10),
            TornSource(3 if quick else 10, "xfs"), FullDisk(), LostSource("unmounted"), LostSource("unreadable")]

