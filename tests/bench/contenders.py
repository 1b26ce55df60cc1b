"""Who copies: each contender is started the same way, timed from start to exit, with its CPU seconds and peak memory per process."""

import os
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
        return [{"process": name, "peak_kib": peak} for name, peak in self.peaks.values() if name not in ("sh", "python3")]


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
    log.close()
    time.sleep(0.1 if servers else 0)  # a server reaps the child that served this run
    cpu = usage.ru_utime + usage.ru_stime + sum(tree_cpu(pid) for pid in servers) - before
    return {"seconds": seconds, "cpu_seconds": cpu, "peaks": peaks}


class Contender:
    """Copies `src` to `dst` once; subclasses give the command and start what it needs."""

    name = ""
    rival = "rsync"  # whom its ratio is against

    def available(self):
        return True

    def run(self, src, dst, tree):
        return measure(self.command(src, dst, tree))


class Local(Contender):
    def __init__(self, backend, extra):
        self.backend, self.extra = backend, extra
        self.name = "uringsync (%s)" % backend

    def available(self):
        return self.backend != "uring" or harness.uring_works()

    def command(self, src, dst, tree):
        return [harness.CLI, "sync", "--quiet", "--io-backend", self.backend, *self.extra, src, dst]


class Agents(Contender):
    rival = "rsync daemon"

    def __init__(self, backend, extra, directory):
        self.backend, self.extra, self.directory = backend, extra, directory
        self.name = "uringsync, 2 agents, TLS (%s)" % backend

    def available(self):
        return self.backend != "uring" or harness.uring_works()

    def run(self, src, dst, tree):
        certificates = harness.Certificates(os.path.join(self.directory, "certs"))
        pair = []
        try:
            for path in (os.path.dirname(src), os.path.dirname(dst)):
                pair.append(harness.Agent({"r": path}, certificates, ["--io-backend", self.backend]))
            command = [harness.CLI, "sync", "--quiet", *self.extra, pair[0].endpoint("r", os.path.basename(src)),
                       pair[1].endpoint("r", os.path.basename(dst)), *certificates.client]
            return measure(command, [agent.pid for agent in pair])
        finally:
            for agent in pair:
                agent.stop()


class Rsync(Contender):
    name = "rsync"

    def available(self):
        return shutil.which("rsync") is not None

    def flags(self, tree):
        return ["-aHAX", "--numeric-ids"] + (["-S"] if tree == "sparse" else [])

    def command(self, src, dst, tree):
        return ["rsync", *self.flags(tree), src + "/", dst + "/"]


class RsyncDaemon(Rsync):
    name = "rsync daemon"
    rival = "rsync daemon"

    def __init__(self, directory):
        self.directory = directory

    def run(self, src, dst, tree):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        config = os.path.join(self.directory, "rsyncd.conf")
        with open(config, "w") as file:
            file.write("use chroot = no\nnumeric ids = yes\n%s[d]\npath = %s\nread only = no\n" % (
                "uid = root\ngid = root\n" if harness.is_root() else "", os.path.dirname(dst)))
        daemon = subprocess.Popen(["rsync", "--daemon", "--no-detach", "--address=127.0.0.1", "--port=%d" % port, "--config=" + config],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            def answers():
                with socket.socket() as client:
                    return client.connect_ex(("127.0.0.1", port)) == 0
            harness.wait_until(answers, 10, "the rsync daemon")
            return measure(["rsync", *self.flags(tree), src + "/", "rsync://127.0.0.1:%d/d/%s/" % (port, os.path.basename(dst))],
                           [daemon.pid])
        finally:
            daemon.send_signal(signal.SIGTERM)
            daemon.wait()


class Copy(Contender):
    name = "cp -a"

    def command(self, src, dst, tree):
        return ["cp", "-a", src + "/.", dst]


class Tar(Contender):
    name = "tar | tar"

    def command(self, src, dst, tree):
        sparse = "S" if tree == "sparse" else ""
        return ["sh", "-c", "mkdir -p %s && tar -C %s -c%sf - . | tar -C %s -xpf -" % (
            shlex.quote(dst), shlex.quote(src), sparse, shlex.quote(dst))]


def everyone(directory, extra):
    return [Local("uring", extra), Local("threads", extra), Rsync(), Copy(), Tar(),
            Agents("uring", extra, directory), Agents("threads", extra, directory), RsyncDaemon(directory)]
