#!/usr/bin/env python3
"""What the holder of a certificate may do in an agent's roots, and what not."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402


class Access(harness.Case):
    def setUp(self):
        super().setUp()
        for name in ("data", "src", "src/dir"):
            os.mkdir(self.path(name))
        self.write("src/file", "new")
        self.write("src/dir/below", "below")

    def write(self, path, text):
        with open(self.path(path), "w") as file:
            file.write(text)

    def serving(self, *grants):
        """The endpoint of the root `data`, served under these grants."""
        return self.agent({"data": self.path("data")}, *[word for grant in grants for word in ("--allow", grant)]).endpoint("data")

    def test_an_agent_that_was_told_of_nobody_does_not_start(self):
        command = [harness.AGENT, "--root", "data=" + self.path("data"), "--listen", "127.0.0.1:0", "--data-listen", "127.0.0.1:0"]
        done = subprocess.run(command + self.certificates().server, capture_output=True, text=True, timeout=30)
        self.assertEqual(done.returncode, 1)
        self.assertIn("--allow WHO=ROOT:VERBS", done.stderr)

    def test_who_may_read_may_not_write(self):
        self.write("data/kept", "kept")
        root = self.serving("cli=data:read")
        self.sync(root, self.path("copy"))
        self.assertEqual(os.listdir(self.path("copy")), ["kept"])
        refused = self.sync(self.path("src"), root, code=3)
        self.assertIn("cli may not write in root 'data'", refused.stderr)
        self.assertIn("--allow 'cli=data:write'", refused.stderr)
        self.assertEqual(os.listdir(self.path("data")), ["kept"])
        refused = self.sync(root, self.path("copy"), "--remove-source-files", code=3)
        self.assertTrue(os.path.exists(self.path("data/kept")))

    def test_who_may_write_may_not_read_nor_delete(self):
        self.write("data/kept", "kept")
        root = self.serving("cli=data:write")
        self.sync(self.path("src"), root)
        self.assertTrue(os.path.exists(self.path("data/dir/below")))
        self.assertIn("may not read", self.sync(root, self.path("copy"), code=3).stderr)
        self.assertIn("may not read", self.sync(root, self.path("copy"), "--remove-source-files", code=3).stderr)
        self.assertFalse(os.path.exists(self.path("copy/kept")))
        self.assertIn("may not read", self.cli("verify", self.path("src"), root, code=3).stderr)
        self.assertIn("may not read", self.cli("plan", self.path("src"), root, code=3).stderr)
        self.sync(self.path("src"), root, "--exclude=nothing")
        refused = self.sync(self.path("src"), root, "--delete", code=23)
        self.assertIn("grants no delete", refused.stderr)
        self.assertTrue(os.path.exists(self.path("data/kept")))

    def test_who_removes_sources_needs_to_read_write_and_delete(self):
        self.write("data/kept", "kept")
        for verbs in ("write,delete", "read,delete", "read,write"):
            with self.subTest(verbs=verbs):
                self.sync(self.serving("cli=data:" + verbs), self.path("copy"), "--remove-source-files", code=3)
                self.assertTrue(os.path.exists(self.path("data/kept")))
        self.sync(self.serving("cli=data:read,write,delete"), self.path("copy"), "--remove-source-files")
        self.assertFalse(os.path.exists(self.path("data/kept")))

    def test_a_root_of_somebody_else_is_not_there(self):
        refused = self.sync(self.serving("somebody=data:all"), self.path("copy"), code=3)
        self.assertIn("no root 'data' here", refused.stderr)
        self.assertFalse(os.path.exists(self.path("copy/file")))

    @harness.unittest.skipUnless(harness.is_root(), "needs root")
    def test_owners_and_devices_need_verbs_of_their_own(self):
        os.chown(self.path("src/file"), 1234, 1235)
        os.mknod(self.path("src/null"), 0o20666, os.makedev(1, 3))
        root = self.serving("cli=data:write")
        told = self.sync(self.path("src"), root)
        self.assertEqual((os.stat(self.path("data/file")).st_uid, os.stat(self.path("data/file")).st_gid), (0, 0))
        self.assertFalse(os.path.exists(self.path("data/null")), told.stderr)
        # What is no part of the asked state is no difference the next time.
        self.assertEqual(self.sync(self.path("src"), root, "--json").summary["plan"]["actions"], 0)
        root = self.serving("cli=data:write,chown,device")
        self.sync(self.path("src"), root)
        self.assertEqual((os.stat(self.path("data/file")).st_uid, os.stat(self.path("data/file")).st_gid), (1234, 1235))
        self.assertTrue(os.path.exists(self.path("data/null")))


if __name__ == "__main__":
    harness.main()
