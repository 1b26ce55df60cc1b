#!/usr/bin/env python3
"""Two agents as two hosts: each in a network namespace of its own, joined by a veth pair that is cut in one test."""

import random
import shutil
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import treecmp  # noqa: E402
import zoo  # noqa: E402

ADDRESS_A, ADDRESS_B = "10.219.7.1", "10.219.7.2"
# After the cut the command has only its own patience to go by.
CUT_S = 90


class Namespaces(harness.Case):
    def setUp(self):
        super().setUp()
        if not harness.is_root() or not shutil.which("ip"):
            self.skipTest("network namespaces need root and iproute2")
        tag = "us%d" % os.getpid()
        self.a, self.b = tag + "a", tag + "b"
        for name in (self.a, self.b):
            made = harness.run(["ip", "netns", "add", name])
            if made.code:
                self.skipTest("no network namespaces here: %s" % made.stderr.strip())
            self.addCleanup(harness.run, ["ip", "netns", "del", name])
        made = harness.run(["ip", "link", "add", tag + "x", "netns", self.a, "type", "veth", "peer", "name", tag + "y", "netns", self.b])
        if made.code:
            self.skipTest("no veth here: %s" % made.stderr.strip())
        self.link_a, self.link_b = tag + "x", tag + "y"
        for name, link, address in ((self.a, self.link_a, ADDRESS_A), (self.b, self.link_b, ADDRESS_B)):
            for command in (["addr", "add", address + "/30", "dev", link], ["link", "set", link, "up"], ["link", "set", "lo", "up"]):
                self.ip(name, *command)
        os.makedirs(self.path("pool-a"))
        os.makedirs(self.path("pool-b"))
        self.certs = harness.Certificates(self.path("certs"), hosts="%s,%s" % (ADDRESS_A, ADDRESS_B))

    def ip(self, namespace, *arguments):
        result = harness.run(["ip", "-n", namespace] + list(arguments))
        self.assertEqual(0, result.code, str(result))

    def host(self, namespace, address, roots):
        return self.agent(roots, certificates=self.certs, listen=address, prefix=["ip", "netns", "exec", namespace])

    def in_namespace(self, *arguments, **options):
        return self.cli(*arguments, *self.certs.client, prefix=["ip", "netns", "exec", self.a], **options)

    def test_a_tree_crosses_between_two_hosts(self):
        zoo.make(self.path("pool-a", "tree"), entries=2000)
        source = treecmp.snapshot(self.path("pool-a", "tree"))
        a = self.host(self.a, ADDRESS_A, {"r": self.path("pool-a")})
        b = self.host(self.b, ADDRESS_B, {"r": self.path("pool-b")})
        first = self.in_namespace("sync", "--json", a.endpoint("r", "tree"), b.endpoint("r", "copy")).summary
        self.assertGreater(first["apply"]["bytes_moved"], 0)
        self.assertSame(treecmp.compare(source, treecmp.snapshot(self.path("pool-b", "copy"))))
        second = self.in_namespace("sync", "--json", a.endpoint("r", "tree"), b.endpoint("r", "copy")).summary
        self.assertEqual((0, 0), (second["plan"]["actions"], second["apply"]["bytes_moved"]))

    def test_a_link_that_is_cut_midway_ends_the_run_and_the_next_one_converges(self):
        rng = random.Random(5)
        os.makedirs(self.path("pool-a", "tree"))
        for number in range(60):
            with open(self.path("pool-a", "tree", "f%d" % number), "wb") as file:
                file.write(rng.randbytes(4 << 20))
        # A slow link, so that the cut falls into the run.
        shaped = harness.run(["ip", "netns", "exec", self.a, "tc", "qdisc", "add", "dev", self.link_a, "root", "tbf", "rate", "400mbit",
                              "burst", "64kb", "latency", "50ms"])
        a = self.host(self.a, ADDRESS_A, {"r": self.path("pool-a")})
        b = self.host(self.b, ADDRESS_B, {"r": self.path("pool-b")})
        endpoints = [a.endpoint("r", "tree"), b.endpoint("r", "copy")]
        process = self.spawn("sync", "--timeout", "10", *endpoints)
        harness.wait_until(lambda: process.poll() is not None or len(self.listing()) > 3, 60, "the first files")
        if process.poll() is not None and shaped.code:
            self.skipTest("the link cannot be slowed down here: %s" % shaped.stderr.strip())
        self.assertIsNone(process.poll(), "the run ended before the cut")
        self.ip(self.b, "link", "set", self.link_b, "down")
        result = self.finish(process, CUT_S)
        self.assertIn(result.code, (harness.PROTOCOL, harness.TIMEOUT), str(result))
        self.assertIn("destination", result.stderr)
        source = treecmp.snapshot(self.path("pool-a", "tree"))
        there = treecmp.snapshot(self.path("pool-b", "copy"))
        self.assertEqual([], [p for p, r in there.items() if r.digest and b".~uringsync~" not in p and r.digest != source[p].digest])
        self.ip(self.b, "link", "set", self.link_b, "up")
        self.in_namespace("sync", "--wait", "--delete", *endpoints)
        self.assertSame(treecmp.compare(source, treecmp.snapshot(self.path("pool-b", "copy"))))
        self.assertNoTemporaries(self.path("pool-b"))

    def drop_data_port(self, namespace, link, port):
        """Packets to `port` that come in over `link` vanish, as behind a firewall. Skips where the kernel cannot."""
        for command in (["rule", "add", "pref", "10", "lookup", "local"], ["rule", "del", "pref", "0"],
                        ["rule", "add", "pref", "1", "iif", link, "ipproto", "tcp", "dport", str(port), "blackhole"]):
            result = harness.run(["ip", "-n", namespace] + command)
            if result.code:
                self.skipTest("no rules by port here: %s" % result.stderr.strip())

    def test_a_data_port_that_drops_packets_is_named_in_bounded_time(self):
        os.makedirs(self.path("pool-a", "tree"))
        with open(self.path("pool-a", "tree", "file"), "w") as file:
            file.write("content")
        a = self.host(self.a, ADDRESS_A, {"r": self.path("pool-a")})
        b = self.host(self.b, ADDRESS_B, {"r": self.path("pool-b")})
        self.drop_data_port(self.a, self.link_a, a.data_port)
        # The destination connects to the source's data port, from the other host.
        result = self.in_namespace("sync", a.endpoint("r", "tree"), b.endpoint("r", "copy"), code=(harness.TIMEOUT, harness.PROTOCOL))
        self.assertIn("port %d" % a.data_port, result.stderr, str(result))
        self.assertLess(result.seconds, 40 * harness.SLOWNESS, str(result))
        # The source connects to the destination's: a command with a local source.
        result = self.cli("sync", self.path("pool-a", "tree"), a.endpoint("r", "other"), *self.certs.client,
                          prefix=["ip", "netns", "exec", self.b], code=(harness.TIMEOUT, harness.PROTOCOL))
        self.assertIn("port %d" % a.data_port, result.stderr, str(result))
        self.assertLess(result.seconds, 40 * harness.SLOWNESS, str(result))

    def listing(self):
        try:
            return [n for n in os.listdir(self.path("pool-b", "copy")) if not n.startswith(".~uringsync~")]
        except FileNotFoundError:
            return []

    def spawn(self, *arguments):
        process = harness.subprocess.Popen(["ip", "netns", "exec", self.a, harness.CLI, *arguments, *self.certs.client],
                                           stdin=harness.subprocess.DEVNULL, stdout=harness.subprocess.PIPE, stderr=harness.subprocess.PIPE)

        def end():
            if process.poll() is None:
                process.kill()
            process.communicate()
        self.addCleanup(end)
        return process


if __name__ == "__main__":
    harness.main()
