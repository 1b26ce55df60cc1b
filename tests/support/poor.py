"""File systems that lack things, or fail (tests/support/poor_fs): mounting them, ruling them, and asking how often they were asked.

    poor = PoorMount(case, "disk", ["exchange", "link"])     # skips where FUSE cannot be mounted
    ... runs below poor.point; what is there lies in poor.backing too ...
    poor.rule("fail write ENOSPC 3")
    poor.refusals(), poor.calls()
"""

import os
import subprocess

import harness

PROGRAM = os.path.join(harness.BIN_DIR, "poor_fs")
MOUNT_SECONDS = 20


class PoorMount:
    def __init__(self, case, name, refused=(), direct=False):
        if not harness.is_root():
            case.skipTest("mounting needs root")
        if not os.path.exists("/dev/fuse"):
            case.skipTest("there is no FUSE here")
        self.backing, self.point = case.path(name + "-backing"), case.path(name)
        os.makedirs(self.backing)
        os.makedirs(self.point)
        command = [PROGRAM] + (["--direct"] if direct else [])
        for refusal in refused:
            command += ["--refuse", refusal]
        self.log = open(case.path(name + ".log"), "w+b")
        self.process = subprocess.Popen(command + [self.backing, self.point], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        case.addCleanup(self.end)
        self._control = None
        harness.wait_until(lambda: self.process.poll() is not None or os.path.ismount(self.point), MOUNT_SECONDS, "a FUSE mount")
        if self.process.poll() is not None:
            self.log.seek(0)
            case.skipTest("FUSE cannot be mounted: " + self.log.read().decode("utf-8", "replace").strip())
        # Kept open: rules may be that nothing can be opened, or looked at.
        self._control = os.open(os.path.join(self.point, ".poor_fs"), os.O_RDWR | os.O_CLOEXEC)

    def end(self):
        if self._control is not None:
            os.close(self._control)
        harness.run(["umount", "-l", self.point])
        try:
            self.process.wait(MOUNT_SECONDS * harness.SLOWNESS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()

    def path(self, *parts):
        return os.path.join(self.point, *parts)

    def rule(self, *lines):
        """Rules as in poor_fs/call_rules.h; "clear" forgets all of them and the counts."""
        os.pwrite(self._control, "".join(line + "\n" for line in lines).encode(), 0)

    def _counts(self, kind):
        lines = os.pread(self._control, 1 << 16, 0).decode().splitlines()
        return {name: int(count) for which, name, count in (line.split() for line in lines) if which == kind}

    def refusals(self):
        """How often each thing was asked for and refused."""
        return self._counts("refused")

    def calls(self):
        """How often each call was made that was not refused."""
        return self._counts("call")
