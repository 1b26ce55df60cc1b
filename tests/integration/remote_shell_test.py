#!/usr/bin/env python3
"""HOST:PATH endpoints: the far agent is started through a shell, speaks over its pipes, and is gone with the run."""

import json
import os
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import sshd  # noqa: E402
import zoo  # noqa: E402
from shell_case import FAKE_SHELL, ShellCase, Trees  # noqa: E402

NOT_FOUND, NOT_RUN, SHELL_FAILED, START_FAILED = 127, 126, 255, 14


class RemoteShell(ShellCase):
    def test_push_pull_and_nothing_more_to_do(self):
        self.small_tree(self.src)
        for backend in harness.BACKENDS:
            with self.subTest(backend=backend):
                if backend == "uring" and not harness.uring_works():
                    continue
                far, back = self.path("far-" + backend), self.path("back-" + backend)
                program = "uringsync-agent --io-backend " + backend
                options = ["--io-backend", backend, "--rsync-path", program]
                self.shell_sync(*options, self.src, "user@host:" + far)
                self.assertEqualTrees(self.src, far)
                self.shell_sync(*options, "host:" + far + "/", back)
                self.assertEqualTrees(self.src, back)
                again = self.shell_sync(*options, "-v", self.src, "host:" + far)
                self.assertIn("nothing to do", again.stdout, str(again))
        with open(self.path("log")) as log:
            self.assertTrue(log.readline().startswith("-l user host uringsync-agent --io-backend"))
        self.assertGone(self.far_pids())

    def test_the_zoo_comes_over(self):
        zoo.make(self.src, entries=500, deep=False, huge=False)
        self.shell_sync(self.src, "host:" + self.dst)
        self.assertEqualTrees(self.src, self.dst)

    def test_a_basis_directory_that_is_a_file_is_none(self):
        self.small_tree(self.src, 20)
        self.write(self.path("file"))
        # Of basis directories the next one counts, with whatever number.
        self.shell_sync(self.src, "host:" + self.path("basis"))
        for target in ("host:" + self.dst, "host:" + self.dst + "2"):
            bases = ["--link-dest=" + self.path(name) for name in ("file", "basis", "missing")]
            self.shell_sync(*bases, self.src, target)
        self.assertEqualTrees(self.src, self.dst)
        self.assertTrue(os.path.samefile(os.path.join(self.dst, "d1", "f1"), self.path("basis", "d1", "f1")))
        self.shell_sync("--link-dest=" + self.path("file"), "host:" + self.src + "/", self.dst + "3")
        self.assertEqualTrees(self.src, self.dst + "3")

    def test_paths_are_relative_to_where_the_shell_begins(self):
        self.small_tree(self.src, 20)
        self.shell_sync(self.src, "host:copy")
        self.assertEqualTrees(self.src, os.path.join(self.home, "copy"))
        self.write(os.path.join(self.home, "copy", "more"))
        self.shell_sync("host:copy", self.dst)
        self.assertEqualTrees(os.path.join(self.home, "copy"), self.dst)
        os.rename(os.path.join(self.home, "copy"), self.path("elsewhere"))
        self.small_tree(self.home, 10)
        self.shell_sync("host:", self.path("whole"))
        self.assertEqualTrees(self.home, self.path("whole"))

    def test_from_one_remote_host_to_another(self):
        self.small_tree(self.src)
        self.write(os.path.join(self.src, "large"), os.urandom(30 << 20))
        self.shell_sync("a:" + self.src, "b:" + self.dst)
        self.assertEqualTrees(self.src, self.dst)
        pids = self.far_pids()
        self.assertEqual(2, len(pids))
        self.assertGone(pids)

    def test_within_one_remote_host_one_agent_does_it_all(self):
        self.small_tree(self.src)
        self.shell_sync("a:" + self.src, "a:" + self.dst)
        self.assertEqualTrees(self.src, self.dst)
        self.assertEqual(1, len(self.far_pids()))

    def test_a_large_file_and_many_small_ones_at_once(self):
        self.small_tree(self.src, 3000)
        self.write(os.path.join(self.src, "large"), os.urandom(64 << 20))
        self.shell_sync(self.src, "host:" + self.dst)
        self.assertEqualTrees(self.src, self.dst)
        with open(os.path.join(self.src, "large"), "r+b") as file:
            file.seek(11 << 20)
            file.write(b"changed")
        self.shell_sync("--no-whole-file", self.src, "host:" + self.dst)
        self.assertEqualTrees(self.src, self.dst)

    def test_any_path_goes_through_any_shell(self):
        for name in ("with space", "quote'", 'double"', "$(touch never)", "line\nbreak", "-dash", "back\\slash", "*?[a]", "a;b&c|d",
                     "~", "percent%41", "colon:x"):
            with self.subTest(name=name):
                far = self.path("odd", name)
                self.write(os.path.join(far, "in", "file"))
                self.shell_sync("host:" + far, self.path("got"), "--delete")
                self.assertEqualTrees(far, self.path("got"))
                self.shell_sync(self.path("got"), "host:" + far + "-copy")
                self.assertEqualTrees(far, far + "-copy")
        self.assertFalse(os.path.exists(os.path.join(self.home, "never")))

    def test_plan_and_verify_go_there_too(self):
        self.small_tree(self.src, 20)
        plan = self.cli("plan", "-e", self.rsh, self.src, "host:" + self.dst)
        self.assertIn("d1/f1", plan.stdout)
        self.assertFalse(os.path.exists(self.dst))
        self.shell_sync(self.src, "host:" + self.dst)
        self.cli("verify", "-e", self.rsh, self.src, "host:" + self.dst)
        self.write(os.path.join(self.dst, "d1", "f1"), b"other")
        self.cli("verify", "-e", self.rsh, self.src, "host:" + self.dst, code=harness.PARTIAL)

    def test_a_tree_over_there_is_proven_and_checked(self):
        self.small_tree(self.dst, 20)
        proof = self.path("proof")
        self.cli("prove", "-e", self.rsh, "host:" + self.dst, "--out", proof)
        self.cli("verify", "-e", self.rsh, "--proof", proof, "host:" + self.dst)
        self.cli("verify", "--proof", proof, self.dst)
        self.write(os.path.join(self.dst, "d1", "f1"), b"other")
        told = self.cli("verify", "-e", self.rsh, "--proof", proof, "host:" + self.dst, code=harness.PARTIAL).stdout
        self.assertIn("changed: d1/f1", told)

    def test_plans_of_several_sources_are_applied_over_there(self):
        self.small_tree(self.src, 20)
        self.write(self.path("list"), b"d1/f1\nd2/f2\n")
        far = "host:" + self.src
        for words in ([far], [far + "/d1/f1"], [far + "/d1/", far + "/d2"], [far + "/d*"], ["--files-from=" + self.path("list"), far + "/"]):
            with self.subTest(words=words):
                planned, synced = self.path("planned"), self.path("synced")
                for directory in (planned, synced):
                    shutil.rmtree(directory, ignore_errors=True)
                    os.makedirs(directory)
                for extra in (["--plan-out=" + self.path("a.plan"), planned], [synced]):
                    done = harness.run([harness.URSYNC, "-rlpt", "-e", self.rsh, *words, *extra])
                    self.assertEqual(0, done.code, str(done))
                self.assertEqual([], os.listdir(planned))
                self.cli("apply", "-e", self.rsh, self.path("a.plan"))
                self.assertEqual(*(sorted(os.path.relpath(os.path.join(above, name), top) for above, directories, files in os.walk(top)
                                          for name in directories + files) for top in (planned, synced)))

    def test_the_environment_names_the_shell(self):
        self.small_tree(self.src, 5)
        for name in ("RSYNC_RSH", "URINGSYNC_RSH"):
            environment = dict(os.environ, **{name: self.rsh + " -l 'joe d'"})
            self.cli("sync", self.src, "host:" + self.path(name), env=environment)
            self.assertEqualTrees(self.src, self.path(name))
        with open(self.path("log")) as log:
            self.assertTrue(log.readline().startswith("-l joe d host uringsync-agent --stdio"))

    def test_the_word_rsync_in_the_far_command_means_the_agent(self):
        self.small_tree(self.src, 5)
        # As a login shell does it, the whole command and not its first word alone.
        self.rsh = self.shell("rsh-whole", text=FAKE_SHELL.replace("echo \\$\\$ >> %(pids)s; exec $*", "$*"))
        self.shell_sync("--rsync-path", "mkdir -p made/deep && rsync", self.src, "host:" + self.dst)
        self.assertTrue(os.path.isdir(os.path.join(self.home, "made", "deep")))
        self.assertEqualTrees(self.src, self.dst)

    def test_the_command_itself_will_do_as_the_far_program(self):
        self.small_tree(self.src, 5)
        self.shell_sync("--rsync-path", "uringsync", self.src, "host:" + self.dst)
        self.assertEqualTrees(self.src, self.dst)

    def test_a_host_without_the_program_says_what_to_install(self):
        empty = self.path("empty")
        os.makedirs(empty)
        self.rsh = self.shell("rsh-bare", path=empty + ":/usr/bin:/bin")
        if any(os.path.exists(os.path.join(d, "uringsync-agent")) for d in ("/usr/bin", "/bin")):
            self.skipTest("uringsync is installed on this machine")
        result = self.shell_sync(self.src, "far.example:" + self.dst, code=NOT_FOUND)
        self.assertIn("far.example", result.stderr)
        self.assertIn("install uringsync", result.stderr)
        self.assertFalse(os.path.exists(self.dst))
        if shutil.which("rsync") is None:
            self.skipTest("rsync is not installed")
        self.small_tree(self.src, 20)
        # rsync leaves a time alone that is in the same second.
        for directory, _, _ in os.walk(self.src, topdown=False):
            os.utime(directory, (1600000000, 1600000000))
        environment = {**os.environ, "URSYNC_FALLBACK": "rsync"}
        told = harness.run([harness.URSYNC, "-a", "-e", self.rsh, self.src + "/", "far.example:" + self.dst], env=environment)
        self.assertEqual(told.code, 0, told)
        self.assertEqualTrees(self.src, self.dst)
        self.assertEqual(len(told.stderr.splitlines()), 1, told.stderr)
        self.assertIn("running rsync instead", told.stderr)
        listed = subprocess.run([harness.URSYNC, "-a", "--files-from=-", "-e", self.rsh, self.src + "/", "far.example:" + self.dst],
                                env=environment, input=b"d0\n", capture_output=True)
        self.assertEqual(listed.returncode, NOT_FOUND)
        self.assertNotIn(b"instead", listed.stderr)

    def test_a_shell_that_fails_hands_its_code_through(self):
        for code in (NOT_FOUND, NOT_RUN, SHELL_FAILED):
            self.rsh = self.shell("rsh-%d" % code, text="#!/bin/sh\necho 'no way there' >&2\nexit %d\n" % code)
            result = self.shell_sync(self.src, "host:" + self.dst, code=code)
            self.assertIn("no way there", result.stderr)
        self.rsh = self.shell("rsh-3", text="#!/bin/sh\nexit 3\n")
        self.shell_sync(self.src, "host:" + self.dst, code=harness.PROTOCOL)
        self.rsh = self.path("no-such-shell")
        self.shell_sync(self.src, "host:" + self.dst, code=START_FAILED)
        self.rsh = self.rsh + " 'open quote"
        self.shell_sync(self.src, "host:" + self.dst, code=harness.USAGE)

    def test_a_shell_that_prints_is_told_apart(self):
        self.rsh = self.shell("rsh-loud", text="#!/bin/sh\nprintf 'Welcome \\033[31mto you\\n'\n" + FAKE_SHELL[len("#!/bin/sh\n"):])
        result = self.shell_sync(self.src, "host:" + self.dst, code=harness.VERSION)
        self.assertIn("is your shell clean?", result.stderr)
        self.assertIn("Welcome \\033[31mto you", result.stderr)
        self.assertNotIn("\033", result.stderr)
        self.assertGone(self.far_pids())

    def test_a_command_that_is_killed_leaves_nothing_over_there(self):
        process, pids = self.slow_run("--no-resume", self.src, "host:" + self.dst)
        process.kill()
        process.wait()
        self.assertGone(pids)
        self.assertNoTemporaries(self.dst)

    def test_an_interrupted_command_cleans_up_over_there(self):
        process, pids = self.slow_run("--no-resume", self.src, "host:" + self.dst)
        process.send_signal(signal.SIGINT)
        result = self.finish(process, 20)
        self.assertEqual(harness.INTERRUPTED, result.code, str(result))
        self.assertGone(pids)
        self.assertNoTemporaries(self.dst)

    def test_what_is_no_such_endpoint_is_refused(self):
        for endpoint in ("host::module", "rsync://host/module", ":path", "@host:x", "-oProxyCommand=touch:x", "u@-x:y"):
            result = self.cli("sync", self.src, endpoint, code=harness.USAGE)
            self.assertTrue(result.stderr.startswith("uringsync: "), str(result))
        self.cli("sync", "-e", self.rsh, self.src, self.dst, code=harness.USAGE)
        self.cli("sync", "host:" + self.src, "agent://host/root", code=harness.USAGE)
        self.write(self.path("with:colon", "file"))
        self.cli("sync", self.path("with:colon"), self.dst)
        self.assertEqualTrees(self.path("with:colon"), self.dst)

    def test_stdio_needs_somebody_who_speaks_it(self):
        silent = subprocess.run([harness.AGENT, "--stdio"], input=b"", stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        self.assertNotEqual(0, silent.returncode)
        wrong = subprocess.run([harness.AGENT, "--stdio"], input=b"GET / HTTP/1.1\r\n\r\n", stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, timeout=60)
        self.assertNotEqual(0, wrong.returncode)
        self.assertEqual(b"uringsync-mux/1\n", wrong.stdout)


class UrsyncOperands(ShellCase):
    """rsync's grammar of operands, on both ends of a remote shell."""

    def setUp(self):
        super().setUp()
        self.work = self.path("work")
        for name in ("a/f1", "a/f2.txt", "a/sub/g", "b/f3.txt", "single", ".hidden", "odd *x/q", "na\nme"):
            self.write(os.path.join(self.home, name), name.encode())
        for name in ("src/p", "src/sub/q", "one", "two"):
            self.write(os.path.join(self.work, name), name.encode())
        os.symlink("a", os.path.join(self.home, "la"))

    def ursync(self, *arguments, code=0, **options):
        return self.cli("-e", self.rsh, *arguments, code=code, cwd=self.work, program=harness.URSYNC, **options)

    def found(self, root):
        return sorted(os.path.relpath(os.path.join(directory, name), root)
                      for directory, _, names in os.walk(root) for name in names)

    def pulled(self, *arguments, code=0, target="dst/"):
        shutil.rmtree(os.path.join(self.work, "dst"), ignore_errors=True)
        result = self.ursync(*arguments, target, code=code)
        return self.found(os.path.join(self.work, "dst")), result

    def test_several_sources_patterns_and_home_directories(self):
        for arguments, expected in (
                (["-a", "host:a", ":b"], ["a/f1", "a/f2.txt", "a/sub/g", "b/f3.txt"]),
                (["-a", "host:a/", "host:b/."], ["f1", "f2.txt", "f3.txt", "sub/g"]),
                (["-a", "host:a/*.txt", ":[b]/*"], ["f2.txt", "f3.txt"]),
                (["-a", "host:odd *", ":na*", ":~/single"], ["na\nme", "odd *x/q", "single"]),
                (["-aR", "host:./a/./sub", ":b/f3.txt"], ["b/f3.txt", "sub/g"]),
                (["-a", "host:la/"], ["f1", "f2.txt", "sub/g"]),
                (["-d", "host:a/"], ["f1", "f2.txt"]),
                (["-a", "host:a/../b"], ["b/f3.txt"])):
            with self.subTest(arguments=arguments):
                self.assertEqual(expected, self.pulled(*arguments)[0])

    def test_a_missing_source_is_told_with_its_place(self):
        found, result = self.pulled("-a", "host:nope", ":single", code=harness.PARTIAL)
        self.assertEqual(["single"], found)
        self.assertIn('link_stat "%s" failed: No such file or directory (2)' % os.path.join(self.home, "nope"), result.stderr)
        found, result = self.pulled("-a", "host:nope", code=harness.PARTIAL)
        self.assertEqual([], found)
        self.assertNotIn("session refused", result.stderr)

    def test_single_files_get_another_name_on_either_side(self):
        self.ursync("-a", "host:single", "renamed")
        self.ursync("-a", "one", "host:there")
        self.ursync("-a", "one", "host:a")
        self.ursync("-a", "--mkpath", "one", "host:new/way/there")
        self.assertTrue(os.path.isfile(os.path.join(self.work, "renamed")))
        for name in ("there", "a/one", "new/way/there"):
            with open(os.path.join(self.home, name), "rb") as file:
                self.assertEqual(b"one", file.read())

    def test_a_destination_that_cannot_be_says_so_in_rsync_s_words(self):
        for arguments, code, words in (
                (["-a", "one", "host:no/x"], 3, 'change_dir#3 "%s" failed: No such file or directory (2)' % os.path.join(self.home, "no")),
                (["-a", "src/", "host:no/x"], 11, 'mkdir "%s" failed: No such file or directory (2)' % os.path.join(self.home, "no/x")),
                (["-a", "one", "two", "host:single"], 3, "destination must be a directory"),
                (["-a", "host:a", "one"], 3, "destination must be a directory"),
                (["-a", "host:a", "b", "dst"], 1, "Unexpected local arg: b"),
                (["-a", "host:a", "guest:b", "dst"], 1, "All source args must come from the same machine"),
                (["-a", "one", "host:b", "dst"], 1, "Unexpected remote arg: host:b"),
                (["-a", "--files-from=guest:list", "host:", "dst"], 1, "--files-from hostname is not the same"),
                (["-a", "--files-from=:list", ".", "dst"], 1, "--files-from cannot be remote"),
                (["-a", "--files-from=:no-list", "host:", "dst"], 1, "failed to open files-from file no-list")):
            with self.subTest(arguments=arguments):
                result = self.ursync(*arguments, code=code)
                self.assertIn(words, result.stderr)
        self.assertFalse(os.path.exists(os.path.join(self.home, "no")))

    def test_lists_of_names_on_either_side(self):
        self.write(os.path.join(self.home, "list"), b"a/f1\n# no name\nb/f3.txt\n")
        self.write(os.path.join(self.work, "list0"), b"single\0na\nme\0")
        self.write(os.path.join(self.home, "push"), b"src/p\none\n")
        self.assertEqual(["a/f1", "b/f3.txt"], self.pulled("-a", "--files-from=:list", "host:")[0])
        self.assertEqual(["na\nme", "single"], self.pulled("-a", "-0", "--files-from=list0", "host:.")[0])
        self.ursync("-a", "--files-from=host:push", ".", "host:pushed")
        self.assertEqual(["one", "src/p"], self.found(os.path.join(self.home, "pushed")))
        # Longer than one answer.
        names = ["n%06d" % i for i in range(200000)]
        self.write(os.path.join(self.home, "long"), "\n".join(["a/f1"] + names).encode())
        found, _ = self.pulled("-a", "--ignore-missing-args", "-q", "--files-from=:long", "host:", code=None)
        self.assertEqual(["a/f1"], found)

    def test_a_source_alone_is_listed(self):
        listed = self.ursync("host:a/").stdout
        self.assertEqual([".", "f1", "f2.txt", "sub"], sorted(line.split(None, 4)[4] for line in listed.splitlines()))
        self.assertIn("single", self.ursync("host:sing*").stdout)

    def test_destinations_through_links_and_home_directories(self):
        self.ursync("-a", "--delete", "src/", "host:la/../a/../la/")
        self.assertEqual(["p", "sub/q"], self.found(os.path.join(self.home, "a")))
        self.ursync("-a", "src/", "host:~/b")
        self.assertEqual(["f3.txt", "p", "sub/q"], self.found(os.path.join(self.home, "b")))

    def test_basis_and_backup_directories_over_there(self):
        self.ursync("-a", "src/", "host:day1")
        self.ursync("-a", "--link-dest=../day1", "src/", "host:day2")
        self.assertEqual(os.stat(os.path.join(self.home, "day1/p")).st_ino, os.stat(os.path.join(self.home, "day2/p")).st_ino)
        self.ursync("-a", "--compare-dest=" + os.path.join(self.home, "day1"), "src/", "host:day3")
        self.assertEqual([], self.found(os.path.join(self.home, "day3")))
        self.write(os.path.join(self.work, "src/p"), b"newer contents")
        self.ursync("-a", "-b", "--backup-dir=kept/today", "--delete", "src/", "host:day2")
        self.ursync("-a", "-b", "--backup-dir=../kept", "src/", "host:day1")
        for name in ("day2/kept/today/p", "kept/p"):
            with open(os.path.join(self.home, name), "rb") as file:
                self.assertEqual(b"src/p", file.read(), name)

    def test_between_two_hosts(self):
        self.ursync("-a", "a-host:a", ":single", "b-host:copied/")
        self.assertEqual(["a/f1", "a/f2.txt", "a/sub/g", "single"], self.found(os.path.join(self.home, "copied")))
        self.ursync("-a", "host:single", "host:renamed")
        self.assertTrue(os.path.isfile(os.path.join(self.home, "renamed")))

    def test_ipv6_addresses_are_told_to_the_shell_without_brackets(self):
        self.ursync("-a", "one", "me@[::1]:there")
        with open(self.path("log")) as log:
            self.assertTrue(log.readline().startswith("-l me ::1 uringsync-agent --stdio"))


class Sshd(Trees):
    """The real thing."""

    def setUp(self):
        super().setUp()
        server = sshd.Server(self, harness.BIN_DIR + ":" + os.environ["PATH"])
        self.port, self.ssh = server.port, server.ssh

    def test_both_ways_and_through_the_client(self):
        src, far, back, third = (self.path(name) for name in ("src", "far", "back", "third"))
        zoo.make(src, entries=500, deep=False, huge=False)
        with open(os.path.join(src, "large"), "wb") as file:
            file.write(os.urandom(40 << 20))
        self.cli("sync", "-e", self.ssh, src, "127.0.0.1:" + far)
        self.assertEqualTrees(src, far)
        self.cli("sync", "-4", "-e", self.ssh, "127.0.0.1:" + far, back)
        self.assertEqualTrees(src, back)
        self.cli("sync", "-e", self.ssh, "127.0.0.1:" + far, "localhost:" + third)
        self.assertEqualTrees(src, third)

    def test_direct_connections_beside_it(self):
        src, far, back = (self.path(name) for name in ("src", "far", "back"))
        os.makedirs(src)
        with open(os.path.join(src, "large"), "wb") as file:
            file.write(os.urandom(20 << 20))
        # A name that only ssh knows: the far agent tells the address at which sshd was reached.
        ssh = self.ssh + " -o HostName=127.0.0.1"
        for source, destination, copy in ((src, "known-to-ssh.invalid:" + far, far), ("known-to-ssh.invalid:" + far, back, back)):
            told = self.cli("sync", "--direct", "-e", ssh, source, destination)
            self.assertEqualTrees(src, copy)
            self.assertNotIn("through the remote shell", told.stderr)

    def test_a_host_that_is_another_one_is_ssh_s_own_failure(self):
        with open(self.path("known"), "w") as known, open(self.path("user.pub")) as key:
            known.write("[127.0.0.1]:%d %s" % (self.port, key.read()))
        ssh = self.ssh.replace("StrictHostKeyChecking=no", "StrictHostKeyChecking=yes")
        told = self.cli("sync", "-e", ssh, self.dir, "127.0.0.1:" + self.path("never"), code=SHELL_FAILED)
        self.assertIn("REMOTE HOST IDENTIFICATION HAS CHANGED", told.stderr)
        self.assertFalse(os.path.exists(self.path("never")))

    def test_a_connection_that_is_cut_is_taken_up_by_the_next_run(self):
        src, far = self.path("src"), self.path("far")
        os.makedirs(src)
        for i in range(200):
            with open(os.path.join(src, "f%03d" % i), "wb") as file:
                file.write(os.urandom(200000))
        # The ssh of the run notes its number; it is the one that is killed.
        wrapper = self.path("ssh.sh")
        with open(wrapper, "w") as file:
            file.write("#!/bin/sh\necho $$ > %s\nexec %s \"$@\"\n" % (self.path("pid"), self.ssh))
        os.chmod(wrapper, 0o755)
        run = self.start("sync", "--bwlimit", "8M", "-e", wrapper, src, "127.0.0.1:" + far)
        harness.wait_until(lambda: os.path.isdir(far) and len(os.listdir(far)) > 20, 60, "files on their way")
        with open(self.path("pid")) as file:
            os.kill(int(file.read()), signal.SIGKILL)
        _, stderr = run.communicate(timeout=60)
        self.assertNotEqual(run.returncode, 0)
        self.assertIn("remote shell", stderr if isinstance(stderr, str) else stderr.decode())
        arrived = len([name for name in os.listdir(far) if name.startswith("f")])
        self.assertLess(arrived, 200)
        told = self.cli("sync", "--json", "-e", self.ssh, src, "127.0.0.1:" + far)
        self.assertEqualTrees(src, far)
        self.assertEqual([name for name in os.listdir(far) if ".tmp" in name], [])
        summary = json.loads(told.stdout.splitlines()[-1])
        self.assertLessEqual(summary["apply"]["bytes_moved"], (200 - arrived + 5) * 200000)

    def test_a_refused_login_is_ssh_s_own_failure(self):
        os.unlink(self.path("user"))
        result = self.cli("sync", "-e", self.ssh + " -o IdentityAgent=none", self.dir,
                          "127.0.0.1:" + self.path("never"), code=SHELL_FAILED)
        self.assertIn("127.0.0.1", result.stderr)


if __name__ == "__main__":
    harness.main()
