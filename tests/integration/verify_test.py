#!/usr/bin/env python3
"""verify, prove, verify --proof and sync --verify=readback: what differs is found, and what is equal is called so."""

import os
import stat
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import zoo  # noqa: E402


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)


def keep_times(path, change):
    status = os.lstat(path)
    change()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns), follow_symlinks=False)


class Proofs(harness.Case):
    """A tree is proven, something happens to it, and the proof tells."""

    def setUp(self):
        super().setUp()
        self.tree, self.proof = self.path("tree"), self.path("proof")
        write(os.path.join(self.tree, "a", "one"), b"one")
        write(os.path.join(self.tree, "a", "x y\n\xc3\xa9"), b"odd name")
        write(os.path.join(self.tree, "a.b", "two"), b"two" * 100000)
        os.symlink("a/one", os.path.join(self.tree, "link"))
        os.mkfifo(os.path.join(self.tree, "pipe"))

    def prove(self, *options, code=harness.OK):
        return self.cli("prove", self.tree, "--out", self.proof, *options, code=code)

    def check(self, *options, code=harness.OK, tree=None):
        return self.cli("verify", "--proof", self.proof, *options, tree or self.tree, code=code)

    def changed(self, *lines):
        told = self.check(code=harness.PARTIAL).stdout.splitlines()
        self.assertEqual(sorted(lines), sorted(told[:-1]))

    def test_the_same_tree_is_the_same(self):
        digest = self.prove().stdout.split()[-1]
        self.assertEqual(64, len(digest))
        self.assertIn("the tree is the same", self.check().stdout)
        self.assertEqual(digest, self.check("--json").events[-1]["sha256"])
        with open(self.proof, "rb") as file:
            self.assertTrue(file.read().endswith(b"sha256 " + digest.encode() + b"\n"))
        self.assertEqual(0o600, stat.S_IMODE(os.stat(self.proof).st_mode))

    def test_a_copy_is_the_same_without_its_source(self):
        self.prove()
        self.sync(self.tree, self.path("copy"))
        harness.remove_tree(self.tree)
        self.check(tree=self.path("copy"))

    def test_every_kind_of_change_is_told_by_its_name(self):
        self.prove()
        one = os.path.join(self.tree, "a", "one")
        keep_times(one, lambda: write(one, b"enO"))
        self.changed("changed: a/one  (content)")
        os.chmod(one, 0o600)
        os.utime(one, (1, 1))
        self.changed("changed: a/one  (content, mode, mtime)")
        self.check("--no-perms", "--no-times", code=harness.PARTIAL)
        write(os.path.join(self.tree, "new"), b"")
        os.utime(self.tree, (1, 1))
        os.unlink(os.path.join(self.tree, "pipe"))
        self.changed("changed: .  (mtime)", "changed: a/one  (content, mode, mtime)", "extra: new", "missing: pipe")
        events = self.check("--json", code=harness.PARTIAL).events
        self.assertIn({"event": "difference", "kind": "missing", "path": "pipe", "fields": []}, events)
        self.assertEqual((8, 1, 1, 2, 23), tuple(events[-1][key] for key in ("objects", "missing", "extra", "changed", "exit_code")))

    def test_a_changed_link_and_attribute_are_told(self):
        one = os.path.join(self.tree, "a", "one")
        try:
            os.setxattr(one, "user.colour", b"red")
        except OSError as error:
            self.skipTest("no extended attributes here: %s" % error)
        self.prove()
        os.setxattr(one, "user.colour", b"blue")
        link = os.path.join(self.tree, "link")
        status = os.stat(self.tree)
        mtime = os.lstat(link).st_mtime_ns
        os.unlink(link)
        os.symlink("a/two", link)
        os.utime(link, ns=(mtime, mtime), follow_symlinks=False)
        os.utime(self.tree, ns=(status.st_atime_ns, status.st_mtime_ns))
        self.changed("changed: a/one  (attributes)", "changed: link  (target)")

    def test_the_whole_zoo_is_proven_and_checked(self):
        harness.remove_tree(self.tree)
        zoo.make(self.tree, entries=300, huge=False)
        self.prove()
        self.check()

    def test_a_damaged_proof_is_refused_before_anything_is_compared(self):
        self.prove()
        with open(self.proof, "rb") as file:
            text = file.read()
        for damaged, word in ((text[:-1], "ends early"), (text[: len(text) // 2], "damaged"), (text + b"x", "follows its end"),
                              (text.replace(b" 3 ", b" 4 ", 1), "damaged"), (b"", "no proof"), (b"hello\n", "no proof"),
                              (text.replace(b"format 1", b"format 9", 1), "format 9")):
            write(self.proof, damaged)
            result = self.check(code=harness.FILE_IO if word in ("ends early", "damaged", "follows its end") else harness.USAGE)
            self.assertIn(word, result.stderr)
            self.assertIn(self.proof, result.stderr)
            self.assertEqual("", result.stdout)

    def test_only_a_proof_is_written_over(self):
        write(self.proof, b"precious")
        self.assertIn("no proof", self.prove(code=harness.USAGE).stderr)
        with open(self.proof, "rb") as file:
            self.assertEqual(b"precious", file.read())
        os.unlink(self.proof)
        self.prove()
        self.prove()
        self.check()

    def test_rules_stand_in_the_proof(self):
        write(os.path.join(self.tree, "a", "x.o"), b"object")
        self.prove("--exclude=*.o", "--filter=- /pipe")
        keep_times(os.path.join(self.tree, "a"), lambda: os.unlink(os.path.join(self.tree, "a", "x.o")))
        self.check()
        self.assertIn("--exclude", self.check("--exclude=*.c", code=harness.USAGE).stderr)

    def test_options_that_mean_nothing_are_refused(self):
        self.prove()
        self.assertIn("--allow-extra", self.check("--allow-extra", code=harness.USAGE).stderr)
        self.assertIn("--out", self.cli("prove", self.tree, code=harness.USAGE).stderr)
        self.assertIn("DIR", self.cli("prove", "--out", self.proof, code=harness.USAGE).stderr)
        inside = os.path.join(self.tree, "proof")
        self.assertIn("outside", self.cli("prove", self.tree, "--out", inside, code=harness.USAGE).stderr)
        self.assertFalse(os.path.exists(inside))
        self.assertIn("unexpected", self.check(self.tree, code=harness.USAGE).stderr)
        self.assertIn("--no-xattrs", self.check("--no-xattrs", code=harness.USAGE).stderr)

    def test_what_cannot_be_read_makes_no_proof(self):
        if harness.is_root():
            self.skipTest("root reads everything")
        os.chmod(os.path.join(self.tree, "a", "one"), 0)
        self.assertIn("a/one", self.prove(code=harness.PARTIAL).stderr)
        self.assertFalse(os.path.exists(self.proof))

    def test_a_missing_tree_is_told(self):
        self.assertIn("No such file", self.cli("prove", self.path("nothing"), "--out", self.proof, code=harness.SELECTION).stderr)
        self.assertFalse(os.path.exists(self.proof))

    def test_through_a_running_agent(self):
        agent = self.agent({"data": self.tree})
        endpoint = agent.endpoint("data")
        client = self.certificates().client
        self.cli("prove", *client, endpoint, "--out", self.proof)
        self.check()
        self.cli("verify", *client, "--proof", self.proof, endpoint)
        write(os.path.join(self.tree, "a", "one"), b"two")
        self.assertIn("a/one", self.cli("verify", *client, "--proof", self.proof, endpoint, code=harness.PARTIAL).stdout)


class LiveTrees(harness.Case):
    """verify while the trees are in use."""

    def test_a_file_that_is_written_all_the_time_is_told_as_changing(self):
        src, dst = self.path("src"), self.path("dst")
        for name in ("quiet", "busy", "odd"):
            write(os.path.join(src, name), name.encode() * 1000)
        self.sync(src, dst)
        keep_times(os.path.join(dst, "odd"), lambda: write(os.path.join(dst, "odd"), b"ODD" * 1000))
        stop = threading.Event()
        busy = os.path.join(src, "busy")

        def scribble():
            number = 0
            with open(busy, "r+b", buffering=0) as file:
                while not stop.is_set():
                    number += 1
                    file.seek(0)
                    file.write(b"%012d" % number)

        writer = threading.Thread(target=scribble)
        writer.start()
        try:
            # Where the writer gets no turn between the two looks the file is not changing: then once more.
            for _ in range(50):
                result = self.cli("verify", "--json", src, dst, code=harness.PARTIAL)
                if result.summary["problems"]["changing"]:
                    break
        finally:
            stop.set()
            writer.join()
        found = {event["path"]: event["outcome"] for event in result.events if event["event"] == "action"}
        self.assertEqual({"busy": "changing", "odd": "planned"}, found, result)
        self.assertEqual((1, 1), (result.summary["problems"]["differing"], result.summary["problems"]["changing"]))
        text = self.cli("verify", src, dst, code=harness.PARTIAL)
        self.assertIn("(content", text.stdout)


class Readback(harness.Case):
    """sync --verify=readback on real file systems."""

    def setUp(self):
        super().setUp()
        self.src = self.path("src")
        for number in range(20):
            write(os.path.join(self.src, "small-%d" % number), b"%d" % number * 700)
        write(os.path.join(self.src, "large"), os.urandom(1 << 16) * 80)
        with open(os.path.join(self.src, "sparse"), "wb") as file:
            file.seek(5 << 20)
            file.write(b"end")

    def test_everything_is_read_again(self):
        for backend in harness.BACKENDS:
            if backend == "uring" and not harness.uring_works():
                continue
            dst = self.path("dst-" + backend)
            summary = self.sync(self.src, dst, "--json", "--verify=readback", "--io-backend", backend).summary
            self.assertEqual((22, 0), (summary["apply"]["files_verified"], summary["apply"]["files_restaged"]))
            self.cli("verify", self.src, dst)
            again = self.sync(self.src, dst, "--json", "--verify=readback", "--io-backend", backend).summary
            self.assertEqual(0, again["apply"]["files_verified"])

    def test_without_it_nothing_is(self):
        summary = self.sync(self.src, self.path("dst"), "--json", "--verify=none").summary
        self.assertEqual(0, summary["apply"]["files_verified"])

    def test_a_file_system_in_memory_is_told_once(self):
        if not harness.is_root():
            self.skipTest("needs root to mount")
        into = self.tmpfs("64m", "memory")
        result = self.cli("sync", "--verify=readback", self.src, into)
        self.assertEqual(1, (result.stdout + result.stderr).count("readback: tmpfs"), result)

    def test_a_block_file_system_says_nothing(self):
        if not harness.is_root():
            self.skipTest("needs root to mount")
        for kind in ("ext4", "xfs", "btrfs"):
            into = self.loop_mount(kind, 400, kind)
            result = self.cli("sync", "--json", "--verify=readback", self.src, os.path.join(into, "d"))
            self.assertNotIn("readback", result.stderr)
            self.assertEqual([], [event for event in result.events if event["event"] == "notice"], result)
            self.assertEqual(22, result.summary["apply"]["files_verified"])

    def test_ursync_knows_it_and_clones_are_no_way_around(self):
        dst = self.path("dst")
        harness.run([harness.URSYNC, "-a", "--verify=readback", self.src + "/", dst])
        self.cli("verify", self.src, dst)
        self.assertIn("--reflink", self.cli("sync", "--verify=readback", "--reflink=always", self.src, self.path("x"), code=harness.USAGE).stderr)
        self.assertIn("readback", self.cli("sync", "--verify=twice", self.src, self.path("x"), code=harness.USAGE).stderr)


if __name__ == "__main__":
    harness.main()
