#!/usr/bin/env python3
"""--direct: what goes through the remote shell, and what does not."""

import os
import socket
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
from shell_case import FAKE_SHELL, ShellCase  # noqa: E402

# Keeps what goes through it, both ways.
RECORDING_SHELL = FAKE_SHELL.replace('exec sh -c "echo \\$\\$ >> %(pids)s; exec $*"', 'tee -a %(log)s.in | sh -c "$*" | tee -a %(log)s.out')


class Direct(ShellCase):
    """--direct: the shell carries control, and contents take connections of their own where that can be."""

    def setUp(self):
        super().setUp()
        self.small_tree(self.src, 100)
        self.write(os.path.join(self.src, "large"), os.urandom(10 << 20))
        self.rsh = self.shell("rsh", text=RECORDING_SHELL)

    def carried(self):
        total = 0
        for end in (".in", ".out"):
            total += os.path.getsize(self.path("log") + end)
            os.unlink(self.path("log") + end)
        return total

    def test_contents_pass_the_shell_by_in_every_direction(self):
        for backend in harness.BACKENDS:
            if backend == "uring" and not harness.uring_works():
                continue
            with self.subTest(backend=backend):
                options = ["--direct", "--io-backend", backend, "--rsync-path", "uringsync-agent --io-backend " + backend]
                far, back, third = (self.path(name + backend) for name in ("far", "back", "third"))
                for source, destination, copy in ((self.src, "localhost:" + far, far), ("localhost:" + far, back, back),
                                                  ("localhost:" + far, "127.0.0.1:" + third, third)):
                    told = self.shell_sync(*options, source, destination)
                    self.assertEqualTrees(self.src, copy)
                    self.assertEqual(told.stderr, "")
                    self.assertLess(self.carried(), 1 << 20)

    def test_where_nothing_connects_the_shell_carries_everything(self):
        for source, destination, copy in ((self.src, "no-host.invalid:" + self.dst, self.dst),
                                          ("no-host.invalid:" + self.dst, self.path("back"), self.path("back"))):
            told = self.shell_sync("--direct", source, destination)
            self.assertEqualTrees(self.src, copy)
            self.assertIn("no direct connection to no-host.invalid port", told.stderr)
            self.assertEqual(told.stderr.count("through the remote shell"), 1, told.stderr)
            self.assertGreater(self.carried(), 10 << 20)

    def test_a_port_that_is_taken_is_told_and_the_shell_carries(self):
        with socket.socket() as taken:
            taken.bind(("0.0.0.0", 0))
            taken.listen()
            told = self.shell_sync("--direct-port", str(taken.getsockname()[1]), self.src, "localhost:" + self.dst)
        self.assertEqualTrees(self.src, self.dst)
        self.assertIn("--direct-port", told.stderr)
        self.assertIn("through the remote shell", told.stderr)

    def test_a_shell_that_leads_somewhere_else_gets_no_contents_there(self):
        # Somebody else listens at the port of the name that is dialled: it has no key of the run.
        with socket.socket() as stranger:
            stranger.bind(("127.0.0.2", 0))
            stranger.listen()
            port = stranger.getsockname()[1]
            threading.Thread(target=lambda: stranger.accept()[0].close(), daemon=True).start()
            shell = self.shell("bound", text=RECORDING_SHELL.replace("shift\ncd", "shift\nSSH_CONNECTION='127.0.0.1 1 127.0.0.1 1'\n"
                                                                     "export SSH_CONNECTION\ncd"))
            told = self.cli("sync", "-e", shell, "--direct-port", str(port), self.src, "127.0.0.2:" + self.dst)
        self.assertEqualTrees(self.src, self.dst)
        self.assertIn("no direct connection to 127.0.0.2 port %d" % port, told.stderr)

    def test_without_a_remote_shell_it_means_nothing(self):
        told = self.cli("sync", "--direct", self.src, self.dst, code=harness.USAGE)
        self.assertIn("--direct is for HOST:PATH", told.stderr)
        self.assertIn("1 to 65535", self.shell_sync("--direct-port", "0", self.src, "h:x", code=harness.USAGE).stderr)


if __name__ == "__main__":
    harness.main()
