#!/usr/bin/env python3
"""Syncs between two agents over a network that cuts, stalls, delays, trickles and flips bits, at places drawn from a seed.

Relays stand before the control port of each agent and before the source's data port. A run that is cut goes on; where it
does not, it says so and the next one converges. URINGSYNC_TEST_SEED repeats a run, URINGSYNC_NETWORK_SEEDS takes more.
"""

import os
import random
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import fault_relay  # noqa: E402
import harness  # noqa: E402
import treecmp  # noqa: E402
from fault_relay import Cut, Flip, Slow, Stall  # noqa: E402
from faulty_network import NEAR, SOON_S, FaultyNetwork, make_tree  # noqa: E402

# What TLS takes before the first message; the first connection is followed by one that looks for what is wrong.
HANDSHAKE = 8000
SEEDS = int(os.environ.get("URINGSYNC_NETWORK_SEEDS", "3"))


class NetworkFaults(FaultyNetwork):
    def cuts(self, rng, connections, most):
        """Faults for the first connections of a relay, anywhere, both ways; the one that looks for a reason is left alone."""
        drawn = {}
        for number in range(connections):
            way = rng.choice((fault_relay.UP, fault_relay.DOWN, None))
            drawn[number] = [Cut(rng.randrange(most), way, reset=rng.random() < 0.5)]
        if drawn and drawn[0][0].after < HANDSHAKE:
            drawn[1] = []
        return lambda number: drawn.get(number, [])

    def test_cuts_anywhere_are_ridden_out(self):
        make_tree(self.path("a", "tree"), random.Random(self.seed))
        cuts = 0
        for turn in range(SEEDS):
            rng = random.Random("%d cuts %d" % (self.seed, turn))
            self.control.on_connection = self.cuts(rng, rng.randrange(1, 4), 60_000)
            self.orders.on_connection = self.cuts(rng, rng.randrange(1, 4), 90_000)
            self.data.on_connection = self.cuts(rng, rng.randrange(8), 4_000_000)
            for relay in self.relays:
                relay.accepted = relay.cuts = 0
            copy = "copy%d" % turn
            result = self.finish(self.start_sync("--timeout", "30", copy=copy), SOON_S)
            context = "turn %d of URINGSYNC_TEST_SEED=%d\n%s\n%s" % (turn, self.seed, result, self.destination.output()[-3000:])
            self.assertEqual(0, result.code, context)
            self.assertEqualTrees(copy, context)
            cuts += sum(relay.cuts for relay in self.relays)
        print("%d cuts" % cuts)
        self.assertGreater(cuts, SEEDS)

    def test_flipped_bits_never_make_a_wrong_file(self):
        make_tree(self.path("a", "tree"), random.Random(self.seed))
        flips = ended = 0
        for turn in range(SEEDS):
            rng = random.Random("%d flips %d" % (self.seed, turn))
            for relay, most in ((self.control, 60_000), (self.orders, 90_000), (self.data, 3_000_000)):
                drawn = {0: [Flip(rng.randrange(HANDSHAKE, most), rng.choice((fault_relay.UP, fault_relay.DOWN)), rng.randrange(8))],
                         2: [Flip(rng.randrange(most), rng.choice((fault_relay.UP, fault_relay.DOWN)), rng.randrange(8))]}
                relay.on_connection = lambda number, drawn=drawn: drawn.get(number, [])
                relay.accepted = relay.flips = 0
            copy = "copy%d" % turn
            result = self.finish(self.start_sync("--timeout", "30", copy=copy), SOON_S)
            context = "turn %d of URINGSYNC_TEST_SEED=%d\n%s" % (turn, self.seed, result)
            self.assertNothingWrong(copy, context)
            flips += sum(relay.flips for relay in self.relays)
            if result.code != 0:
                ended += 1
                self.assertTrue(result.stderr.strip(), context)
                self.calm()
                self.finish(self.start_sync("--wait", copy=copy), SOON_S)
            self.assertEqualTrees(copy, context)
        print("%d flipped bits, %d runs ended by them" % (flips, ended))
        self.assertGreater(flips, 0)

    def test_a_control_stream_that_stalls_half_open_is_replaced(self):
        make_tree(self.path("a", "tree"), random.Random(self.seed))
        rng = random.Random("%d stalls" % self.seed)
        for relay, way in ((self.control, fault_relay.DOWN), (self.orders, fault_relay.UP)):
            drawn = {0: [Stall(rng.randrange(HANDSHAKE, 16_000), way)]}
            relay.on_connection = lambda number, drawn=drawn: drawn.get(number, [])
        result = self.finish(self.start_sync("--timeout", "9", "--json"), SOON_S)
        self.assertEqual(0, result.code, str(result))
        self.assertEqualTrees(context=str(result))
        stalled = self.control.stalls + self.orders.stalls
        self.assertGreater(stalled, 0)
        states = [event["state"] for event in result.events if event["event"] == "connection"]
        self.assertEqual(stalled, states.count("lost"), str(result))
        self.assertEqual(stalled, states.count("regained"), str(result))

    def test_a_far_and_trickling_way_only_takes_longer(self):
        make_tree(self.path("a", "tree"), random.Random(self.seed), files=60, large=1)
        for relay in self.relays:
            relay.on_connection = lambda number: [Slow(delay=0.02, piece=1500 if relay is self.data else 200)]
        result = self.finish(self.start_sync("--json"), SOON_S)
        self.assertEqual(0, result.code, str(result))
        self.assertEqualTrees(context=str(result))
        self.assertEqual([], [event for event in result.events if event["event"] == "connection"], str(result))

    def test_a_recorded_connection_played_again_changes_nothing(self):
        for relay in self.relays:
            relay.record_limit = 1 << 20
        make_tree(self.path("a", "tree"), random.Random(self.seed), files=50, large=1)
        self.assertEqual(0, self.finish(self.start_sync(), SOON_S).code)
        before = treecmp.snapshot(self.path("b"))
        played = 0
        for relay in self.relays:
            for recorded in relay.recorded.values():
                with socket.create_connection((NEAR, relay.port), 5) as again:
                    again.settimeout(5)
                    try:
                        again.sendall(recorded)
                        again.shutdown(socket.SHUT_WR)
                        while again.recv(4096):
                            pass
                    except OSError:
                        pass  # hung up on, as it should be
                played += 1
        self.assertGreater(played, 2)
        self.assertSame(treecmp.compare(before, treecmp.snapshot(self.path("b"))))
        result = self.finish(self.start_sync("--json"), SOON_S)
        self.assertEqual((0, 0), (result.code, result.summary["plan"]["actions"]), str(result))


if __name__ == "__main__":
    harness.main()
