"""A true agent, and lying_relay between it and a command: runs of which one message is a lie, and what must hold after each."""

import os
import re
import shutil
import stat
import subprocess
import sys

import harness

RELAY = os.path.join(harness.BIN_DIR, "lying_relay")
# Of a process that works on a handful of files, whatever it is told.
MEMORY_LIMIT_KIB = 300 << 10
# What no lie may bring about: that a run says that all is well and it is not.
REFUSALS = (harness.USAGE, harness.VERSION, harness.SELECTION, harness.FILE_IO, harness.PROTOCOL, harness.PARTIAL, harness.VANISHED,
            harness.TIMEOUT)
SECRET = b"of nobody's business"


# What an agent lists, among its lies: they are many, and have a test of their own.
LISTINGS = (r"(?:names?-|too-many-names|unknown-types|modes-|sizes-|nanoseconds-|columns-|huge-columns|rows-|empty-link|the-root-is|"
            r"no-attributes|errno-)")


def lies(pattern):
    listed = subprocess.run([RELAY, "--list"], capture_output=True, text=True, check=True, timeout=30).stdout.split()
    return [name for name in listed if re.match(pattern, name) and re.search(os.environ.get("URINGSYNC_LIES", ""), name)]


def instrumented():
    with open(harness.CLI, "rb") as program:
        return b"__asan_init" in program.read()


class HostileCase(harness.Case):
    def setUp(self):
        super().setUp()
        os.mkdir(self.path("pool"))
        self.make_tree(self.path("src"))
        os.makedirs(self.path("canary"))
        with open(self.path("canary", "file"), "wb") as file:
            file.write(SECRET)
        self.canary = self.look(self.path("canary"))

    def make_tree(self, top):
        os.makedirs(os.path.join(top, "dir", "below"))
        for number, path in enumerate(("a", "b", "c", "dir/d", "dir/below/e")):
            with open(os.path.join(top, path), "wb") as file:
                file.write(b"content of %d " % number * 4000)
            os.utime(os.path.join(top, path), (10 ** 9, 10 ** 9))
        with open(os.path.join(top, "large"), "wb") as file:
            file.write(os.urandom(3 << 20))

    @staticmethod
    def look(top):
        return sorted((place, tuple(os.lstat(os.path.join(place, name))[:8]) + (os.lstat(os.path.join(place, name)).st_ctime_ns,))
                      for place, names, files in os.walk(top) for name in [""] + names + files)

    def relay(self, agent, lie):
        names = self.certificates()
        process = subprocess.Popen(
            [RELAY, os.path.join(names.directory, "localhost.crt"), os.path.join(names.directory, "localhost.key"),
             os.path.join(names.directory, "ca.crt"), str(agent.port), str(agent.data_port), lie],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.end, process)
        return process, "agent://127.0.0.1:%s/pool" % process.stdout.readline().strip()

    @staticmethod
    def end(process):
        if process.poll() is None:
            process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()

    def run_measured(self, arguments, seconds):
        """Exit code, standard error, and the most memory that the command and its private agent took (KiB)."""
        command = [sys.executable, "-c",
                   "import resource, subprocess, sys\n"
                   "code = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL).returncode\n"
                   "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
                   "sys.exit(code)", harness.CLI, *arguments]
        result = harness.run(command, timeout=seconds * harness.SLOWNESS)
        return result, int(result.stdout.split()[-1])

    def told(self, lie, direction):
        """One lie in a run that reads from the agent ("from") or writes to it ("to"); what came of it."""
        agent = self.agent_of_lies
        tree, copy = self.path("pool", "src"), self.path("copy")
        for place in (tree, copy):
            harness.remove_tree(place)
        if direction == "from":
            shutil.copytree(self.path("src"), tree)
        relay, endpoint = self.relay(agent, lie)
        sides = [endpoint + "/src", copy] if direction == "from" else [self.path("src"), endpoint + "/src"]
        extra = ["--timeout=%d" % (4 * harness.SLOWNESS)]
        result, memory = self.run_measured(["sync", "--delete", *extra, *self.certificates().client, *sides], 40)
        relay.stdin.close()
        lied = "lied" in relay.stderr.read()
        if os.environ.get("URINGSYNC_LIES"):
            sys.stderr.write("%s %s: lied %s, %d after %.1f s, %d MiB: %s\n" % (lie, direction, lied, result.code, result.seconds, memory >> 10,
                                                                              result.stderr.strip()[-300:]))
        text = "%s, %s the agent\n%s\n--- agent\n%s" % (lie, direction, result, agent.output()[-1500:])
        self.assertIsNone(agent.process.poll(), text)
        self.assertNotIn("\x1b", result.stderr, text)
        self.assertNotIn("Sanitizer", result.stderr + agent.output()[-20000:], text)
        self.assertEqual(self.canary, self.look(self.path("canary")), text)
        if not instrumented():
            self.assertLess(memory, MEMORY_LIMIT_KIB, text)
        if result.code == 0:
            self.assert_same(self.path("src"), copy if direction == "from" else tree, text)
        else:
            self.assertIn(result.code, REFUSALS, text)
            self.assertIn("uringsync: ", result.stderr, text)
        self.assert_old_or_whole(copy if direction == "from" else tree, text)
        return lied, result

    def assert_same(self, one, other, text):
        differences = subprocess.run(["diff", "-r", one, other], capture_output=True, text=True).stdout
        self.assertEqual("", differences, text)

    def assert_old_or_whole(self, top, text):
        """Whatever was published has the contents that somebody has: no file is a mixture, none has escaped."""
        known = set()
        for place, _, files in os.walk(self.path("src")):
            for name in files:
                with open(os.path.join(place, name), "rb") as file:
                    known.add(file.read())
        for place, _, files in os.walk(top):
            for name in files:
                path = os.path.join(place, name)
                if name.startswith(".~uringsync~") or not stat.S_ISREG(os.lstat(path).st_mode):
                    continue
                with open(path, "rb") as file:
                    self.assertTrue(file.read() in known, "%s\n%s" % (path, text))

    def each(self, pattern, directions, also_to=()):
        if not os.access(RELAY, os.X_OK):
            self.skipTest("lying_relay is not built")
        self.agent_of_lies = self.agent({"pool": self.path("pool")})
        # The relay itself changes nothing.
        for direction in ("from", "to"):
            self.assertEqual(0, self.told("truth", direction)[1].code)
        never = []
        for lie in lies(pattern):
            with self.subTest(lie=lie):
                both = any(word in lie for word in also_to)
                # The session before may still hold what it took: then there was nobody to lie to.
                for _ in range(20):
                    if any([self.told(lie, direction)[0] for direction in (("from", "to") if both else directions)]):
                        break
                else:
                    never.append(lie)
        self.assertEqual([], never, "lies that were never told")
        self.assertEqual(0, self.told("truth", "from")[1].code)
        # The operands of all sessions may take 256 MiB (agent/operand_budget.h), by a count that leaves out what malloc adds.
        self.assertLess(self.agent_of_lies.peak_kib(), 2 * MEMORY_LIMIT_KIB * (4 if instrumented() else 1))
        sys.stderr.write("%d lies " % len(lies(pattern)))

