#!/usr/bin/env python3
"""--snapshot: files that are written to all the time arrive as of one instant, from a btrfs snapshot of the tree or from a clone of each file; where
neither can be, nothing is done or it is told; what a killed run left goes with the next one."""

import os
import signal
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import shell_case  # noqa: E402
import treecmp  # noqa: E402

PAGE = 4096
SUBVOLUME_ROOT = 256
# Writes the number of the round into one page after the other of one file after the other, until its input ends; with "sync" each page is on disk
# before the next one is written. At any instant the pages have one number up to some page, and the number before from there on.
WRITER = """
import os, select, struct, sys
flags = os.O_WRONLY | (os.O_DSYNC if sys.argv[1] == "sync" else 0)
files = [os.open(path, flags) for path in sys.argv[2:]]
sizes = [os.fstat(file).st_size // 4096 for file in files]
number = 0
while True:
    number += 1
    for file, pages in zip(files, sizes):
        for page in range(pages):
            if page % 8 == 0 and select.select([0], [], [], 0)[0]:
                sys.exit()
            os.pwrite(file, struct.pack("<I", number) * 1024, page * 4096)
    print(number, flush=True)
"""


class Snapshots(shell_case.ShellCase):
    def file_system(self, kind, name):
        point = self.loop_mount(kind, {"btrfs": 256, "xfs": 320, "ext4": 64}[kind], name)
        os.chmod(point, 0o755)
        return point

    def subvolume(self, path):
        made = harness.run(["btrfs", "subvolume", "create", path])
        if made.code:
            self.skipTest("btrfs subvolume create: %s" % made.stderr.strip())
        return path

    def pages(self, path, count):
        self.write(path, struct.pack("<I", 0) * 1024 * count)
        return path

    def start_writer(self, how, *paths):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, how, *paths], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)

        def end():
            if writer.poll() is None:
                writer.communicate()
        self.addCleanup(end)
        harness.wait_until(lambda: self.numbers(paths[0])[-1] > 0 or writer.poll() is not None, 60, "the first round of the writer")
        self.assertIsNone(writer.poll())
        return end

    @staticmethod
    def numbers(path):
        with open(path, "rb") as file:
            data = file.read()
        return struct.unpack("<%dI" % (len(data) // 4), data)[::1024]

    def assertOneInstant(self, paths, context):
        seen = [number for path in paths for number in self.numbers(path)]
        self.assertEqual(sorted(seen, reverse=True), list(seen), "pages of several rounds in disorder\n%s" % context)
        self.assertLessEqual(max(seen) - min(seen), 1, "pages of more than one round\n%s" % context)

    def snapshots_in(self, directory):
        found = []
        for name in os.listdir(directory):
            if not name.startswith(".~uringsync~"):
                continue
            try:
                if os.stat(os.path.join(directory, name)).st_ino == SUBVOLUME_ROOT:
                    found.append(name)
            except FileNotFoundError:  # a file that got its own name since
                pass
        return found

    # Each file is cloned.

    def check_files(self, src, dst, *arguments, source=None):
        paths = [self.pages(os.path.join(src, "large"), 768), self.pages(os.path.join(src, "small"), 8)]
        self.write(os.path.join(src, "quiet"), b"quiet" * 1000)
        self.write(os.path.join(src, "empty"), b"")
        end = [self.start_writer("cached", path) for path in paths]
        copies = [os.path.join(dst, os.path.basename(path)) for path in paths]
        moved = set()
        for _ in range(6):
            result = self.cli("sync", *arguments, source or src, dst)
            self.assertNotIn("changing", result.stderr)
            for copy in copies:
                self.assertOneInstant([copy], result)
            moved.add(self.numbers(copies[0]))
        self.assertGreater(len(moved), 1, "the writer was too slow to prove anything")
        for writer in end:
            writer()
        self.cli("sync", *arguments, source or src, dst)
        self.assertEqualTrees(src, dst)
        self.assertNoTemporaries(src)
        return result

    def test_files_of_xfs_are_cloned(self):
        src = os.path.join(self.file_system("xfs", "xfs"), "tree")
        os.makedirs(src)
        result = self.check_files(src, self.dst, "--snapshot")
        self.assertIn("no snapshot of the whole of", result.stderr)

    def test_files_of_btrfs_are_cloned_also_those_that_are_not_copied_on_write(self):
        src = self.subvolume(os.path.join(self.file_system("btrfs", "btrfs"), "tree"))
        for name in ("large", "small"):
            self.write(os.path.join(src, name), b"")
            subprocess.run(["chattr", "+C", os.path.join(src, name)], check=True)
        result = self.check_files(src, self.dst, "--snapshot-mode=files")
        self.assertEqual("", result.stderr)

    def test_files_are_cloned_beside_the_destination(self):
        where = self.file_system("xfs", "xfs")
        os.makedirs(os.path.join(where, "src"))
        self.check_files(os.path.join(where, "src"), os.path.join(where, "dst"), "--snapshot-mode=files")

    def test_files_of_an_agent_are_cloned(self):
        src = os.path.join(self.file_system("xfs", "xfs"), "tree")
        os.makedirs(src)
        agent = self.agent({"data": src})
        self.check_files(src, self.dst, "--snapshot-mode=files", source=agent.endpoint("data"))

    def test_files_of_a_shell_are_cloned(self):
        src = os.path.join(self.file_system("xfs", "xfs"), "tree")
        os.makedirs(src)
        self.check_files(src, self.dst, "--snapshot-mode=files", "-e", self.rsh, "--rsync-path=" + harness.AGENT, source="host:" + src)

    # The tree is.

    def tree(self):
        src = self.subvolume(os.path.join(self.file_system("btrfs", "btrfs"), "tree"))
        os.makedirs(os.path.join(src, "sub"))
        return src, [self.pages(os.path.join(src, name), 16) for name in ("a", "b", "sub/c")]

    def test_a_btrfs_tree_is_of_one_instant_and_left_as_it_was(self):
        src, paths = self.tree()
        copies = [os.path.join(self.dst, os.path.relpath(path, src)) for path in paths]
        os.utime(src, ns=(10**18, 10**18))
        end = self.start_writer("sync", *paths)
        moved = set()
        for _ in range(6):
            result = self.cli("sync", "--delete", "--snapshot-mode=tree", src, self.dst)
            self.assertEqual("", result.stderr)
            self.assertOneInstant(copies, result)
            moved.add(self.numbers(copies[0]))
        self.assertGreater(len(moved), 1, "the writer was too slow to prove anything")
        end()
        self.assertEqual([], self.snapshots_in(src))
        self.assertEqual(10**18, os.stat(src).st_mtime_ns)
        self.cli("sync", "--delete", "--snapshot", src, self.dst)
        self.assertEqualTrees(src, self.dst)

    def test_a_directory_of_a_subvolume_and_sources_that_are_removed(self):
        src, _ = self.tree()
        result = self.cli("sync", "--snapshot-mode=tree", "--remove-source-files", os.path.join(src, "sub"), self.dst)
        self.assertEqual(["c"], os.listdir(self.dst), result)
        self.assertEqual([], os.listdir(os.path.join(src, "sub")))

    def test_what_no_snapshot_would_hold_is_not_taken_for_deleted(self):
        src, _ = self.tree()
        inner = self.subvolume(os.path.join(src, "sub", "inner"))
        self.write(os.path.join(inner, "file"), b"kept")
        result = self.cli("sync", "--delete", "--snapshot", src, self.dst)
        self.assertIn("another subvolume begins below it, at sub/inner", result.stderr)
        self.assertEqualTrees(src, self.dst)
        self.cli("sync", "--delete", "--snapshot-mode=tree", src, self.dst, code=harness.SELECTION)
        self.assertEqualTrees(src, self.dst)
        # Only what lies below the source matters.
        beside = os.path.join(src, "beside")
        os.makedirs(beside)
        self.cli("sync", "--snapshot-mode=tree", beside, self.path("dst2"))
        point = os.path.join(beside, "point")
        os.makedirs(point)
        self._mount(["mount", "-t", "tmpfs", "tmpfs", point], point)
        result = self.cli("sync", "--snapshot-mode=tree", beside, self.path("dst2"), code=harness.SELECTION)
        self.assertIn("something is mounted below it", result.stderr)

    def test_an_agent_makes_snapshots_where_it_may_write_and_of_what_lies_in_its_root(self):
        src, _ = self.tree()
        agent = self.agent({"top": src, "sub": os.path.join(src, "sub"), "fixed": src + ":ro"})
        self.cli("sync", "--snapshot-mode=tree", agent.endpoint("top"), self.dst)
        self.assertEqualTrees(src, self.dst)
        self.cli("sync", "--snapshot-mode=tree", agent.endpoint("top", "sub"), self.path("dst2"))
        above = self.cli("sync", "--snapshot-mode=tree", agent.endpoint("sub"), self.path("dst3"), code=harness.SELECTION)
        self.assertIn("begins above the agent's root", above.stderr)
        fixed = self.cli("sync", "--snapshot", agent.endpoint("fixed"), self.path("dst3"), code=harness.SELECTION)
        self.assertIn("read-only", fixed.stderr)
        self.assertFalse(os.path.exists(self.path("dst3")))
        self.assertEqual([], self.snapshots_in(src) + self.snapshots_in(os.path.join(src, "sub")))

    # Neither can be.

    def test_where_neither_can_be_nothing_is_changed_or_it_is_told(self):
        src = os.path.join(self.file_system("ext4", "ext4"), "tree")
        self.small_tree(src, 20)
        for arguments in (["--snapshot"], ["--snapshot-mode=tree"], ["--snapshot-mode=files"]):
            result = self.cli("sync", *arguments, src, self.dst, code=harness.SELECTION)
            self.assertIn("no snapshot of " + src, result.stderr)
            self.assertIn("--snapshot-mode=auto", result.stderr)
            self.assertFalse(os.path.exists(self.dst))
        result = self.cli("sync", "--snapshot-mode=auto", src, self.dst)
        self.assertIn("files are read while others may write to them", result.stderr)
        self.assertEqualTrees(src, self.dst)
        # A run that changes nothing makes none.
        self.cli("sync", "-n", "--snapshot", src, self.path("dst2"))

    def test_a_file_that_cannot_be_cloned_is_a_problem_or_told(self):
        src = os.path.join(self.file_system("xfs", "xfs"), "tree")
        point = os.path.join(src, "point")
        os.makedirs(point)
        self._mount(["mount", "-t", "tmpfs", "tmpfs", point], point)
        self.write(os.path.join(point, "file"))
        self.write(os.path.join(src, "file"))
        result = self.cli("sync", "--snapshot", src, self.dst, code=harness.PARTIAL)
        self.assertIn("point/file", result.stderr)
        self.assertEqual(["file", "point"], sorted(os.listdir(self.dst)))
        result = self.cli("sync", "--snapshot-mode=auto", src, self.dst)
        self.assertEqual(1, result.stderr.count("cannot be cloned, are read"), result)
        self.assertEqualTrees(src, self.dst)

    def test_ursync_clones_files_of_operands(self):
        src = os.path.join(self.file_system("xfs", "xfs"), "tree")
        self.small_tree(src, 20)
        os.mkdir(src + "2")
        result = self.cli("-av", "--snapshot", src + "/", src + "2/", self.dst, program=harness.URSYNC)
        self.assertIn("one whole directory", result.stderr)
        self.assertEqualTrees(src, self.dst)

    # Kills.

    @staticmethod
    def children(pid):
        with open("/proc/%d/task/%d/children" % (pid, pid)) as file:
            return [int(word) for word in file.read().split()]

    def slow_run(self, src, dst):
        """A run that holds a snapshot of `src`."""
        process = self.start("sync", "--snapshot-mode=tree", "--bwlimit=10K", src, dst)
        harness.wait_until(lambda: process.poll() is not None or (self.snapshots_in(src) and os.path.exists(dst)), 60, "the snapshot")
        self.assertIsNone(process.poll())
        return process

    def test_what_a_killed_run_left_goes_with_the_next_one_and_what_lives_stays(self):
        src, _ = self.tree()
        self.write(os.path.join(src, "big"), os.urandom(1 << 20))
        os.utime(src, ns=(10**18, 10**18))
        process = self.slow_run(src, self.dst)
        # Another run from there, and one into it, leave it alone.
        self.cli("sync", src, self.path("dst2"))
        self.assertEqual(1, len(self.snapshots_in(src)))
        self.write(self.path("empty", "file"))
        self.cli("sync", self.path("empty"), os.path.join(src, "into"))
        self.cli("sync", "--no-times", self.path("empty"), src)
        os.utime(src, ns=(10**18, 10**18))
        self.assertEqual(1, len(self.snapshots_in(src)))
        agents = self.children(process.pid)
        self.assertNotEqual([], agents)
        for pid in agents + [process.pid]:
            os.kill(pid, signal.SIGKILL)
        process.wait()
        harness.wait_until(lambda: not any(harness.alive(pid) for pid in agents), 20, "the end of the agent")
        self.assertEqual(1, len(self.snapshots_in(src)), "killed, nobody removed it")
        # A dry run touches nothing, the next one removes it, whatever it was asked for.
        self.cli("sync", "-n", src, self.dst)
        self.assertEqual(1, len(self.snapshots_in(src)))
        self.cli("sync", src, self.dst)
        self.assertEqual([], self.snapshots_in(src))
        self.assertEqual(10**18, os.stat(src).st_mtime_ns)
        self.assertEqualTrees(src, self.dst)

    def test_a_destination_removes_what_a_killed_run_left_in_it(self):
        src, _ = self.tree()
        self.write(os.path.join(src, "big"), os.urandom(1 << 20))
        process = self.slow_run(src, self.dst)
        for pid in self.children(process.pid) + [process.pid]:
            os.kill(pid, signal.SIGKILL)
        process.wait()
        self.assertEqual(1, len(self.snapshots_in(src)))
        other = self.path("other")
        self.write(os.path.join(other, "file"))
        harness.wait_until(lambda: self.cli("sync", other, src) and not self.snapshots_in(src), 20, "the removal")
        self.assertNoTemporaries(src)

    def test_subvolumes_of_somebody_else_under_such_names_stay(self):
        src, _ = self.tree()
        names = [os.path.join(src, ".~uringsync~0123456789abcdef.%d.tmp" % number) for number in range(3)]
        other = self.subvolume(os.path.join(os.path.dirname(src), "other"))
        self.write(os.path.join(other, "precious"), b"precious")
        self.write(os.path.join(self.subvolume(names[0]), "precious"), b"precious")
        self.assertEqual(0, harness.run(["btrfs", "subvolume", "snapshot", "-r", other, names[1]]).code)
        self.subvolume(names[2])  # what a run leaves that is killed while it finds out whether it may make snapshots
        self.cli("sync", "--snapshot-mode=tree", src, self.dst)
        self.assertFalse(os.path.exists(names[2]))
        self.cli("sync", other, src)
        for name in names[:2]:
            with open(os.path.join(name, "precious"), "rb") as file:
                self.assertEqual(b"precious", file.read())

    def test_an_interrupted_run_removes_its_own(self):
        src, _ = self.tree()
        self.write(os.path.join(src, "big"), os.urandom(1 << 20))
        process = self.slow_run(src, self.dst)
        process.send_signal(signal.SIGINT)
        self.assertEqual(harness.INTERRUPTED, self.finish(process, 60).code)
        harness.wait_until(lambda: not self.snapshots_in(src), 20, "the removal")


if __name__ == "__main__":
    harness.main()
