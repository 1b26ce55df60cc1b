#!/usr/bin/env python3
"""The zoo with every way to move less forced on, alone and together: delta, compression, direct I/O, indexes."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import treecmp  # noqa: E402
import zoo  # noqa: E402

PATIENCE_S = 60
QUIET_FILES = 5
FORCED = (("delta", ["--no-whole-file"]), ("compression", ["--compress-choice=zstd"]),
          ("direct I/O", ["--direct-io=on"]),
          ("all together", ["--no-whole-file", "--compress-choice=zstd", "--direct-io=on"]))


class ForcedPaths(harness.Case):
    """One tree and few copies: on some disks it takes longer to remove a zoo than to copy it."""

    def pair(self, backend, *arguments):
        a = self.agent({"from": self.path("from") + ":ro"}, "--io-backend", backend, *arguments)
        b = self.agent({"to": self.path("to")}, "--io-backend", backend, *arguments)
        return lambda copy: (a.endpoint("from", "tree"), b.endpoint("to", copy))

    def make_quiet_place(self):
        """A directory that no change touches: its files are too small to be overwritten, old, and have one name each. An index that
        answers can always leave it out, whatever the changes do to the rest of the zoo."""
        quiet = os.path.join(self.source, "quiet")
        os.mkdir(quiet)
        for number in range(QUIET_FILES):
            path = os.path.join(quiet, str(number))
            with open(path, "wb") as file:
                file.write(b"never changed")
            os.utime(path, (1_600_000_000, 1_600_000_000))

    def change(self):
        """Changes most files of the source; returns how it looks then."""
        self.changes += 1
        zoo.overwrite(self.source, self.changes)
        return treecmp.snapshot(self.source)

    def check(self, snapshot, copy):
        self.assertSame(treecmp.compare(snapshot, treecmp.snapshot(self.path("to", copy))))
        self.assertNoTemporaries(self.path("to", copy))

    def sync_json(self, ends, *options):
        # What is fsynced makes no difference to these paths.
        return self.sync(*ends, "--json", "--delete", "--durability=none", *options).summary

    def between_agents(self, ends):
        self.sync_json(ends("kept"), "-W")
        for what, options in FORCED:
            with self.subTest(what):
                snapshot = self.change()
                apply = self.sync_json(ends("kept"), *options)["apply"]
                self.check(snapshot, "kept")
                if "--no-whole-file" in options:
                    self.assertGreater(apply["bytes_matched"], apply["bytes_moved"])
        made = self.sync_json(ends("new"), *FORCED[-1][1])["apply"]
        self.check(snapshot, "new")
        self.assertLess(made["wire_bytes"], made["bytes_moved"])

    def with_live_indexes(self, ends):
        plan = {}

        def told():
            plan.update(self.sync_json(ends)["plan"])
            return plan["actions"] == 0 and plan["told_by_index"] >= QUIET_FILES
        for options in ([], FORCED[-1][1]):
            with self.subTest("live indexes", options=options):
                harness.wait_until(told, PATIENCE_S, "answers of the indexes")
                snapshot = self.change()
                done = self.sync_json(ends, *options)
                self.assertGreaterEqual(done["plan"]["told_by_index"], QUIET_FILES, "the quiet place was not left out")
                self.assertGreater(done["plan"]["actions"], 0)
                self.check(snapshot, "kept")

    def between_paths(self, backend):
        for _ in range(2):
            with self.subTest("direct I/O between local paths"):
                snapshot = self.change()
                ends = (self.source, self.path("to", "local"))
                self.sync_json(ends, "--direct-io=on", "--reflink=never", "--io-backend", backend)
                self.check(snapshot, "local")

    def all_of_it(self, backend):
        if backend == "uring" and not harness.uring_works():
            self.skipTest("io_uring cannot be set up here")
        self.source, self.changes = self.path("from", "tree"), 0
        os.makedirs(self.path("to"))
        # A terabyte of hole is what delta_test has; here it would be all that takes time.
        zoo.make(self.source, self.path("outside"), entries=200, huge=False)
        self.make_quiet_place()
        self.between_agents(self.pair(backend))
        self.with_live_indexes(self.pair(backend, "--index")("kept"))
        self.between_paths(backend)

    def test_the_zoo_arrives_over_uring(self):
        self.all_of_it("uring")

    def test_the_zoo_arrives_over_threads(self):
        self.all_of_it("threads")


if __name__ == "__main__":
    harness.main()
