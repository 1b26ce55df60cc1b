"""What the tests of a bad network share: two agents on loopback, with relays before their ports, and a tree to move.

    class Cuts(faulty_network.FaultyNetwork):
        def test_one(self):
            process = self.slow_run()
            self.orders.cut()                      # connections to the destination's control port
            result = self.finish(process, faulty_network.SOON_S)
"""

import os
import random
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import fault_relay  # noqa: E402
import harness  # noqa: E402
import treecmp  # noqa: E402

NEAR, SOURCE, DESTINATION = "127.0.0.1", "127.0.0.2", "127.0.0.3"
SOON_S = 60


def make_tree(top, rng, files=600, large=4):
    for number in range(files):
        path = os.path.join(top, "d%02d" % (number % 17), "file-with-a-name-of-some-length-%d" % number)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(rng.randbytes(rng.randrange(3000)))
    for number in range(large):
        with open(os.path.join(top, "large%d" % number), "wb") as file:
            file.write(rng.randbytes(3 << 20))


class FaultyNetwork(harness.Case):
    """Two agents, and a relay before each port that somebody connects to."""

    def setUp(self):
        super().setUp()
        self.seed = int(os.environ.get("URINGSYNC_TEST_SEED", random.SystemRandom().randrange(1 << 32)))
        print("URINGSYNC_TEST_SEED=%d" % self.seed)
        os.makedirs(self.path("a", "tree"))
        os.makedirs(self.path("b"))
        self._certificates = harness.Certificates(self.path("certs"), hosts=",".join(("localhost", NEAR, SOURCE, DESTINATION)))
        self.source = self.agent({"r": self.path("a")})
        self.destination = self.agent({"r": self.path("b")})
        self.control = self.relay(SOURCE, self.source.port)
        self.data = self.relay(SOURCE, self.source.data_port)
        self.orders = self.relay(DESTINATION, self.destination.port)
        self.relays = (self.control, self.data, self.orders)

    def relay(self, host, port):
        try:
            relay = fault_relay.FaultRelay(host, port, NEAR, port)
        except OSError as error:
            self.skipTest("no second address on the loopback here: %s" % error)
        self.addCleanup(relay.close)
        return relay

    def endpoints(self, copy="copy"):
        return ["agent://%s:%d/r/tree" % (SOURCE, self.control.port), "agent://%s:%d/r/%s" % (DESTINATION, self.orders.port, copy)]

    def calm(self):
        for relay in self.relays:
            relay.on_connection = lambda number: []
            relay.refuse(False)
            relay.thaw()

    def start_sync(self, *arguments, copy="copy"):
        return self.start("sync", *arguments, *self.endpoints(copy))

    def assertEqualTrees(self, copy="copy", context=""):
        self.assertSame(treecmp.compare(treecmp.snapshot(self.path("a", "tree")), treecmp.snapshot(self.path("b", copy))), context)
        self.assertNoTemporaries(self.path("b"))

    def assertNothingWrong(self, copy, context):
        """Every file that is there under its name is the source's."""
        wanted = treecmp.snapshot(self.path("a", "tree"))
        there = treecmp.snapshot(self.path("b", copy)) if os.path.exists(self.path("b", copy)) else {}
        wrong = [treecmp.show(p) for p, r in there.items() if r.digest and b".~uringsync~" not in p and (p not in wanted or r.digest != wanted[p].digest)]
        self.assertSame(wrong, context)

    def slow_run(self, *arguments):
        """A run that takes some five seconds more, once its first MiB has come."""
        make_tree(self.path("a", "tree"), random.Random(self.seed), files=200, large=4)
        process = self.start_sync("--bwlimit=2m", *arguments)
        harness.wait_until(lambda: process.poll() is not None or self.data.passed > 1 << 20, 60, "the first contents")
        self.assertIsNone(process.poll(), "the run ended before it could be hit")
        return process
