"""What the integration tests share: scratch directories, the programs, running agents, certificates.

The programs come from $URINGSYNC_BIN_DIR, else from build/release/bin. Everything is made below one scratch directory that
`Case` removes; every process is ended by its own pid. A test that this machine cannot run skips with the reason.
"""

import ctypes
import fcntl
import json
import os
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import mounts

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN_DIR = os.path.abspath(os.environ.get("URINGSYNC_BIN_DIR", os.path.join(REPOSITORY, "build", "release", "bin")))
CLI = os.path.join(BIN_DIR, "uringsync")
URSYNC = os.path.join(BIN_DIR, "ursync")
AGENT = os.path.join(BIN_DIR, "uringsync-agent")
# A slower build (sanitizers, coverage) gets more time; nothing asserts that something is fast but the bounds on dying peers.
SLOWNESS = float(os.environ.get("URINGSYNC_TEST_SLOWNESS", "1"))
RUN_TIMEOUT_S = 240 * SLOWNESS
AGENT_START_TIMEOUT_S = 20 * SLOWNESS
AGENT_STOP_TIMEOUT_S = 20 * SLOWNESS
BACKENDS = ("uring", "threads")
NOBODY = 65534

OK, USAGE, VERSION, SELECTION, FILE_IO, PROTOCOL, INTERRUPTED, PARTIAL, VANISHED, TIMEOUT = 0, 1, 2, 3, 11, 12, 20, 23, 24, 30


def is_root():
    return os.geteuid() == 0


def uring_works():
    """Whether this kernel, and whatever confines us, lets a process set up a ring."""
    params = ctypes.create_string_buffer(120)
    fd = ctypes.CDLL(None, use_errno=True).syscall(425, 4, params)
    if fd < 0:
        return False
    os.close(fd)
    return True


def remove_tree(path):
    """Removes a tree of any depth and any mode; objects below mount points stay."""
    if not os.path.lexists(path):
        return
    removed = subprocess.run(["rm", "-rf", "--one-file-system", "--", path], stderr=subprocess.DEVNULL)
    if removed.returncode:
        subprocess.run(["chmod", "-R", "u+rwx", "--", path], stderr=subprocess.DEVNULL)
        subprocess.run(["rm", "-rf", "--one-file-system", "--", path], check=False)


class Result:
    """One run of a program that has ended."""

    def __init__(self, arguments, code, stdout, stderr, seconds):
        self.arguments, self.code, self.stdout, self.stderr, self.seconds = arguments, code, stdout, stderr, seconds

    @property
    def events(self):
        """The JSON objects of a --json run, in order."""
        return [json.loads(line) for line in self.stdout.splitlines() if line.strip()]

    @property
    def summary(self):
        """The last event of a --json run."""
        found = [event for event in self.events if event.get("event") == "summary"]
        if len(found) != 1:
            raise AssertionError("%d summary events\n%s" % (len(found), self))
        return found[0]

    def __str__(self):
        return "$ %s\nexit %s after %.1f s\n--- stdout\n%s\n--- stderr\n%s" % (
            " ".join(map(str, self.arguments)), self.code, self.seconds, self.stdout[-6000:], self.stderr[-6000:])


def run(arguments, timeout=None, **popen):
    """Runs a program to its end. One that does not end in time is killed and fails the test."""
    started = time.monotonic()
    process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **popen)
    try:
        out, err = process.communicate(timeout=timeout or RUN_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError("did not end in time: %s" % Result(arguments, "none", out.decode("utf-8", "replace"),
                                                               err.decode("utf-8", "replace"), time.monotonic() - started))
    return Result(arguments, process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"),
                  time.monotonic() - started)


class Certificates:
    """A fresh authority with certificates for this host, made by the product."""

    def __init__(self, directory, hosts="localhost,127.0.0.1", cli=None):
        self.directory = directory
        made = run([cli or CLI, "certs", "init", directory, "--host", hosts])
        if made.code != 0:
            raise AssertionError("certs init failed\n%s" % made)
        self.host = hosts.split(",")[0]

    def of(self, name):
        return ["--cert", os.path.join(self.directory, name + ".crt"), "--key", os.path.join(self.directory, name + ".key"),
                "--ca", os.path.join(self.directory, "ca.crt")]

    @property
    def server(self):
        return self.of(self.host)

    @property
    def client(self):
        return self.of("cli")


class Agent:
    """A running uringsync-agent. `roots`: {name: path} or {name: path + ":ro"}."""

    def __init__(self, roots, certificates, arguments=(), listen="127.0.0.1", port=0, prefix=(), log=None, program=None):
        ready, report = os.pipe()
        command = list(prefix) + [program or AGENT]
        for name, path in roots.items():
            command += ["--root", "%s=%s" % (name, path)]
        command += ["--listen", "%s:%d" % (listen, port), "--data-listen", listen + ":0", "--ready-fd", str(report)]
        if not any(str(argument).startswith("--allow") for argument in arguments):
            command += ["--allow", "*=*:all"]
        command += list(certificates.server) + list(arguments)
        self.command = command
        self.log = log or tempfile.TemporaryFile(mode="w+b")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, pass_fds=[report])
        os.close(report)
        line = b""
        deadline = time.monotonic() + AGENT_START_TIMEOUT_S
        try:
            while not line.endswith(b"\n"):
                left = deadline - time.monotonic()
                if left <= 0 or not select.select([ready], [], [], left)[0]:
                    break
                data = os.read(ready, 256)
                if not data:
                    break
                line += data
        finally:
            os.close(ready)
        if not line.endswith(b"\n"):
            self.kill()
            raise AssertionError("the agent did not get ready\n$ %s\n%s" % (" ".join(command), self.output()))
        ports = dict(word.split("=") for word in line.decode().split())
        self.host, self.port, self.data_port = listen, int(ports["control"]), int(ports["data"])

    @property
    def pid(self):
        return self.process.pid

    def endpoint(self, root, path=""):
        return "agent://%s:%d/%s%s" % (self.host, self.port, root, "/" + path if path else "")

    def output(self):
        self.log.flush()
        return os.pread(self.log.fileno(), 1 << 20, 0).decode("utf-8", "replace")

    def peak_kib(self):
        with open("/proc/%d/status" % self.pid) as status:
            return int(next(line for line in status if line.startswith("VmHWM")).split()[1])

    def cpu_seconds(self):
        with open("/proc/%d/stat" % self.pid) as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        return self.process.wait()

    def stop(self):
        """Ends the agent with SIGTERM and returns its exit code; one that does not end is killed and is an error."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(AGENT_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("the agent did not end within %.0f s of SIGTERM\n%s" % (AGENT_STOP_TIMEOUT_S, self.output()))


class Case(unittest.TestCase):
    """A test with a scratch directory, self.dir, that goes with everything in it."""

    maxDiff = None

    def setUp(self):
        base = os.environ.get("URINGSYNC_TEST_DIR") or tempfile.gettempdir()
        self.dir = tempfile.mkdtemp(prefix="uringsync-test-", dir=base)
        os.chmod(self.dir, 0o755)
        self.addCleanup(remove_tree, self.dir)
        os.environ["URINGSYNC_STATE_DIR"] = self.path(".state")
        self._agents = []
        self._certificates = None
        self.addCleanup(self._end_agents)

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def certificates(self):
        if self._certificates is None:
            self._certificates = Certificates(self.path("certs"))
        return self._certificates

    def agent(self, roots, *arguments, **options):
        agent = Agent(roots, options.pop("certificates", None) or self.certificates(), arguments, **options)
        self._agents.append(agent)
        return agent

    def _end_agents(self):
        failures = []
        for agent in self._agents:
            try:
                agent.stop()
            except AssertionError as error:
                failures.append(str(error))
            agent.log.close()
        self.assertEqual([], failures)

    def cli(self, *arguments, code=OK, prefix=(), **options):
        """Runs `uringsync` and checks the exit code; certificates are passed along when an endpoint is a running agent."""
        command = list(prefix) + [options.pop("program", None) or CLI] + [str(a) for a in arguments]
        with_tls = options.pop("tls", True) and "--cert" not in command
        if with_tls and any(str(a).startswith("agent://") for a in arguments):
            command += self.certificates().client
        result = run(command, **options)
        wanted = code if isinstance(code, (tuple, list, set)) else (code,)
        if code is not None:
            self.assertIn(result.code, wanted, "\n%s" % result)
            self.assertNotIn("Sanitizer", result.stderr, "\n%s" % result)
        return result

    def sync(self, src, dst, *arguments, **options):
        return self.cli("sync", *arguments, src, dst, **options)

    def start(self, *arguments, **popen):
        """Starts `uringsync` and returns the process; the test ends it."""
        command = [popen.pop("program", CLI)] + [str(a) for a in arguments]
        if any(str(a).startswith("agent://") for a in arguments):
            command += self.certificates().client
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **popen)

        def end():
            if process.poll() is None:
                process.kill()
            process.communicate()
        self.addCleanup(end)
        return process

    def finish(self, process, seconds):
        """Waits for a started run; fails when it takes longer than `seconds` (scaled for slow builds)."""
        started = time.monotonic()
        try:
            out, err = process.communicate(timeout=seconds * SLOWNESS)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            self.fail("still running after %.0f s\n%s\n%s" % (seconds * SLOWNESS, out.decode("utf-8", "replace"),
                                                              err.decode("utf-8", "replace")))
        return Result(process.args, process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"),
                      time.monotonic() - started)

    def assertSame(self, differences, context=""):
        if differences:
            shown = "\n  ".join(differences[:40])
            self.fail("%d differences\n  %s\n%s" % (len(differences), shown, context))

    def assertNoTemporaries(self, root):
        found = temporaries(root)
        self.assertEqual([], found[:3], "%d stray temporaries" % len(found))

    def loop_mount(self, kind, megabytes, name):
        """A fresh file system in a file, mounted for the test; skips where that is not permitted."""
        if not is_root():
            self.skipTest("mounting needs root")
        if not shutil.which("mkfs." + kind):
            self.skipTest("mkfs.%s is not installed" % kind)
        image, point = self.path(name + ".img"), self.path(name)
        with open(image, "wb") as file:
            file.truncate(megabytes << 20)
        os.makedirs(point)
        made = run(["mkfs." + kind, "-q"] + (["-F"] if kind == "ext4" else ["-f"]) + [image])
        if made.code:
            self.skipTest("mkfs.%s: %s" % (kind, made.stderr.strip()))
        return self._mount(["mount", "-o", "loop", image, point], point)

    def tmpfs(self, size, name):
        if not is_root():
            self.skipTest("mounting needs root")
        point = self.path(name)
        os.makedirs(point)
        return self._mount(["mount", "-t", "tmpfs", "-o", "size=" + size, "tmpfs", point], point)

    def _mount(self, command, point):
        mounted = run(command)
        if mounted.code:
            self.skipTest("cannot mount here: %s" % mounted.stderr.strip())
        self.addCleanup(run, ["umount", "-l", point])  # an agent that pins it may end later
        return point


def alive(pid):
    """False for a zombie too."""
    try:
        with open("/proc/%d/stat" % pid) as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition, seconds, what):
    """Polls until `condition()` is true; an AssertionError names what never came."""
    deadline = time.monotonic() + seconds * SLOWNESS
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("never came within %.0f s: %s" % (seconds * SLOWNESS, what))
        time.sleep(0.005)


def wait_unlocked(root):
    """Until no session writes below the destination `root`: one whose command was killed may still be ending."""
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)

    def unlocked():
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
    try:
        wait_until(unlocked, 60, "the session that writes to %s to end" % root)
    finally:
        os.close(fd)


def temporaries(root):
    """Temporaries of the product anywhere below `root`."""
    found = run(["find", root, "-name", ".~uringsync~????????????????.*.tmp"])
    return found.stdout.splitlines()


def has_rsync():
    return shutil.which("rsync") is not None


def rsync_differences(src, dst, *options):
    """What rsync would still do after a sync: an empty list where it agrees that the trees are equal."""
    # --modify-window=-1: times in nanoseconds.
    result = run(["rsync", "-aHAXSn", "--numeric-ids", "--modify-window=-1", "--delete", "-i", *options, os.path.join(src, ""), os.path.join(dst, "")])
    if result.code not in (0, 23):
        raise AssertionError(str(result))
    return [line for line in result.stdout.splitlines() if line.strip()]


def main():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    mounts.keep_to_ourselves()
    for program in (CLI, AGENT):
        if not os.access(program, os.X_OK):
            sys.exit("%s is missing: build first, or set URINGSYNC_BIN_DIR" % program)
    unittest.main(verbosity=2)
