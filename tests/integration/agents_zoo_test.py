#!/usr/bin/env python3
"""The same tree between two running agents over mutual TLS, between an agent and a local path, and within one agent."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import treecmp  # noqa: E402
import zoo  # noqa: E402


class AgentsZoo(harness.Case):
    def setUp(self):
        super().setUp()
        os.makedirs(self.path("pool-a"))
        os.makedirs(self.path("pool-b"))

    def make_zoo(self, **options):
        zoo.make(self.path("pool-a", "tree"), self.path("outside"), **options)
        return treecmp.snapshot(self.path("pool-a", "tree"))

    def check(self, source, src, dst, target):
        first = self.sync(src, dst, "--json").summary
        copied = treecmp.snapshot(target)
        self.assertSame(treecmp.compare(source, copied))
        self.assertNoTemporaries(self.path("pool-b"))
        second = self.sync(src, dst, "--json", "--delete").summary
        self.assertEqual((0, 0), (second["apply"]["bytes_moved"], second["plan"]["actions"]))
        self.assertSame(treecmp.touched(copied, treecmp.snapshot(target, content=False)), "the second run changed something")
        self.cli("verify", src, dst)
        return first

    def between_two_agents(self, backend):
        if backend == "uring" and not harness.uring_works():
            self.skipTest("io_uring cannot be set up here")
        source = self.make_zoo()
        a = self.agent({"data": self.path("pool-a") + ":ro"}, "--io-backend", backend)
        b = self.agent({"store": self.path("pool-b")}, "--io-backend", backend)
        first = self.check(source, a.endpoint("data", "tree"), b.endpoint("store", "copy"), self.path("pool-b", "copy"))
        self.assertEqual({"source": backend, "destination": backend}, first["io_backend"])
        self.assertGreater(first["apply"]["wire_bytes"], first["apply"]["bytes_moved"])
        self.assertEqual(0, a.stop(), a.output())
        self.assertEqual(0, b.stop(), b.output())

    def test_everything_crosses_between_two_agents_over_uring(self):
        self.between_two_agents("uring")

    def test_everything_crosses_between_two_agents_over_threads(self):
        self.between_two_agents("threads")

    def test_a_tree_is_pushed_to_an_agent_and_pulled_from_one(self):
        source = self.make_zoo(entries=500)
        agent = self.agent({"a": self.path("pool-a"), "b": self.path("pool-b")})
        self.check(source, self.path("pool-a", "tree"), agent.endpoint("b", "pushed"), self.path("pool-b", "pushed"))
        self.check(source, agent.endpoint("a", "tree"), self.path("pool-b", "pulled"), self.path("pool-b", "pulled"))

    def test_one_agent_is_both_ends_and_no_content_crosses_a_socket(self):
        source = self.make_zoo(entries=500)
        agent = self.agent({"a": self.path("pool-a"), "b": self.path("pool-b")})
        first = self.check(source, agent.endpoint("a", "tree"), agent.endpoint("b", "copy"), self.path("pool-b", "copy"))
        self.assertEqual(0, first["apply"]["wire_bytes"])

    def test_the_root_of_an_agent_is_itself_an_endpoint(self):
        source = self.make_zoo(entries=0, deep=False, huge=False)
        agent = self.agent({"tree": self.path("pool-a", "tree"), "store": self.path("pool-b")})
        self.sync(agent.endpoint("tree"), agent.endpoint("store"))
        self.assertSame(treecmp.compare(source, treecmp.snapshot(self.path("pool-b"))))

    def test_any_name_can_be_written_in_an_endpoint(self):
        os.makedirs(self.path("pool-a", "sp ace", "per%cent"))
        with open(self.path("pool-a", "sp ace", "per%cent", "f"), "w") as file:
            file.write("x")
        agent = self.agent({"a": self.path("pool-a"), "b": self.path("pool-b")})
        self.sync(agent.endpoint("a", "sp%20ace/per%25cent"), agent.endpoint("b", "new%0aline"))
        self.assertTrue(os.path.exists(self.path("pool-b", "new\nline", "f")))

    def test_one_agent_serves_several_runs_at_once(self):
        agent = self.agent({"a": self.path("pool-a"), "b": self.path("pool-b")})
        sources = {}
        for number in range(4):
            zoo.random_tree(self.path("pool-a", "t%d" % number), seed=number)
            sources[number] = treecmp.snapshot(self.path("pool-a", "t%d" % number))
        runs = [self.start("sync", agent.endpoint("a", "t%d" % n), agent.endpoint("b", "t%d" % n)) for n in sources]
        for process in runs:
            result = self.finish(process, 120)
            self.assertEqual(0, result.code, str(result))
        for number, source in sources.items():
            self.assertSame(treecmp.compare(source, treecmp.snapshot(self.path("pool-b", "t%d" % number))))


if __name__ == "__main__":
    harness.main()
