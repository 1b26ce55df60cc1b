#!/usr/bin/env python3
"""Two agents with live indexes: what did not change is not looked at, and every change is found all the same."""

import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import treecmp  # noqa: E402

PATIENCE_S = 60
OLD = 1_000_000_000_000_000_123


class Index(harness.Case):
    def setUp(self):
        super().setUp()
        self.src, self.dst = self.path("pool-a", "tree"), self.path("pool-b", "copy")
        os.makedirs(self.path("pool-b"))
        for directory in range(20):
            for below in ("", "deep", os.path.join("deep", "deeper")):
                path = os.path.join(self.src, "d%02d" % directory, below)
                os.makedirs(path)
                for file in range(5):
                    self.write(os.path.join(path, "f%d" % file), b"contents %d" % file)
        for path, _, _ in os.walk(self.src, topdown=False):
            os.utime(path, ns=(OLD, OLD))

    def write(self, path, content):
        with open(path, "wb") as file:
            file.write(content)
        os.utime(path, ns=(OLD, OLD))

    def start(self, *arguments):
        self.a = self.agent({"data": self.path("pool-a")}, "--index", *arguments)
        self.b = self.agent({"store": self.path("pool-b")}, "--index", *arguments)
        self.ends = (self.a.endpoint("data", "tree"), self.b.endpoint("store", "copy"))

    def plan(self, *arguments):
        return self.sync(*self.ends, "--json", "--delete", *arguments).summary["plan"]

    def settle(self):
        """Runs until the indexes agree on a seed and answer for everything."""
        last = {}

        def told():
            last.update(self.plan())
            return last["actions"] == 0 and last["told_by_index"] == last["source_objects"]
        harness.wait_until(told, PATIENCE_S, "answers of the indexes")
        return last

    def check_found(self, what, change, objects=1):
        with self.subTest(what):
            self.settle()
            change()
            plan = self.plan()
            self.assertGreaterEqual(plan["actions"], objects)
            self.assertGreater(plan["told_by_index"], 0, "nothing was left out")
            self.assertSame(treecmp.compare(treecmp.snapshot(self.src), treecmp.snapshot(self.dst)))

    def test_every_change_is_found_and_the_rest_is_not_looked_at(self):
        self.start()
        self.assertEqual(0, self.plan()["told_by_index"])
        file = os.path.join(self.src, "d03", "deep", "f1")
        self.check_found("contents of the same length", lambda: self.rewrite(file, b"CONTENTS 1"))
        self.check_found("delete", lambda: os.unlink(os.path.join(self.src, "d04", "f0")))
        self.check_found("rename", lambda: os.rename(os.path.join(self.src, "d05", "f0"), os.path.join(self.src, "d05", "renamed")))
        self.check_found("mode", lambda: os.chmod(os.path.join(self.src, "d06", "deep", "f0"), 0o600))
        self.check_found("mode of a directory", lambda: os.chmod(os.path.join(self.src, "d06", "deep"), 0o700))
        self.check_found("directory moved", lambda: os.rename(os.path.join(self.src, "d07", "deep"), os.path.join(self.src, "d08", "moved")))
        self.check_found("change in the moved directory", lambda: self.write(os.path.join(self.src, "d08", "moved", "deeper", "new"), b"1"))
        self.check_found("new tree", lambda: shutil.copytree(os.path.join(self.src, "d09"), os.path.join(self.src, "d09-copy")))
        self.check_found("tree deleted", lambda: shutil.rmtree(os.path.join(self.src, "d09-copy")))
        self.check_found("destination changed", lambda: self.write(os.path.join(self.dst, "d10", "stranger"), b"1"))
        self.check_found("destination's file touched", lambda: os.utime(os.path.join(self.dst, "d11", "f2"), (5, 5)))
        with open(os.path.join(self.src, "d12", "f3"), "r+b") as held:
            self.check_found("write through an open descriptor", lambda: (held.write(b"through an open descriptor"), held.flush()))
        if keeps_attributes(file):
            self.check_found("attribute", lambda: os.setxattr(file, "user.note", b"new"))

    def rewrite(self, path, content):
        with open(path, "r+b") as file:
            file.write(content)

    def test_a_session_that_asks_for_more_looks_at_everything(self):
        self.start()
        self.settle()
        self.assertEqual(0, self.plan("--no-index")["told_by_index"])
        self.assertEqual(0, self.plan("--checksum")["told_by_index"])
        self.assertEqual(0, self.plan("--atimes")["told_by_index"])
        self.cli("verify", *self.ends)

    def test_hard_links_are_always_looked_at(self):
        os.link(os.path.join(self.src, "d01", "f0"), os.path.join(self.src, "d02", "link"))
        self.start()
        plan = {}

        def told():
            plan.update(self.plan())
            return plan["actions"] == 0 and plan["told_by_index"] > 0
        harness.wait_until(told, PATIENCE_S, "answers of the indexes")
        self.assertLess(plan["told_by_index"], plan["source_objects"])
        self.rewrite(os.path.join(self.src, "d02", "link"), b"both names")
        self.plan()
        self.assertSame(treecmp.compare(treecmp.snapshot(self.src), treecmp.snapshot(self.dst)))

    def test_more_changes_than_events_are_queued_lose_nothing(self):
        self.start()
        self.settle()
        many = os.path.join(self.src, "many")
        os.mkdir(many)
        for number in range(40000):
            os.close(os.open(os.path.join(many, str(number)), os.O_CREAT | os.O_WRONLY))
        os.unlink(os.path.join(self.src, "d01", "f0"))
        self.plan()
        self.assertEqual(sorted(os.listdir(many)), sorted(os.listdir(os.path.join(self.dst, "many"))))
        self.assertFalse(os.path.exists(os.path.join(self.dst, "d01", "f0")))

    def test_an_index_without_memory_is_off_and_says_so(self):
        self.start("--index-memory", "0")
        self.plan()
        harness.wait_until(lambda: "takes more than" in self.a.output(), PATIENCE_S, "the log line")
        self.assertEqual(0, self.plan()["told_by_index"])


def keeps_attributes(path):
    try:
        os.setxattr(path, "user.probe", b"1")
        return True
    except OSError:
        return False


if __name__ == "__main__":
    harness.main()
