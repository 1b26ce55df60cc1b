#!/usr/bin/env python3
"""Processes are killed at random times of syncs of a random tree that changes: never anything torn, and the next run converges.

Each kill has a seed of its own, drawn from the one that is printed. URINGSYNC_TEST_SEED repeats that one (but for the instants), URINGSYNC_KILLS=N
kills N times, URINGSYNC_KILL_OBJECTS=N makes the tree larger.
"""

import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import treecmp  # noqa: E402
import wreck  # noqa: E402
import zoo  # noqa: E402

MIB = 1 << 20
KILLS = 10
OBJECTS = 500
SOON_S = 30
SIGKILLED = -9
# Of the time that a whole run takes.
LATEST = 1.1
LEVELS = ("batch", "batch", "file", "none")


class RandomKills(harness.Case):
    def setUp(self):
        super().setUp()
        for name in ("a", "b"):
            os.makedirs(self.path(name))
        self.agents = {}

    def agent_of(self, role):
        if role not in self.agents or self.agents[role].process.poll() is not None:
            self.agents[role] = self.agent({"r": self.path("a" if role == "source" else "b")}, "--session-hold", "0")
        return self.agents[role]

    def endpoints(self):
        return self.agent_of("source").endpoint("r", "tree"), self.agent_of("destination").endpoint("r", "tree")

    def tree(self, side):
        return treecmp.snapshot(self.path(side, "tree"))

    def change(self, rng):
        zoo.mutate(self.path("a", "tree"), rng.randrange(1 << 32), changes=OBJECTS // 8)
        for number in range(2):
            name = self.path("a", "tree", "large%d" % number)
            # The tree's changes may have made something else of it.
            harness.remove_tree(name)
            with open(name, "wb") as file:
                file.write(rng.randbytes(rng.randint(2 * MIB, 6 * MIB)))

    def strike(self, rng, duration):
        """A run in which somebody is killed. Whether that happened before its end."""
        victim = rng.choice(["source", "destination", "command"])
        endpoints = self.endpoints()
        process = self.start("sync", "-q", "--delete", "--wait", "--durability=" + rng.choice(LEVELS), *endpoints)
        time.sleep(rng.random() * duration * LATEST)
        running = process.poll() is None
        if victim == "command":
            process.kill()
        else:
            self.agents[victim].kill()
        result = self.finish(process, SOON_S)
        if running:
            self.assertIn(result.code, (0, SIGKILLED) if victim == "command" else (0, harness.PROTOCOL, harness.PARTIAL), str(result))
        return running, result

    def test_kills(self):
        seed = int(os.environ.get("URINGSYNC_TEST_SEED", random.SystemRandom().randrange(1 << 32)))
        print("URINGSYNC_TEST_SEED=%d" % seed)
        kills = int(os.environ.get("URINGSYNC_KILLS", KILLS))
        objects = int(os.environ.get("URINGSYNC_KILL_OBJECTS", OBJECTS))
        rng = random.Random(seed)
        zoo.random_tree(self.path("a", "tree"), rng.randrange(1 << 32), objects=objects)
        first = self.cli("sync", "--delete", *self.endpoints())
        duration, early = first.seconds, 0
        for number in range(kills):
            one = rng.randrange(1 << 32)
            turn = random.Random(one)
            context = "kill %d of %d, of URINGSYNC_TEST_SEED=%d" % (number + 1, kills, seed)
            self.change(turn)
            old, new = self.tree("b"), self.tree("a")
            running, result = self.strike(turn, duration)
            early += running
            context += "\n%s" % result
            harness.wait_unlocked(self.path("b", "tree"))
            self.assertSame(wreck.damage(old, new, self.tree("b")), context)
            if result.code == 0:
                self.assertSame(treecmp.compare(new, self.tree("b")), "exit 0\n" + context)
            # Now and then the next run is struck, too.
            if turn.random() < 0.3:
                continue
            started = time.monotonic()
            again = self.cli("sync", "--delete", "--wait", *self.endpoints())
            duration = max(time.monotonic() - started, duration / 2)
            self.assertSame(treecmp.compare(new, self.tree("b")), "%s\n%s" % (context, again))
            self.assertNoTemporaries(self.path("b"))
        self.cli("sync", "--delete", "--wait", *self.endpoints())
        self.assertSame(treecmp.compare(self.tree("a"), self.tree("b")), "at the end, URINGSYNC_TEST_SEED=%d" % seed)
        self.assertNoTemporaries(self.path("b"))
        print("%d kills, %d of them before the end of the run" % (kills, early))


if __name__ == "__main__":
    harness.main()
