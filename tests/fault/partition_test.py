#!/usr/bin/env python3
"""Two hosts whose link goes down in the middle of a run, and comes back within the time that the run rides out."""

import os
import random
import shutil
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import treecmp  # noqa: E402
from faulty_network import SOON_S, make_tree  # noqa: E402


class Partition(harness.Case):
    """Two agents in network namespaces of their own, whose link goes down for a while."""

    A, B = "10.219.8.1", "10.219.8.2"

    def setUp(self):
        super().setUp()
        if not harness.is_root() or not shutil.which("ip"):
            self.skipTest("network namespaces need root and iproute2")
        tag = "uf%d" % os.getpid()
        self.a, self.b, self.link_a, self.link_b = tag + "a", tag + "b", tag + "x", tag + "y"
        for name in (self.a, self.b):
            made = harness.run(["ip", "netns", "add", name])
            if made.code:
                self.skipTest("no network namespaces here: %s" % made.stderr.strip())
            self.addCleanup(harness.run, ["ip", "netns", "del", name])
        made = harness.run(["ip", "link", "add", self.link_a, "netns", self.a, "type", "veth", "peer", "name", self.link_b, "netns", self.b])
        if made.code:
            self.skipTest("no veth here: %s" % made.stderr.strip())
        for name, link, address in ((self.a, self.link_a, self.A), (self.b, self.link_b, self.B)):
            for command in (["addr", "add", address + "/30", "dev", link], ["link", "set", link, "up"], ["link", "set", "lo", "up"]):
                self.ip(name, *command)
        self._certificates = harness.Certificates(self.path("certs"), hosts="%s,%s" % (self.A, self.B))

    def ip(self, namespace, *arguments):
        result = harness.run(["ip", "-n", namespace] + list(arguments))
        self.assertEqual(0, result.code, str(result))

    def test_a_partition_within_the_time_is_ridden_out(self):
        rng = random.Random(3)
        make_tree(self.path("a", "tree"), rng, files=200, large=8)
        os.makedirs(self.path("b"))
        agents = [self.agent({"r": self.path(name)}, listen=address, prefix=["ip", "netns", "exec", namespace])
                  for name, address, namespace in (("a", self.A, self.a), ("b", self.B, self.b))]
        command = ["ip", "netns", "exec", self.a, harness.CLI, "sync", "--timeout", "15", "--bwlimit=6m", "--json",
                   agents[0].endpoint("r", "tree"), agents[1].endpoint("r", "copy"), *self.certificates().client]
        process = self.start(*command[1:], program=command[0])
        copied = lambda: sum(len(names) for _, _, names in os.walk(self.path("b", "copy")))  # noqa: E731
        harness.wait_until(lambda: process.poll() is not None or copied() > 5, 60, "the first files")
        self.assertIsNone(process.poll(), "the run ended before the cut")
        self.ip(self.b, "link", "set", self.link_b, "down")
        time.sleep(8)  # longer than an agent may be silent before its connection counts as lost
        self.ip(self.b, "link", "set", self.link_b, "up")
        result = self.finish(process, SOON_S)
        self.assertEqual(0, result.code, "%s\n%s" % (result, agents[1].output()))
        states = [(event["state"], event["side"]) for event in result.events if event["event"] == "connection"]
        self.assertIn(("lost", "destination"), states, str(result))
        self.assertIn(("regained", "destination"), states, str(result))
        self.assertSame(treecmp.compare(treecmp.snapshot(self.path("a", "tree")), treecmp.snapshot(self.path("b", "copy"))), str(result))
        self.assertNoTemporaries(self.path("b"))


if __name__ == "__main__":
    harness.main()
