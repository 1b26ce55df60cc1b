"""A real sshd on the loopback, with keys and a configuration of its own, for one test."""

import os
import shutil
import socket
import subprocess

import harness

# What a user's ssh is told, so that nothing of this machine's configuration counts.
OPTIONS = "-F none -o StrictHostKeyChecking=no -o BatchMode=yes -o LogLevel=ERROR -o IdentitiesOnly=yes"


class Server:
    """Ends with the test. The test is skipped where no sshd is installed, or where it does not start or lets nobody in."""

    def __init__(self, case, path):
        """`path`: the PATH of the commands that it runs."""
        self.case = case
        program = shutil.which("sshd", path=os.environ["PATH"] + ":/usr/sbin:/sbin")
        if program is None or shutil.which("ssh") is None or shutil.which("ssh-keygen") is None:
            case.skipTest("sshd or ssh is not installed")
        for key in ("host", "user"):
            harness.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", case.path(key)])
        shutil.copy(case.path("user.pub"), case.path("authorized"))
        if harness.is_root():
            os.makedirs("/run/sshd", exist_ok=True)
        self.port = free_port()
        with open(case.path("sshd_config"), "w") as file:
            file.write("Port %d\nListenAddress 127.0.0.1\nHostKey %s\nAuthorizedKeysFile %s\nPidFile none\nStrictModes no\n"
                       "PasswordAuthentication no\nUsePAM no\nPermitRootLogin yes\nMaxStartups 100\nSetEnv PATH=%s\n"
                       % (self.port, case.path("host"), case.path("authorized"), path))
        self.log = open(case.path("sshd.log"), "wb")
        case.addCleanup(self.log.close)
        self.process = subprocess.Popen([program, "-D", "-e", "-f", case.path("sshd_config")], stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=self.log)
        case.addCleanup(self.process.wait)
        case.addCleanup(self.process.terminate)
        self.ssh = "ssh %s -p %d -i %s -o UserKnownHostsFile=%s" % (OPTIONS, self.port, case.path("user"), case.path("known"))
        harness.wait_until(self.answers, 30, "sshd on port %d" % self.port)

    def answers(self):
        if self.process.poll() is not None:
            with open(self.case.path("sshd.log")) as log:
                self.case.skipTest("sshd does not start here: " + log.read().strip()[-300:])
        probe = harness.run(self.ssh.split() + ["127.0.0.1", "true"])
        if probe.code and "Permission denied" in probe.stderr:
            self.case.skipTest("sshd lets nobody in here: " + probe.stderr.strip())
        return probe.code == 0


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
