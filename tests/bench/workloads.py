"""What is measured: each workload makes its trees, says what a finished run must have left, and who can take part in it."""

import os
import shutil
import subprocess

import trees


class Workload:
    """A row of the table. `build` fills the source once; `prepare` makes the destination what a run begins with, before each run."""

    name = ""
    title = ""
    copy_bytes = 0      # of one copy on disk, at scale 1
    objects = 0         # at scale 1
    only_updaters = False  # cp and tar would copy everything again
    reference = None    # mode of bench_reference, where it does the same
    flags = []          # of uringsync
    rsync_flags = []
    guarantees = ("equal", "default")
    delta = False       # changes an old file; measured between hosts only: locally nobody compares contents
    link = None         # arguments of latency_relay: the way between the two hosts

    def build(self, src, scale):
        """Fills `src`. Returns (objects, bytes) that the destination must hold after a run."""
        raise NotImplementedError

    def prepare(self, src, dst, scale):
        subprocess.run(["rm", "-rf", dst], check=True)

    def unit(self, expected):
        """(count, name) of what CPU seconds are told for."""
        objects, size = expected
        return (size / 1e9, "GB") if size > 4 * 1024 * 1024 * max(objects, 1) else (objects / 1000, "1,000 objects")

    def finish(self):
        """Takes away what `build` or `prepare` left running."""


class Small(Workload):
    name, title = "small", "100,000 files of 7 KiB"
    copy_bytes, objects, reference = 100000 * 8192, 101000, "small"

    def build(self, src, scale):
        return trees.small(src, scale)


class Large(Workload):
    name, title = "large", "2 files of 1 GiB"
    copy_bytes, objects, reference = 2 << 30, 2, "large"
    rsync_flags = ["-W"]

    def build(self, src, scale):
        return trees.large(src, scale)


class Mixed(Workload):
    name, title = "mixed", "a mixed tree like a source checkout: 30,000 files, 3,000 directories"
    copy_bytes, objects = 600 << 20, 33000

    def build(self, src, scale):
        return trees.mixed(src, scale)


class Nothing(Workload):
    name, title = "nothing", "nothing to do: 100,000 files of 7 KiB that are there already"
    copy_bytes, objects, only_updaters, reference = 100000 * 8192, 101000, True, "list"
    rows_of_files = staticmethod(trees.small)

    def build(self, src, scale):
        return self.rows_of_files(src, scale)

    def prepare(self, src, dst, scale):
        if not os.path.exists(dst):
            subprocess.run(["cp", "-a", src, dst], check=True)


class NothingMillion(Nothing):
    name, title = "nothing-million", "nothing to do: 1,000,000 files that are there already"
    copy_bytes, objects = 1 << 20, 1001000
    rows_of_files = staticmethod(trees.million)


class Sparse(Workload):
    name, title = "sparse", "a sparse file of 10 GiB with 64 MiB of data"
    copy_bytes, objects = 80 << 20, 1
    rsync_flags = ["-S"]

    def build(self, src, scale):
        return trees.sparse(src, scale)


class Delete(Workload):
    name, title = "delete", "delete 100,000 files of 7 KiB"
    copy_bytes, objects, only_updaters = 100000 * 8192, 101000, True
    flags = ["--delete"]
    rsync_flags = ["--delete"]

    def build(self, src, scale):
        self.deleted = 0
        with open(os.path.join(src, "stays"), "w") as file:
            file.write("this file stays\n")
        return 1, 16

    def prepare(self, src, dst, scale):
        subprocess.run(["rm", "-rf", dst], check=True)
        os.makedirs(dst)
        self.deleted = trees.small(dst, scale)[0]
        shutil.copy2(os.path.join(src, "stays"), dst)

    def unit(self, expected):
        return self.deleted / 1000, "1,000 objects"


class Edits(Workload):
    """The old file lies beside the source, so that every run begins with the same destination."""

    name, title = "edits", "a file of 2 GiB of which 200 pieces of 4 KiB were overwritten"
    copy_bytes, objects, only_updaters = 3 << 30, 2, True
    delta = True
    flags = ["--no-whole-file"]
    rsync_flags = ["--no-whole-file", "--stats"]
    builder = staticmethod(trees.edits)

    def build(self, src, scale):
        self.old = os.path.join(os.path.dirname(src), "old")
        return self.builder(src, scale, self.old)

    def prepare(self, src, dst, scale):
        subprocess.run(["rm", "-rf", dst], check=True)
        subprocess.run(["cp", "-a", self.old, dst], check=True)


class Insert(Edits):
    name, title = "insert", "the same file with 1 MiB inserted at its head"
    builder = staticmethod(trees.insert)


class Million(Workload):
    name, title = "million", "1,000,000 empty files: what memory grows with"
    copy_bytes, objects = 1 << 20, 1001000

    def build(self, src, scale):
        return trees.million(src, scale)


class Latency(Small):
    """A round trip in milliseconds over 1 Gbit/s. Windows are Linux's usual 6 MiB and start small, as a fresh connection's do."""

    copy_bytes, objects, reference = 100000 * 8192, 101000, None
    guarantees = ("equal",)

    def __init__(self, round_trip_ms):
        self.name = "latency" if round_trip_ms == 50 else "latency-%d" % round_trip_ms
        self.title = "100,000 files of 7 KiB at %d ms round trip, 1 Gbit/s" % round_trip_ms
        self.link = ["--rtt-ms", str(round_trip_ms), "--mbit", "1000", "--window", str(6 << 20), "--slow-start"]


def everything():
    return [Small(), Large(), Mixed(), Nothing(), NothingMillion(), Sparse(), Delete(), Edits(), Insert(), Million(), Latency(1), Latency(50), Latency(200)]


# Not part of a run that names nothing: they take long.
ONLY_WHEN_ASKED = {"nothing-million", "million", "latency-1", "latency-200"}
