"""Who copies: each contender is started the same way, timed from start to exit, with its CPU seconds and peak memory per process."""

import contextlib
import json
import os
import pwd
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

SAMPLE_S = 0.05
HELPERS = ("sh", "bash", "env", "taskset", "python3")  # start what is measured
DELTAS = ("edits", "insert")  # trees that change a file that is there


class Sampler(threading.Thread):
    """Notes the peak resident memory of processes and all their descendants, by program, while they live."""

    def __init__(self, pids):
        super().__init__(daemon=True)
        self.pids, self.peaks, self.done = list(pids), {}, threading.Event()

    def look(self):
        pending = list(self.pids)
        while pending:
            pid = pending.pop()
            try:
                with open("/proc/%d/task/%d/children" % (pid, pid)) as file:
                    pending += [int(word) for word in file.read().split()]
                with open("/proc/%d/status" % pid) as file:
                    status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
                self.peaks[pid] = (status["Name"], int(status["VmHWM"].split()[0]))
            except (OSError, KeyError, ValueError):
                continue  # it has just ended

    def run(self):
        while not self.done.wait(SAMPLE_S):
            self.look()

    def finish(self):
        self.done.set()
        self.join()
        return [{"process": name, "peak_kib": peak} for name, peak in self.peaks.values() if name not in HELPERS]


def tree_cpu(pid):
    """CPU seconds of a process and of its children that it has reaped."""
    with open("/proc/%d/stat" % pid) as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def measure(command, servers=()):
    """Runs `command` to its end. servers: pids that work for it. Returns seconds, CPU seconds and peaks; a failure raises."""
    before = sum(tree_cpu(pid) for pid in servers)
    log = open(os.path.join(os.environ["URINGSYNC_BENCH_DIR"], "log"), "w+b")
    started = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    sampler = Sampler([process.pid, *servers])
    sampler.start()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - started
    sampler.look()
    process.returncode = os.waitstatus_to_exitcode(status)
    peaks = sampler.finish()
    if process.returncode:
        log.seek(0)
        raise RuntimeError("%s ended with %d:\n%s" % (" ".join(command), process.returncode, log.read(4000).decode("utf-8", "replace")))
    log.seek(0)
    output = log.read().decode("utf-8", "replace")
    log.close()
    time.sleep(0.1 if servers else 0)  # a server reaps the child that served this run
    cpu = usage.ru_utime + usage.ru_stime + sum(tree_cpu(pid) for pid in servers) - before
    return {"seconds": seconds, "cpu_seconds": cpu, "peaks": peaks, "output": output}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A program that listens on a port of loopback, from its answering to its end."""

    def __init__(self, command, port, what):
        self.command, self.port, self.what = command, port, what

    def answers(self):
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            harness.wait_until(self.answers, 10, self.what)
        except BaseException:
            self.__exit__()
            raise
        return self.process

    def __exit__(self, *exception):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


class Setting:
    """What all contenders of a run share."""

    def __init__(self, directory, cores=None):
        self.directory, self.cores = directory, cores

    @property
    def prefix(self):
        """Keeps a contender, whoever it is, to the first cores."""
        return ["taskset", "-c", "0-%d" % (self.cores - 1)] if self.cores else []

    @property
    def jobs(self):
        return ["--jobs", str(self.cores)] if self.cores else []


class Contender:
    """Copies `src` to `dst` once; subclasses give the command and start what it needs.

    `guarantee`: "equal", what rsync -aHAX promises (nothing about power cuts), or "default", what uringsync does when nothing is asked
    for, beside rsync with --fsync."""

    name = ""
    rival = "rsync"  # whom its ratio is against
    two_hosts = False  # source and destination speak over a socket
    ours = False
    guarantees = ("equal", "default")

    def __init__(self, setting):
        self.setting = setting

    def missing(self):
        """Why it cannot take part here; empty: it can."""
        return ""

    def takes(self, workload):
        return workload.link is None and (self.two_hosts or not workload.delta)

    def command(self, src, dst, workload, guarantee):
        raise NotImplementedError

    def run(self, src, dst, workload, guarantee):
        return measure(self.setting.prefix + self.command(src, dst, workload, guarantee))


class Ours(Contender):
    ours = True

    def __init__(self, setting, backend):
        super().__init__(setting)
        self.backend = backend

    def missing(self):
        return "" if self.backend != "uring" or harness.uring_works() else "io_uring is not usable here"

    def flags(self, workload, guarantee):
        return ["--quiet", *(["--durability", "none"] if guarantee == "equal" else []), *workload.flags]


class Local(Ours):
    def __init__(self, setting, backend):
        super().__init__(setting, backend)
        self.name = "uringsync (%s)" % backend

    def command(self, src, dst, workload, guarantee):
        return [harness.CLI, "sync", "--io-backend", self.backend, *self.setting.jobs, *self.flags(workload, guarantee), src, dst]


class Agents(Ours):
    rival = "rsync daemon"
    two_hosts = True

    def flags(self, workload, guarantee):
        flags = super().flags(workload, guarantee)
        return ["--json" if workload.delta and flag == "--quiet" else flag for flag in flags]

    def __init__(self, setting, backend):
        super().__init__(setting, backend)
        self.name = "uringsync, 2 agents, TLS (%s)" % backend

    def run(self, src, dst, workload, guarantee):
        certificates = harness.Certificates(os.path.join(self.setting.directory, "certs"))
        pair = []
        try:
            for path in (os.path.dirname(src), os.path.dirname(dst)):
                pair.append(harness.Agent({"r": path}, certificates, ["--io-backend", self.backend, *self.setting.jobs],
                                          prefix=self.setting.prefix))
            command = [harness.CLI, "sync", *self.flags(workload, guarantee), pair[0].endpoint("r", os.path.basename(src)),
                       pair[1].endpoint("r", os.path.basename(dst)), *certificates.client]
            sample = measure(self.setting.prefix + command, [agent.pid for agent in pair])
            if workload.delta:
                sample["wire_bytes"] = json.loads(sample["output"].splitlines()[-1])["apply"]["wire_bytes"]
            return sample
        finally:
            for agent in pair:
                agent.stop()


class Indexed(Agents):
    """Two agents whose live indexes are complete and agree before the clock starts: only what changed is looked at."""

    rival = "rsync"
    patience_s = 300

    def __init__(self, setting, backend):
        super().__init__(setting, backend)
        self.name = "uringsync, live index (%s)" % backend

    def takes(self, workload):
        return super().takes(workload) and workload.name.startswith("nothing")

    def run(self, src, dst, workload, guarantee):
        certificates = harness.Certificates(os.path.join(self.setting.directory, "certs"))
        pair = []
        try:
            for path in (os.path.dirname(src), os.path.dirname(dst)):
                pair.append(harness.Agent({"r": path}, certificates, ["--io-backend", self.backend, "--index", *self.setting.jobs],
                                          prefix=self.setting.prefix))
            ends = [pair[0].endpoint("r", os.path.basename(src)), pair[1].endpoint("r", os.path.basename(dst)), *certificates.client]

            def told():
                result = harness.run([harness.CLI, "sync", "--json", *workload.flags, *ends], timeout=self.patience_s)
                plan = result.summary["plan"]
                return plan["told_by_index"] == plan["source_objects"]
            harness.wait_until(told, self.patience_s, "complete indexes")
            return measure(self.setting.prefix + [harness.CLI, "sync", *self.flags(workload, guarantee), *ends],
                           [agent.pid for agent in pair])
        finally:
            for agent in pair:
                agent.stop()


class Rsync(Contender):
    name = "rsync"

    def missing(self):
        return "" if shutil.which("rsync") else "rsync is not installed"

    def flags(self, workload, guarantee):
        return ["-aHAX", "--numeric-ids", *(["--fsync"] if guarantee == "default" else []), *workload.rsync_flags]

    def command(self, src, dst, workload, guarantee):
        return ["rsync", *self.flags(workload, guarantee), src + "/", dst + "/"]


class RsyncDaemon(Rsync):
    name = "rsync daemon"
    rival = "rsync daemon"
    two_hosts = True

    def address(self, port, workload):
        return "127.0.0.1"

    def around(self, port, workload):
        """What stands in front of the daemon while it is measured."""
        return contextlib.nullcontext()

    def run(self, src, dst, workload, guarantee):
        port = free_port()
        config = os.path.join(self.setting.directory, "rsyncd.conf")
        with open(config, "w") as file:
            file.write("use chroot = no\nnumeric ids = yes\n%s[d]\npath = %s\nread only = no\n" % (
                "uid = root\ngid = root\n" if harness.is_root() else "", os.path.dirname(dst)))
        command = ["rsync", "--daemon", "--no-detach", "--address=127.0.0.1", "--port=%d" % port, "--config=" + config]
        with Server(self.setting.prefix + command, port, "the rsync daemon") as daemon, self.around(port, workload):
            sample = measure(self.setting.prefix + ["rsync", *self.flags(workload, guarantee), src + "/", "rsync://%s:%d/d/%s/" % (
                self.address(port, workload), port, os.path.basename(dst))], [daemon.pid])
            if workload.delta:
                sample["wire_bytes"] = sum(int(count.replace(",", "")) for count in re.findall(
                    r"Total bytes (?:sent|received): ([\d,]+)", sample["output"]))
            return sample


class RsyncSsh(Rsync):
    """rsync through an ssh server of its own: loopback, keys made for this run."""

    name = "rsync over ssh"
    rival = "rsync over ssh"

    def missing(self):
        if super().missing():
            return super().missing()
        if not (shutil.which("ssh") and shutil.which("ssh-keygen")):
            return "no ssh client is installed"
        try:
            pwd.getpwnam("sshd")  # it drops its privileges to that user
        except KeyError:
            return "there is no user sshd (Debian: openssh-server makes it)"
        if not self.sshd():
            return "no ssh server is installed (Debian: openssh-server)"
        return "" if harness.is_root() else "an ssh server of its own needs root"

    @staticmethod
    def sshd():
        return shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")

    def prepare(self):
        """The directory of keys and configuration; made once."""
        place = os.path.join(self.setting.directory, "ssh")
        if not os.path.exists(place):
            os.makedirs(place, mode=0o700)
            os.makedirs("/run/sshd", exist_ok=True)  # the server's own; it refuses to start without
            for name in ("host", "user"):
                subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", os.path.join(place, name)], check=True)
            shutil.copy(os.path.join(place, "user.pub"), os.path.join(place, "authorized"))
        return place

    def run(self, src, dst, workload, guarantee):
        place, port = self.prepare(), free_port()
        config = os.path.join(place, "sshd_config")
        with open(config, "w") as file:
            file.write("Port %d\nListenAddress 127.0.0.1\nHostKey %s/host\nAuthorizedKeysFile %s/authorized\nStrictModes no\nUsePAM no\n"
                       "PasswordAuthentication no\nPermitRootLogin prohibit-password\nPidFile none\nUseDNS no\n"
                       # A login shell that takes this for a nested one leaves its start-up files alone.
                       "SetEnv SHLVL=2\n" % (port, place, place))
        shell = ("ssh -p %d -i %s/user -F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=%s/known -o BatchMode=yes"
                 " -o LogLevel=ERROR" % (port, place, place))
        with Server(self.setting.prefix + [self.sshd(), "-D", "-e", "-f", config], port, "the ssh server") as server:
            command = [*self.program(), "-e", shell, *self.flags(workload, guarantee), src + "/", "127.0.0.1:%s/" % dst]
            return measure(self.setting.prefix + command, [server.pid])

    def program(self):
        return ["rsync"]


class UrsyncSsh(RsyncSsh):
    """The same command line of ursync: contents go through the shell, or with --direct beside it."""

    ours = True

    def __init__(self, setting, direct):
        super().__init__(setting)
        self.direct = direct
        self.name = "ursync over ssh" + (", --direct" if direct else "")

    def program(self):
        return [os.path.join(harness.BIN_DIR, "ursync"), "--rsync-path", os.path.join(harness.BIN_DIR, "uringsync-agent"),
                *(["--direct"] if self.direct else [])]


class Copy(Contender):
    name = "cp -a"
    guarantees = ("equal",)

    def takes(self, workload):
        return super().takes(workload) and not workload.only_updaters

    def command(self, src, dst, workload, guarantee):
        return ["cp", "-a", src + "/.", dst]


class Tar(Copy):
    name = "tar | tar"

    def command(self, src, dst, workload, guarantee):
        sparse = "S" if workload.name == "sparse" else ""
        return ["sh", "-c", "mkdir -p %s && tar -C %s -c%sf - . | tar -C %s -xpf -" % (
            shlex.quote(dst), shlex.quote(src), sparse, shlex.quote(dst))]


class Reference(Contender):
    """Plain system calls that take the same steps (reference.cc)."""

    guarantees = ("equal",)

    def __init__(self, setting):
        super().__init__(setting)
        self.threads = setting.cores or 2
        self.name = "plain calls, %d thread%s" % (self.threads, "" if self.threads == 1 else "s")

    def program(self):
        return os.path.join(harness.BIN_DIR, "bench_reference")

    def missing(self):
        return "" if os.path.exists(self.program()) else "bench_reference is not built"

    def takes(self, workload):
        return super().takes(workload) and workload.reference is not None

    def command(self, src, dst, workload, guarantee):
        return ["env", "BENCH_REFERENCE_THREADS=%d" % self.threads, self.program(), workload.reference, src, dst]


def everyone(setting):
    return [Local(setting, "uring"), Local(setting, "threads"), Reference(setting), Rsync(setting), Copy(setting), Tar(setting),
            Agents(setting, "uring"), Agents(setting, "threads"), Indexed(setting, "uring"),
            RsyncDaemon(setting), RsyncSsh(setting), UrsyncSsh(setting, False), UrsyncSsh(setting, True)]
