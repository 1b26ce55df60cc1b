#!/usr/bin/env python3
"""The programs end as by SIGKILL at every kill point (engine/base/kill_point.h), one after the other: nothing is torn, the next run converges.

The program itself lists its points and who passes them. Counting runs show how often each is passed; a point that no run reaches
fails, and so does one that a role passes without the list saying so. Then each role is killed at passes of each of its points.

URINGSYNC_KILLS=all takes every point in every scenario, at up to MANY_PASSES passes of each; else SAMPLE points, each in a
scenario and at a pass that are drawn from a seed, which is printed (URINGSYNC_TEST_SEED repeats it).
URINGSYNC_KILL_ONLY=scenario,role,point,pass runs that one.
"""

import os
import random
import re
import stat
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import treecmp  # noqa: E402
import wreck  # noqa: E402

MIB = 1 << 20
LARGE = 5 * MIB
OLD_NS, NEW_NS = 1500000000 * 10**9, 1600000000 * 10**9
STRAY = ".~uringsync~00000000000000ab.7.tmp"
MANY_PASSES = 6
# Of the points with their roles, without URINGSYNC_KILLS=all.
SAMPLE = 24
SIGKILLED = -9
# A command ends soon after a peer has died.
# A command that was killed is not waited for, and an agent that was killed is not looked for: network_faults_test.py does that.
ALONE = ("--session-hold", "0")
SOON_S = 30
VARIABLE = "URINGSYNC_KILL_POINT"
IN_MEMORY = ("tmpfs", "ramfs")
ROLES = ("source", "destination", "command")


class Scenario:
    def __init__(self, name, *options, program="uringsync", resumes=False, removes=False, backups=False):
        self.name, self.options, self.program = name, options, program
        self.resumes, self.removes, self.backups = resumes, removes, backups


SCENARIOS = (
    Scenario("batch", "--delete"),
    Scenario("file", "--delete", "--durability=file"),
    Scenario("none", "--delete", "--durability=none"),
    Scenario("resume", "--delete", resumes=True),
    Scenario("backup", "-aHAX", "--fsync", "--backup", program="ursync", backups=True),
    Scenario("delay", "-aHAX", "--delete", "--durability=batch", "--delay-updates", program="ursync"),
    Scenario("remove", "-aHAX", "--durability=batch", "--remove-source-files", program="ursync", removes=True),
)


def kill_points():
    """{name: roles}, as the program lists them; None in a build without."""
    done = subprocess.run([harness.AGENT], env=dict(os.environ, **{VARIABLE: "list"}), capture_output=True, text=True)
    if done.returncode != 0 or "scan.directory" not in done.stdout:
        return None
    return {line.split()[0]: set(line.split()[1:]) for line in done.stdout.splitlines()}


def write(path, data, mode=0o644, when=NEW_NS):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)
    os.chmod(path, mode)
    os.utime(path, ns=(when, when))


def build(src, dst):
    """A source and an old destination, with everything between them that a run can be asked to do."""
    rng = random.Random(7)
    for number in range(3):
        name = "d%d/replaced%d" % (number, number)
        write(os.path.join(src, name), rng.randbytes(3000 + number), 0o640)
        write(os.path.join(dst, name), rng.randbytes(2000 + number), 0o600, OLD_NS)
        write(os.path.join(src, "d%d/new%d" % (number, number)), rng.randbytes(70000 * number))
        write(os.path.join(src, "fresh%d/deep/new" % number), rng.randbytes(100))
        write(os.path.join(dst, "d%d/gone" % number), b"gone", when=OLD_NS)
        write(os.path.join(dst, "doomed%d/below/gone" % number), b"gone too", when=OLD_NS)
    same = rng.randbytes(500)
    write(os.path.join(src, "d0/same"), same)
    write(os.path.join(dst, "d0/same"), same)
    write(os.path.join(src, "d0/mode"), same, 0o600)
    write(os.path.join(dst, "d0/mode"), same, 0o666)
    write(os.path.join(src, "d1/large"), rng.randbytes(LARGE))
    write(os.path.join(src, "d2/large"), rng.randbytes(LARGE))
    write(os.path.join(dst, "d2/large"), rng.randbytes(LARGE // 2), when=OLD_NS)
    write(os.path.join(src, "links/one"), b"linked")
    for name in ("two", "three"):
        os.link(os.path.join(src, "links/one"), os.path.join(src, "links", name))
    write(os.path.join(dst, "links/two"), b"was alone", when=OLD_NS)
    os.symlink("d0/same", os.path.join(src, "link"))
    os.symlink("elsewhere", os.path.join(dst, "link"))
    os.symlink("new", os.path.join(src, "new-link"))
    os.mkfifo(os.path.join(src, "fifo"))
    # Types that change: an empty directory becomes a file, a file a directory.
    write(os.path.join(src, "was-directory"), b"a file now")
    os.mkdir(os.path.join(dst, "was-directory"))
    write(os.path.join(src, "was-file/inside"), b"inside")
    write(os.path.join(dst, "was-file"), b"a file still", when=OLD_NS)
    write(os.path.join(dst, "d0", STRAY), b"of a run that is dead")
    for tree in (src, dst):
        for directory, names, _ in os.walk(tree, topdown=False):
            for name in [*(os.path.join(directory, n) for n in names), directory]:
                if not os.path.islink(name):
                    os.utime(name, ns=(NEW_NS, NEW_NS) if tree == src else (OLD_NS, OLD_NS))


class KillPoints(harness.Case):
    def setUp(self):
        super().setUp()
        self.points = kill_points()
        if self.points is None:
            self.skipTest("this build has no kill points (URINGSYNC_KILL_POINTS)")
        kind = subprocess.run(["stat", "-f", "-c", "%T", self.dir], capture_output=True, text=True).stdout.strip()
        self.top = self.loop_mount("ext4", 256, "disk") if kind in IN_MEMORY else self.dir
        self.at = lambda *parts: os.path.join(self.top, *parts)
        build(self.at("template", "src"), self.at("template", "dst"))
        self.new = treecmp.snapshot(self.at("template", "src"))
        self.old = treecmp.snapshot(self.at("template", "dst"))
        self.old.pop(b"d0/" + STRAY.encode())
        self.live = {}

    def fresh(self):
        for side, tree in (("a", "src"), ("b", "dst")):
            harness.remove_tree(self.at(side, "tree"))
            os.makedirs(self.at(side), exist_ok=True)
            subprocess.run(["cp", "-a", self.at("template", tree), self.at(side, "tree")], check=True)

    def agent_of(self, role, orders=None):
        """The running agent of a role; with orders one of its own."""
        root = {"r": self.at("a" if role == "source" else "b")}
        if orders is not None:
            return self.agent(root, *ALONE, prefix=["env", "%s=%s" % (VARIABLE, orders)])
        if role not in self.live or self.live[role].process.poll() is not None:
            self.live[role] = self.agent(root, *ALONE)
        return self.live[role]

    def run_once(self, scenario, orders={}):
        """One run with orders for some roles: (the command's result, the agents)."""
        agents = {role: self.agent_of(role, orders.get(role)) for role in ("source", "destination")}
        environment = dict(os.environ)
        if "command" in orders:
            environment[VARIABLE] = orders["command"]
        endpoints = [agents["source"].endpoint("r", "tree"), agents["destination"].endpoint("r", "tree")]
        if scenario.program == "ursync":
            arguments = [*scenario.options, "--wait", endpoints[0] + "/", endpoints[1] + "/"]
            process = self.start(*arguments, program=harness.URSYNC, env=environment)
        else:
            process = self.start("sync", *scenario.options, "--wait", "--reflink=never", *endpoints, env=environment)
        return self.finish(process, SOON_S), agents

    def prepare(self, scenario):
        self.fresh()
        if not scenario.resumes:
            return
        # A large file that is there in part, of a session that is dead.
        result, agents = self.run_once(scenario, {"destination": "stage.range:4"})
        self.assertNotEqual(0, result.code, str(result))
        self.assertEqual(SIGKILLED, agents["destination"].kill())
        self.assertTrue([n for n in harness.temporaries(self.at("b")) if STRAY not in n], "nothing was left to resume")

    def is_equal(self, scenario):
        found = treecmp.snapshot(self.at("b", "tree"))
        keeps_extra = not ("--delete" in scenario.options)
        for path, record in found.items():
            # As with rsync, --backup leaves the times of directories out; removing a source's files moves them.
            if (scenario.backups or scenario.removes) and record.type == stat.S_IFDIR and path in self.new:
                record.mtime_ns = self.new[path].mtime_ns
        return treecmp.compare(self.new, found, extra=keeps_extra, holes=False,
                               ignore=lambda path: keeps_extra and (path in self.old and path not in self.new))

    def check_wreck(self, scenario, context):
        found = treecmp.snapshot(self.at("b", "tree"))
        damage = wreck.damage(self.old, self.new, found, b"~" if scenario.backups else None)
        self.assertSame(damage, context)
        if scenario.removes:
            # What is no longer at the source is at the destination.
            left = treecmp.snapshot(self.at("a", "tree"))
            lost = [treecmp.show(path) for path, record in self.new.items()
                    if path not in left and (path not in found or found[path].digest != record.digest)]
            self.assertSame(lost, context)

    def converge(self, scenario, context):
        result, _ = self.run_once(scenario)
        self.assertEqual(0, result.code, "%s\n%s" % (context, result))
        self.assertSame(self.is_equal(scenario), "%s\n%s" % (context, result))
        self.assertNoTemporaries(self.at("b"))
        parts = [d for d, _, _ in os.walk(self.at("b")) if d.endswith(".~tmp~")]
        self.assertEqual([], parts, context)
        if scenario.backups:
            for path, record in treecmp.snapshot(self.at("b", "tree")).items():
                if path.endswith(b"~"):
                    self.assertEqual(self.old[path[:-1]].digest, record.digest, context)

    def count(self, scenario):
        """{(role, point): passes} of a run that nobody ends."""
        passes = {}
        self.prepare(scenario)
        result, agents = self.run_once(scenario, {role: "count" for role in ROLES})
        self.assertEqual(0, result.code, "%s\n%s" % (scenario.name, result))
        self.assertSame(self.is_equal(scenario), scenario.name)
        texts = {"command": result.stderr}
        for role, agent in agents.items():
            agent.stop()
            texts[role] = agent.output()
        for role, text in texts.items():
            for point in re.findall(r"^kill point (\S+)$", text, re.MULTILINE):
                passes[role, point] = passes.get((role, point), 0) + 1
        return passes

    def kill(self, scenario, role, point, number):
        """Whether the process died there."""
        context = "URINGSYNC_KILL_ONLY=%s,%s,%s,%d" % (scenario.name, role, point, number)
        self.prepare(scenario)
        result, agents = self.run_once(scenario, {role: "%s:%d" % (point, number)})
        if role == "command":
            died = result.code == SIGKILLED
        else:
            # Its connections break before it has ended.
            if result.code != 0:
                agents[role].process.wait(SOON_S)
            died = agents[role].process.poll() is not None
            self.assertEqual(SIGKILLED, agents[role].kill(), context)
        harness.wait_unlocked(self.at("b", "tree"))
        if result.code == 0:
            # It may die when everything has been done and told.
            self.assertSame(self.is_equal(scenario), "%s: exit 0\n%s" % (context, result))
        elif not died:
            self.fail("%s: nobody died\n%s" % (context, result))
        self.check_wreck(scenario, "%s\n%s" % (context, result))
        self.converge(scenario, context)
        return died

    def test_every_point(self):
        counted = {scenario: self.count(scenario) for scenario in SCENARIOS}
        reached = {pair for passes in counted.values() for pair in passes}
        listed = {(role, point) for point, roles in self.points.items() for role in roles}
        self.assertEqual([], sorted(listed - reached), "points that no run reaches")
        self.assertEqual([], sorted(reached - listed), "passed by a role that the list does not name")
        cases = self.cases(counted)
        started = time.monotonic()
        died = 0
        for scenario, role, point, number in cases:
            with self.subTest(scenario=scenario.name, role=role, point=point, number=number):
                died += self.kill(scenario, role, point, number)
        print("%d kill points (%d with their roles), %d kills in %.0f s, %d of them after the work was done" % (
            len(self.points), len(listed), len(cases), time.monotonic() - started, len(cases) - died))
        self.assertGreater(died, len(cases) * 3 // 4)

    def cases(self, counted):
        only = os.environ.get("URINGSYNC_KILL_ONLY")
        if only:
            name, role, point, number = only.split(",")
            return [(next(s for s in SCENARIOS if s.name == name), role, point, int(number))]
        cases = []
        if os.environ.get("URINGSYNC_KILLS") == "all":
            for scenario, passes in counted.items():
                for (role, point), count in sorted(passes.items()):
                    numbers = {1 + i * (count - 1) // max(1, min(count, MANY_PASSES) - 1) for i in range(min(count, MANY_PASSES))}
                    cases += [(scenario, role, point, number) for number in sorted(numbers)]
            return cases
        seed = int(os.environ.get("URINGSYNC_TEST_SEED", random.SystemRandom().randrange(1 << 32)))
        print("URINGSYNC_TEST_SEED=%d" % seed)
        rng = random.Random(seed)
        pairs = sorted({pair for passes in counted.values() for pair in passes})
        for pair in rng.sample(pairs, min(SAMPLE, len(pairs))):
            scenario = rng.choice([s for s in SCENARIOS if pair in counted[s]])
            cases.append((scenario, *pair, rng.randint(1, counted[scenario][pair])))
        return cases


if __name__ == "__main__":
    harness.main()
