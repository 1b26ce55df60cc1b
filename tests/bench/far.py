"""A long way between two hosts: the contenders of the latency rows, each through tests/bench/latency_relay.cc.

The relay stands on 127.0.0.2, so that an agent behind it has the same ports on both sides and the data ports that agents tell each
other lead through it too. The command, the source and the control of the destination are on one side, as with rsync, which pushes to a
daemon; with two agents the source's own ports are behind the relay as well."""

import os
import subprocess

import contenders
import harness

FAR = "127.0.0.2"


class Relay:
    """The relay in front of `ports` of 127.0.0.1, while in use."""

    def __init__(self, link, ports):
        self.command = [os.path.join(harness.BIN_DIR, "latency_relay"), *link,
                        *["%s:%d=127.0.0.1:%d" % (FAR, port, port) for port in ports]]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if not self.process.stdout.readline().startswith("ready"):
            raise RuntimeError("%s did not start" % " ".join(self.command))
        return self

    def __exit__(self, *exception):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class Far:
    """Mixed into a contender: it takes part in the rows with a link, and in no others."""

    def takes(self, workload):
        return workload.link is not None

    def missing(self):
        reason = super().missing()
        if not reason and not os.path.exists(os.path.join(harness.BIN_DIR, "latency_relay")):
            return "latency_relay is not built"
        return reason


class FarAgents(Far, contenders.Agents):
    def run(self, src, dst, workload, guarantee):
        certificates = harness.Certificates(os.path.join(self.setting.directory, "far-certs"), "localhost,127.0.0.1," + FAR)
        pair = []
        try:
            for path in (os.path.dirname(src), os.path.dirname(dst)):
                pair.append(harness.Agent({"r": path}, certificates, ["--io-backend", self.backend, *self.setting.jobs],
                                          prefix=self.setting.prefix))
            ends = ["agent://%s:%d/r/%s" % (FAR, agent.port, os.path.basename(path)) for agent, path in zip(pair, (src, dst))]
            with Relay(workload.link, [port for agent in pair for port in (agent.port, agent.data_port)]):
                return contenders.measure(self.setting.prefix + [harness.CLI, "sync", *self.flags(workload, guarantee), *ends,
                                                                 *certificates.client], [agent.pid for agent in pair])
        finally:
            for agent in pair:
                agent.stop()


class FarLocal(Far, contenders.Agents):
    """From a local path: no port of this side is needed."""

    def __init__(self, setting, backend):
        super().__init__(setting, backend)
        self.name = "uringsync, path to agent, TLS (%s)" % backend

    def run(self, src, dst, workload, guarantee):
        certificates = harness.Certificates(os.path.join(self.setting.directory, "far-certs"), "localhost,127.0.0.1," + FAR)
        agent = harness.Agent({"r": os.path.dirname(dst)}, certificates, ["--io-backend", self.backend, *self.setting.jobs],
                              prefix=self.setting.prefix)
        try:
            end = "agent://%s:%d/r/%s" % (FAR, agent.port, os.path.basename(dst))
            with Relay(workload.link, [agent.port, agent.data_port]):
                return contenders.measure(
                    self.setting.prefix + [harness.CLI, "sync", "--io-backend", self.backend, *self.setting.jobs,
                                           *self.flags(workload, guarantee), src, end, *certificates.client], [agent.pid])
        finally:
            agent.stop()


class FarRsync(Far, contenders.RsyncDaemon):
    def address(self, port, workload):
        return FAR

    def around(self, port, workload):
        return Relay(workload.link, [port])


def everyone(setting):
    return [FarAgents(setting, "uring"), FarAgents(setting, "threads"), FarLocal(setting, "uring"), FarRsync(setting)]
