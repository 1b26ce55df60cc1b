"""Runs one scenario with two programs, each in a world of its own, and lists in words what differs afterwards."""

import os
import re
import shutil
import stat
import subprocess
import time

import harness
import options
import output
import treecmp
from model import FILE, build
from scenario import NOBODY

LIMIT_S = 15 * harness.SLOWNESS
NOW = -7777  # stands for "while the program ran" where a time is compared
NOW_SLACK_NS = 20 * 10 ** 6
SECOND_NS = 10 ** 9
CLOCK_REALTIME_COARSE = 5  # <linux/time.h>; the clock of time stamps
LOG = b"log.txt"
FAKE_SUPER = "user.rsync.%stat"
# The fake remote shell finds our programs as it finds rsync: on the PATH.
ENVIRONMENT = {"PATH": "%s:%s" % (os.environ.get("PATH", "/usr/bin:/bin"), harness.BIN_DIR), "LC_ALL": "C.UTF-8", "TZ": "UTC", "HOME": "/nonexistent", "URINGSYNC_STATE_DIR": "",
               **{k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS") or k.startswith("LLVM_PROFILE")}}


class Outcome:
    """What one program did: exit code (None: it did not end in time), output, and the world before and after."""

    def __init__(self, command):
        self.command, self.code, self.stdout, self.stderr, self.log = command, None, b"", b"", b""
        self.before, self.after = {}, {}
        self.start_ns = self.end_ns = 0

    def died(self):
        """Whether the program did not come to an end of its own."""
        return self.code is None or self.code < 0 or self.code in (2, 12, 14, 22)


def _pinned(root):
    """Descriptors of every object below `root`: while they are held no inode number is used again, so that a replacement shows."""
    held = []
    for directory, names, files in os.walk(os.fsencode(root)):
        for name in names + files:
            held.append(os.open(os.path.join(directory, name), os.O_PATH | os.O_NOFOLLOW))
    return held


def _wait_for_a_tick(snapshot):
    """Until the file system's clock has left the newest change time: a later change is then seen as one."""
    newest = max(record.ctime_ns for record in snapshot.values())
    deadline = time.monotonic() + 1
    while time.clock_gettime_ns(CLOCK_REALTIME_COARSE) <= newest and time.monotonic() < deadline:
        pass


def run(scenario, program, world):
    """Builds the world and runs the program in it."""
    owner = NOBODY if scenario.unprivileged and harness.is_root() else None
    build(scenario.world, world, owner)
    outcome = Outcome([os.fsencode(program)] + scenario.arguments(world))
    outcome.before = treecmp.snapshot(world)
    held = _pinned(world)
    try:
        _wait_for_a_tick(outcome.before)
        outcome.start_ns = time.time_ns()
        identity = {} if owner is None else {"user": owner, "group": owner, "extra_groups": []}
        process = subprocess.Popen(outcome.command, cwd=world, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=ENVIRONMENT, umask=0o022, **identity)
        try:
            outcome.stdout, outcome.stderr = process.communicate(scenario.stdin, LIMIT_S)
            outcome.code = process.returncode
        except subprocess.TimeoutExpired:
            process.kill()
            outcome.stdout, outcome.stderr = process.communicate()
        outcome.end_ns = time.time_ns()
        outcome.after = treecmp.snapshot(world)
    finally:
        for fd in held:
            os.close(fd)
    return outcome


def _comparable(outcome, owners):
    """Times that fall into the run become NOW: those that nobody asked to set."""
    first, last = (outcome.start_ns - NOW_SLACK_NS) // SECOND_NS * SECOND_NS, outcome.end_ns + NOW_SLACK_NS  # some times are cut to seconds
    for record in outcome.after.values():
        if first <= record.mtime_ns <= last:
            record.mtime_ns = NOW
        if first <= record.atime_ns <= last:
            record.atime_ns = NOW
        stored = record.xattrs.get(FAKE_SUPER)
        if stored:  # rsync 3.5 writes what it never set as the device of what is none, and as the owner where it keeps none
            stored = stored if stored[:2] in (b"20", b"60") else re.sub(rb" \d+,\d+ ", b" - ", stored)
            record.xattrs[FAKE_SUPER] = stored if owners else re.sub(rb" \d+:\d+$", b" -", stored)
    return outcome.after


def _without_log(tree):
    """The log's size and contents follow the clock; its lines are compared instead. `log-file` of a transfer lies in the world itself."""
    if LOG in tree:
        tree[LOG].size, tree[LOG].digest, tree[LOG].segments = 0, None, None
    return tree


def _touched(theirs, ours):
    """What the other program changed, or replaced instead of changing, and rsync did not."""
    def kinds(outcome):
        return dict(line.rsplit(": ", 1) for line in treecmp.touched(outcome.before, outcome.after))
    left, right = kinds(theirs), kinds(ours)
    for path, what in sorted(right.items()):
        if path not in left:
            if what != "appeared":  # told as an object too many
                yield "touched: %s: %s, rsync let it be" % (path, what)
        elif {what, left[path]} == {"was replaced", "ctime moved"}:
            yield "touched: %s: %s, by rsync %s" % (path, what, left[path])


def _atimes(theirs, ours):
    for path, record in sorted(theirs.items()):
        other = ours.get(path)
        if not other or not record.type == other.type == stat.S_IFREG or NOW in (record.atime_ns, other.atime_ns):
            continue
        if record.atime_ns != other.atime_ns:
            yield "tree: %s: atime %d, should be %d" % (treecmp.show(path), other.atime_ns, record.atime_ns)


def _storage(theirs, ours):
    """With --sparse nothing takes more room than rsync's copy does."""
    for path, record in sorted(theirs.items()):
        other = ours.get(path)
        if other and record.segments is not None and other.segments is not None and record.digest == other.digest:
            taken, wanted = (sum(end - start for start, end in r.segments) for r in (other, record))
            if taken > wanted:
                yield "tree: %s: %d bytes stored, by rsync %d" % (treecmp.show(path), taken, wanted)


def compare(scenario, theirs, ours):
    """Every difference of `ours` from rsync's outcome. Of a run that rsync itself did not finish nothing is said."""
    found = []
    if ours.code != theirs.code:
        found.append("exit: %s, should be %s" % (ours.code, theirs.code))
    if theirs.code and theirs.stderr and not ours.stderr:
        found.append("stderr: nothing is said, by rsync %s" % output.show(theirs.stderr.splitlines()[0]))
    found += ["output: " + line for line in output.differences(theirs.stdout, ours.stdout)]
    names = scenario.names()
    if "log-file" in names:
        found += ["log: " + line for line in output.differences(theirs.log, ours.log)]
    left, right = (_without_log(_comparable(o, names & {"archive", "owner"})) for o in (theirs, ours))
    found += ["tree: " + line for line in treecmp.compare(left, right, holes=False)]
    found += _touched(theirs, ours)
    if "atimes" in names:
        found += _atimes(left, right)
    if "sparse" in names and "preallocate" not in names:
        found += _storage(left, right)
    return found


class Pair:
    """Two programs, and a scratch directory in which each run has its worlds."""

    def __init__(self, program, directory, reference="rsync", keep=False):
        self.program, self.directory, self.keep = program, directory, keep
        self.reference = shutil.which(reference) or reference
        self.number = 0

    def run(self, scenario):
        """(what rsync did, what the program did, differences in words)."""
        self.number += 1
        at = os.path.join(self.directory, "%d-%d" % (os.getpid(), self.number))
        os.makedirs(at)
        os.chmod(at, 0o755)
        try:
            outcomes = []
            for name, program in (("theirs", self.reference), ("ours", self.program)):
                world = os.path.join(at, name)
                outcome = run(scenario, program, world)
                log = os.path.join(os.fsencode(world), LOG)
                if os.path.isfile(log):
                    with open(log, "rb") as file:
                        outcome.log = file.read()
                for name in ("stdout", "stderr", "log"):
                    setattr(outcome, name, getattr(outcome, name).replace(os.fsencode(world), options.WORLD))
                outcomes.append(outcome)
            theirs, ours = outcomes
            return theirs, ours, [] if theirs.died() and self.program != self.reference else compare(scenario, theirs, ours)
        finally:
            if not self.keep:
                shutil.rmtree(at, onerror=lambda *_: None)
                harness.remove_tree(at)  # what has modes in the way
