#!/usr/bin/env python3
"""How contents travel: compressed, at a limited rate, in the background. Whatever is chosen, the copy is the same."""

import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import treecmp  # noqa: E402
import zoo  # noqa: E402

IOPRIO_CLASS_IDLE = 3


def prose(size):
    line = b"".join(b"line %d of what somebody has written down\n" % number for number in range(2000))
    return (line * (size // len(line) + 1))[:size]


class Transfer(harness.Case):
    def setUp(self):
        super().setUp()
        os.makedirs(self.path("pool"))

    def pair(self, *arguments):
        return self.agent({"src": self.path("src") + ":ro"}, *arguments), self.agent({"pool": self.path("pool")}, *arguments)

    def fill(self):
        """Prose and noise, small and large; returns the bytes of all contents."""
        os.makedirs(self.path("src"))
        noise = random.Random(5).randbytes(1 << 20)
        total = 0
        for number in range(300):
            with open(self.path("src", "small-%d" % number), "wb") as file:
                total += file.write(prose(100 + 97 * number))
        for name, content in (("prose", prose(12 << 20)), ("noise", noise * 6), ("both", prose(2 << 20) + noise + prose(1 << 20))):
            with open(self.path("src", name), "wb") as file:
                total += file.write(content)
        return total

    def compare(self, copy):
        self.assertSame(treecmp.compare(treecmp.snapshot(self.path("src")), treecmp.snapshot(self.path("pool", copy))))

    def test_a_zoo_arrives_the_same_however_it_is_compressed(self):
        zoo.make(self.path("src"), deep=False, entries=300)
        for backend in harness.BACKENDS:
            if backend == "uring" and not harness.uring_works():
                continue
            source, destination = self.pair("--io-backend", backend)
            for number, options in enumerate((["-z"], ["--compress-choice=zstd"], ["--compress-level=-7"], ["--compress-level=9"],
                                              ["-z", "--bwlimit=200M"])):
                with self.subTest(backend=backend, options=options):
                    copy = "%s-%d" % (backend, number)
                    self.sync(source.endpoint("src"), destination.endpoint("pool", copy), *options)
                    self.compare(copy)

    def test_compression_shows_on_the_wire_and_noise_costs_nothing(self):
        total = self.fill()
        source, destination = self.pair()
        for copy, options, least, most in (("plain", [], 1, 1.1), ("none", ["--compress-choice=none"], 1, 1.1),
                                           ("level", ["--compress-level=1"], 0.3, 0.6)):
            summary = self.sync(source.endpoint("src"), destination.endpoint("pool", copy), "--json", *options).summary
            self.assertEqual(total, summary["apply"]["bytes_moved"])
            self.assertGreater(summary["apply"]["wire_bytes"], least * total, copy)
            self.assertLess(summary["apply"]["wire_bytes"], most * total, copy)
            self.compare(copy)

    def test_compression_also_works_when_the_source_connects(self):
        total = self.fill()
        destination = self.agent({"pool": self.path("pool")})
        summary = self.sync(self.path("src"), destination.endpoint("pool", "copy"), "--json", "--compress-choice=zstd").summary
        self.assertLess(summary["apply"]["wire_bytes"], 0.6 * total)
        self.compare("copy")

    def test_adaptive_compression_helps_where_the_rate_is_limited(self):
        os.makedirs(self.path("src"))
        with open(self.path("src", "prose"), "wb") as file:
            file.write(prose(10 << 20))
        source, destination = self.pair()
        # So slow that compression pays on a busy machine and in a build that is slow itself.
        summary = self.sync(source.endpoint("src"), destination.endpoint("pool", "copy"), "--json", "-z", "--bwlimit=1M").summary
        self.assertLess(summary["apply"]["wire_bytes"], 9 << 20)
        self.compare("copy")

    def test_a_rate_limit_is_kept_between_agents_and_locally(self):
        os.makedirs(self.path("src"))
        with open(self.path("src", "large"), "wb") as file:
            file.write(random.Random(6).randbytes(4 << 20))
        for number in range(200):
            with open(self.path("src", "small-%d" % number), "wb") as file:
                file.write(prose(5000))
        size = (4 << 20) + 200 * 5000
        source, destination = self.pair()
        for name, ends in (("agents", (source.endpoint("src"), destination.endpoint("pool", "agents"))),
                           ("local", (self.path("src"), self.path("pool", "local")))):
            with self.subTest(route=name):
                started = time.monotonic()
                self.sync(*ends, "--bwlimit=3M", *(["--connections=3"] if name == "agents" else []))
                seconds = time.monotonic() - started
                self.compare(name)
                # What is taken last need not have passed, and idle time has saved up a tenth of a second.
                self.assertGreater(seconds, size / (3 << 20) * 0.8 - 0.3)
                self.assertLess(seconds, (size / (3 << 20) * 1.2 + 2) * harness.SLOWNESS)

    def test_a_slow_run_can_be_interrupted_at_once(self):
        os.makedirs(self.path("src"))
        with open(self.path("src", "large"), "wb") as file:
            file.write(random.Random(7).randbytes(8 << 20))
        for ends in ((self.path("src"), self.path("pool", "local")),
                     tuple(agent.endpoint(*end) for agent, end in zip(self.pair(), (("src",), ("pool", "agents"))))):
            process = self.start("sync", "--bwlimit=20", "--progress", *ends)
            time.sleep(1.5)
            process.terminate()
            self.assertEqual(harness.INTERRUPTED, self.finish(process, 10).code)

    def test_in_the_background_the_private_agent_is_idle_and_the_copy_is_the_same(self):
        zoo.make(self.path("src"), deep=False, entries=300)
        source, destination = self.pair()
        self.sync(source.endpoint("src"), destination.endpoint("pool", "agents"), "--background", "--jobs=1")
        self.compare("agents")
        with open(self.path("src", "large"), "wb") as file:
            file.write(random.Random(8).randbytes(4 << 20))
        process = self.start("sync", "--background", "--bwlimit=2M", self.path("src"), self.path("pool", "local"))
        seen = set()
        stop = threading.Event()

        def look():
            while not stop.wait(0.02):
                try:
                    with open("/proc/%d/task/%d/children" % (process.pid, process.pid)) as file:
                        for pid in file.read().split():
                            for thread in os.listdir("/proc/%s/task" % pid):
                                with open("/proc/%s/task/%s/stat" % (pid, thread)) as stat:
                                    fields = stat.read().rsplit(")", 1)[1].split()
                                with open("/proc/%s/comm" % pid) as comm:
                                    name = comm.read().strip()
                                if name.startswith("uringsync-agent"):
                                    seen.add((int(fields[38]), int(fields[16])))  # policy, nice
                except (OSError, ValueError, IndexError):
                    continue

        looker = threading.Thread(target=look)
        looker.start()
        result = self.finish(process, 60)
        stop.set()
        looker.join()
        self.assertEqual(0, result.code, str(result))
        self.compare("local")
        idle = [place for place in seen if place[0] == os.SCHED_IDLE or place[1] == 19]
        self.assertTrue(idle, "the agent's threads ran at %s" % sorted(seen))

    def test_wrong_values_are_told_with_what_is_right(self):
        os.makedirs(self.path("src"))
        for option, text in (("--compress-level=20", "-7 to 19"), ("--bwlimit=fast", "--bwlimit fast"), ("--compress-choice=lz4", "lz4")):
            result = self.cli("sync", option, self.path("src"), "agent://127.0.0.1:1/r", code=harness.USAGE)
            self.assertIn(text, result.stderr)


if __name__ == "__main__":
    harness.main()
