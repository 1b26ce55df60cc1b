#!/usr/bin/env python3
"""The scripts of everyday.py with `rsync` on the PATH being rsync, then ursync: the same trees, exit codes and output.

A script whose options ursync does not support is skipped, and says which.
"""

import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import everyday  # noqa: E402
import harness  # noqa: E402
import intended  # noqa: E402
import regressions  # noqa: E402
import runner  # noqa: E402
import scenario  # noqa: E402
import sshd  # noqa: E402
import support  # noqa: E402

PROGRAM = os.environ.get("URINGSYNC_COMPAT_PROGRAM", os.path.join(harness.BIN_DIR, "ursync"))
LEAST_SCRIPTS = 30


# A real ssh to the test's own sshd, whatever host was named, in the directory where it was called.
REAL_SSH = """#!/bin/sh
while true; do
  case $1 in
    -l|-p|-o) shift 2;;
    -*) shift;;
    *) break;;
  esac
done
host=$1
shift
exec %s -o HostName=127.0.0.1 "$host" "cd '$PWD' && PATH=$PATH && export PATH && $*"
"""


def make_shell(directory, program, path, ssh_command=None):
    """A shell whose `rsync` is the program. Its `ssh` leads to this host: through `ssh_command`, or else by dropping the host. Returns its path."""
    os.makedirs(os.path.join(directory, "bin"))
    os.symlink(program, os.path.join(directory, "bin", "rsync"))
    shell, ssh = os.path.join(directory, "shell"), os.path.join(directory, "bin", "ssh")
    with open(ssh, "w") as file:
        file.write(REAL_SSH % ssh_command if ssh_command else scenario.REMOTE_SHELL.data.decode())
    with open(shell, "w") as file:
        file.write("#!/bin/sh\nPATH=%s:%s:$PATH\nexport PATH\nexec sh -eu -c \"$1\"\n" % (os.path.join(directory, "bin"), path))
    for path in (ssh, shell):
        os.chmod(path, 0o755)
    return shell


@harness.unittest.skipUnless(harness.has_rsync(), "rsync is not installed")
class Everyday(harness.Case):
    """Each script is a test of its own: see below."""

    def check(self, name, remote=False):
        """`remote`: over a real sshd."""
        world, script = everyday.SCRIPTS[name]
        case = regressions.Case(name, world, [script])
        ours_at, theirs_at = self.path("ours-bin"), self.path("theirs-bin")
        # ursync is known by its name: what the PATH calls rsync is a script.
        os.makedirs(ours_at)
        shim = os.path.join(ours_at, "shim")
        with open(shim, "w") as file:
            file.write("#!/bin/sh\nexec %s \"$@\"\n" % PROGRAM)
        os.chmod(shim, 0o755)
        ssh = sshd.Server(self, os.environ["PATH"]).ssh.replace("ssh", shutil.which("ssh"), 1) if remote else None
        pair = runner.Pair(make_shell(os.path.join(ours_at, "at"), shim, os.path.dirname(PROGRAM), ssh), self.dir,
                           make_shell(theirs_at, shutil.which("rsync"), "/", ssh))
        theirs, ours, found = pair.run(case)
        self.assertFalse(theirs.died(), theirs.stderr)
        refused = support.REFUSAL.search(ours.stderr)
        if refused:
            self.skipTest(refused.group().decode().strip())
        left = intended.sort_out(case, theirs, ours, found)[0]
        self.assertSame(left, "%s\n--- standard error\n%s" % (script, ours.stderr.decode("utf-8", "replace")))

    def test_there_are_enough_of_them(self):
        self.assertGreaterEqual(len(everyday.SCRIPTS), LEAST_SCRIPTS)


def _test_of(name, remote):
    def test(self):
        self.check(name, remote)
    return test


for _name, (_, _script) in everyday.SCRIPTS.items():
    setattr(Everyday, "test_" + _name, _test_of(_name, False))
    if everyday.REMOTE.search(_script):
        setattr(Everyday, "test_" + _name + "_and_a_real_sshd", _test_of(_name, True))


if __name__ == "__main__":
    harness.unittest.main(verbosity=2)
