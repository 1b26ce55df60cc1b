#!/usr/bin/env python3
"""A user without privileges swaps directories and files of a tree for symlinks that lead out of it, while root works there.

Outside lies a canary tree with the same names. Whatever a run does, it must not change (contents, modes, owners, attributes,
links, times), and nothing of it may be copied. URINGSYNC_RACE_SECONDS=N gives each scenario so long; by default each makes a
few runs. URINGSYNC_TEST_SEED repeats the order of swaps and changes.
"""

import os
import random
import shutil
import stat
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import swapper  # noqa: E402

MALLORY = 65534
SECRET = b"what nobody may ever copy or change\n"
SECONDS = float(os.environ.get("URINGSYNC_RACE_SECONDS", "0"))
RUNS = 4
DIRECTORIES, FILES = 6, 6
# Whatever is missing or of another kind by the time it is looked at: problems and vanished files, never worse.
CODES = (harness.OK, harness.PARTIAL, harness.VANISHED, 25)
total_swaps = 0


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def facts(path):
    """Of every object of a tree: all that a system call could have changed. The change time moves with each of them."""
    found = {}
    for directory, names, files in os.walk(path):
        for name in [""] + names + files:
            place = os.path.join(directory, name)
            at = os.lstat(place)
            found[place] = (at.st_mode, at.st_uid, at.st_gid, at.st_nlink, at.st_ino, at.st_size, at.st_mtime_ns, at.st_ctime_ns,
                            tuple((key, os.getxattr(place, key, follow_symlinks=False))
                                  for key in sorted(os.listxattr(place, follow_symlinks=False))))
    return found


@harness.unittest.skipUnless(harness.is_root(), "needs root and another user")
class LinkSwaps(harness.Case):
    def setUp(self):
        super().setUp()
        self.seed = int(os.environ.get("URINGSYNC_TEST_SEED", random.randrange(1 << 30)))
        self.rng = random.Random(self.seed)
        self.swappers = []
        self.make_canary()

    def make_canary(self):
        self.canary = self.path("canary")
        os.mkdir(self.canary)
        for number in range(DIRECTORIES):
            top = os.path.join(self.canary, "d%d" % number)
            os.makedirs(os.path.join(top, "sub", "deep"))
            for place in (top, os.path.join(top, "sub"), os.path.join(top, "sub", "deep")):
                for name in ("f0", "f1", "old", "only-in-the-canary"):
                    write(os.path.join(place, name), SECRET)
                    os.chmod(os.path.join(place, name), 0o640)
                    os.utime(os.path.join(place, name), (10 ** 9, 10 ** 9))
                os.symlink("nowhere", os.path.join(place, "link"))
                os.mkdir(os.path.join(place, "empty"))
        for number in range(FILES):
            write(os.path.join(self.canary, "file%d" % number), SECRET)
            os.chmod(os.path.join(self.canary, "file%d" % number), 0o600)
            os.setxattr(os.path.join(self.canary, "file%d" % number), "user.mark", b"canary")
        self.before = facts(self.canary)

    def make_tree(self, top, version):
        """A tree whose directory `open` belongs to mallory. Two versions differ in names, contents, sizes, modes, owners, attributes,
        types and times, so that going from one to the other takes every operation."""
        os.makedirs(os.path.join(top, "open"))
        for number in range(DIRECTORIES):
            self.fill(os.path.join(top, "open", "d%d" % number), version, 2)
        for number in range(FILES):
            path = os.path.join(top, "open", "file%d" % number)
            write(path, (b"version %d " % version) * (1 + 30000 * (version == number % 2)))
            self.dress(path, version + number)
        for directory, names, files in os.walk(top):
            if directory != top:
                os.chown(directory, MALLORY, MALLORY)
            for name in files:
                os.utime(os.path.join(directory, name), (10 ** 9, 10 ** 9 + version), follow_symlinks=False)

    def fill(self, place, version, depth):
        os.mkdir(place)
        os.chmod(place, 0o755 if version else 0o777)
        write(os.path.join(place, "f0"), b"both, version %d" % version)
        write(os.path.join(place, "new" if version else "old"), b"one of them")
        write(os.path.join(place, "f1"), b"the same size %d" % version)
        os.link(os.path.join(place, "f1"), os.path.join(place, "second%d" % version))
        for name in ("f0", "f1"):
            self.dress(os.path.join(place, name), version)
        if version:
            os.symlink("somewhere", os.path.join(place, "link"))
            os.mkfifo(os.path.join(place, "becomes"))
        else:
            os.mkdir(os.path.join(place, "empty"))
            write(os.path.join(place, "becomes"), b"a file")
        os.setxattr(place, "user.mark", b"%d" % version)
        if depth:
            self.fill(os.path.join(place, "sub" if depth == 2 else "deep"), version, depth - 1)

    @staticmethod
    def dress(path, version):
        os.chown(path, 1000 + version % 2, 1000)
        os.chmod(path, 0o4755 if version % 2 else 0o604)
        os.setxattr(path, "user.mark", b"version %d" % version)

    def swap_in(self, top):
        """Starts the swaps of everything in `top`/open."""
        pairs = []
        for number in range(DIRECTORIES):
            target = os.path.join(self.canary, "d%d" % number)
            if number % 2:
                target = os.path.relpath(target, os.path.join(top, "open"))
            name = os.path.join(top, "open", "d%d" % number)
            pairs.append((name, name + ".decoy", target))
            pairs.append((name + "/sub", name + "/decoy", os.path.join(target if number % 2 == 0 else "../" + target, "sub")))
        for number in range(FILES):
            name = os.path.join(top, "open", "file%d" % number)
            pairs.append((name, name + ".decoy", os.path.join(self.canary, "file%d" % number)))
        started = swapper.Swapper(pairs, MALLORY, self.seed)
        self.swappers.append(started)
        self.addCleanup(started.stop)
        harness.wait_until(lambda: started.swaps() > 100, 30, "the first swaps")
        return started

    def repeat(self, one_run):
        deadline = time.monotonic() + SECONDS
        number = 0
        while number < RUNS or time.monotonic() < deadline:
            one_run(number)
            number += 1
            self.check_canary("after run %d" % number)

    def check_canary(self, when):
        now = facts(self.canary)
        changed = sorted(place for place in set(now) | set(self.before) if now.get(place) != self.before.get(place))
        self.assertEqual([], [(place, self.before.get(place), now.get(place)) for place in changed], "%s, seed %d" % (when, self.seed))

    def finish_swaps(self):
        global total_swaps
        for one in self.swappers:
            swaps = one.stop()
            self.assertGreater(swaps, 100)
            total_swaps += swaps
        self.swappers = []
        self.check_canary("at the end")
        for directory, _, files in os.walk(self.canary):
            for name in files:
                path = os.path.join(directory, name)
                if not os.path.islink(path):
                    with open(path, "rb") as file:
                        self.assertEqual(SECRET, file.read(), path)

    def assert_nothing_copied(self, top):
        for directory, names, files in os.walk(top):
            self.assertNotIn("only-in-the-canary", names + files, "%s, seed %d" % (directory, self.seed))
            for name in files:
                path = os.path.join(directory, name)
                if stat.S_ISREG(os.lstat(path).st_mode):
                    with open(path, "rb") as file:
                        self.assertNotIn(SECRET[:-1], file.read(), "%s, seed %d" % (path, self.seed))

    def two_versions(self):
        for version in (0, 1):
            self.make_tree(self.path("v%d" % version), version)
        shutil.copytree(self.path("v0"), self.path("dst"), symlinks=True)
        for directory, _, _ in os.walk(self.path("dst")):
            os.chown(directory, MALLORY, MALLORY)
        os.chown(self.path("dst"), 0, 0)

    def into(self, command, *arguments, **options):
        """Runs between two versions of a source into a tree with swaps."""
        self.two_versions()
        self.swap_in(self.path("dst"))
        # What ursync is told of the source's directory, not of the directory itself.
        source = (lambda n: self.path("v%d" % ((n + 1) % 2)) + ("/" if command[0] == harness.URSYNC else ""))
        self.repeat(lambda n: self.check_code(harness.run(command + list(arguments) + [source(n), options.get("dst", self.path("dst"))])))
        self.finish_swaps()

    def check_code(self, result):
        self.assertIn(result.code, CODES, "seed %d\n%s" % (self.seed, result))
        self.assertNotIn("Sanitizer", result.stderr)

    # The destination.
    def test_writing_and_deleting(self):
        self.into([harness.CLI, "sync", "--delete"])

    def test_writing_and_deleting_with_threads(self):
        self.into([harness.CLI, "sync", "--delete", "--force", "--io-backend=threads"])

    def test_writing_in_place(self):
        self.into([harness.URSYNC, "-aHAX", "--delete", "--inplace", "--no-whole-file"])

    def test_backups_and_late_updates(self):
        self.into([harness.URSYNC, "-aHAX", "--delete-before", "--delay-updates", "--backup", "--backup-dir=open/d0", "--partial-dir=part"])

    def test_kept_directory_links(self):
        self.into([harness.URSYNC, "-aHAX", "--delete", "--keep-dirlinks"])

    def test_privileged_attributes_beside(self):
        self.into([harness.URSYNC, "-aHAX", "--delete", "--fake-super"])

    def test_renames_at_the_destination(self):
        self.into([harness.CLI, "sync", "--delete", "--detect-renames"])

    def test_basis_directories(self):
        self.two_versions()
        os.rename(self.path("dst"), self.path("basis"))
        self.swap_in(self.path("basis"))

        def run(number):
            harness.remove_tree(self.path("dst"))
            self.check_code(harness.run([harness.URSYNC, "-aHAX", "--%s-dest=../basis" % ("link", "copy")[number % 2],
                                         self.path("v%d" % (number // 2 % 2)) + "/", self.path("dst")]))
            self.assert_nothing_copied(self.path("dst"))
        self.repeat(run)
        self.finish_swaps()

    def test_a_listening_agent_writes(self):
        """Without Landlock, which would hide a path that leads out."""
        os.mkdir(self.path("pool"))
        agent = self.agent({"pool": self.path("pool")}, "--confinement=off")
        self.two_versions()
        os.rename(self.path("dst"), self.path("pool", "dst"))
        self.swap_in(self.path("pool", "dst"))
        self.repeat(lambda n: self.check_code(self.sync(self.path("v%d" % ((n + 1) % 2)), agent.endpoint("pool", "dst"), "--delete", code=None)))
        self.finish_swaps()

    # The source.
    def test_reading(self):
        self.make_tree(self.path("src"), 1)
        self.swap_in(self.path("src"))
        arguments = [[harness.CLI, "sync", "--delete"], [harness.CLI, "sync", "--delete", "--checksum"],
                     [harness.URSYNC, "-aHAX", "--delete"]]

        def run(number):
            self.check_code(harness.run(arguments[number % len(arguments)] + [self.path("src") + "/", self.path("copy")]))
            self.assert_nothing_copied(self.path("copy"))
        self.repeat(run)
        self.finish_swaps()

    def test_a_listening_agent_reads(self):
        """Also links that are followed by intent lead nowhere outside of the root."""
        os.mkdir(self.path("pool"))
        self.make_tree(self.path("pool", "src"), 1)
        agent = self.agent({"pool": self.path("pool")}, "--confinement=off")
        self.swap_in(self.path("pool", "src"))

        def run(number):
            follow = (["--copy-links"], ["--copy-dirlinks"], ["--copy-unsafe-links"], [])[number % 4]
            self.check_code(self.sync(agent.endpoint("pool", "src"), self.path("copy"), "--delete", *follow, code=None))
            self.assert_nothing_copied(self.path("copy"))
        self.repeat(run)
        self.finish_swaps()

    def test_removing_sources(self):
        def run(number):
            if os.path.isdir(self.path("src")):
                os.rename(self.path("src"), self.path("was%d" % number))
            self.make_tree(self.path("src"), number % 2)
            swaps = self.swap_in(self.path("src"))
            self.check_code(harness.run([harness.URSYNC, "-aHAX", "--remove-source-files", self.path("src") + "/", self.path("copy")]))
            swaps.stop()
            self.assert_nothing_copied(self.path("copy"))
        self.repeat(run)
        self.finish_swaps()


if __name__ == "__main__":
    try:
        harness.main()
    finally:
        print("%d swaps" % total_swaps, file=sys.stderr)
