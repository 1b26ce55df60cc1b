#!/usr/bin/env python3
"""A source whose file system is not mounted: nothing is deleted because of it, and the way out is named."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

LIMIT = 25


class Mounts(harness.Case):
    def setUp(self):
        super().setUp()
        self.dst = self.path("dst")

    def write(self, *path, text="content"):
        os.makedirs(os.path.dirname(os.path.join(*path)), exist_ok=True)
        with open(os.path.join(*path), "w") as file:
            file.write(text)

    def unmount(self, point):
        self.assertEqual(0, harness.run(["umount", point]).code)

    def held(self, *arguments, **options):
        result = self.cli(*arguments, code=LIMIT, **options)
        self.assertIn("--allow-empty-source", result.stderr)
        return result

    def test_an_unmounted_source_deletes_nothing_until_that_is_accepted(self):
        disk = self.tmpfs("8m", "disk")
        self.write(disk, "sub", "file")
        for program, arguments in ((None, ["sync", "--delete", disk, self.dst]),
                                   (harness.URSYNC, ["-a", "--delete", disk + "/", self.dst])):
            with self.subTest(program=program):
                self.cli(*arguments, program=program)
                self.unmount(disk)
                for _ in range(2):
                    self.assertIn("nothing is mounted there", self.held(*arguments, program=program).stderr)
                    self.assertEqual(["file"], os.listdir(os.path.join(self.dst, "sub")))
                self.assertEqual(0, harness.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk]).code)
                self.write(disk, "sub", "file")
                self.cli(*arguments, program=program)
        self.unmount(disk)
        self.held("plan", "--delete", disk, self.dst)
        self.sync(disk, self.dst, "--delete", "--allow-empty-source")
        self.assertEqual([], os.listdir(self.dst))
        self.write(self.dst, "more")
        self.sync(disk, self.dst, "--delete")
        self.assertEqual([], os.listdir(self.dst), "accepted once and for all")

    def test_a_mount_below_the_source_counts_where_its_directory_is_still_there(self):
        src = self.path("src")
        self.write(src, "outer")
        disk = self.tmpfs("8m", "src/disk")
        self.write(disk, "inner")
        self.sync(src, self.dst, "--delete")
        self.unmount(disk)
        os.unlink(os.path.join(src, "outer"))
        self.held("sync", "--delete", src, self.dst)
        self.assertEqual(["disk", "outer"], sorted(os.listdir(self.dst)))
        # What the rules hide, and what is not entered, is not missed.
        self.sync(src, self.dst, "--delete", "--exclude=/disk")
        self.assertEqual(["disk"], sorted(os.listdir(self.dst)))
        self.assertEqual(["inner"], os.listdir(os.path.join(self.dst, "disk")))

    def test_a_mount_that_went_with_its_directory_is_no_surprise(self):
        src = self.path("src")
        disk = self.tmpfs("8m", "src/disk")
        self.write(disk, "inner")
        self.sync(src, self.dst, "--delete")
        self.unmount(disk)
        os.rmdir(disk)
        self.sync(src, self.dst, "--delete")
        self.assertEqual([], os.listdir(self.dst))

    def test_another_file_system_deletes_nothing_until_it_is_accepted(self):
        disk = self.tmpfs("8m", "disk")
        self.write(disk, "file")
        self.sync(disk, self.dst, "--delete")
        self.unmount(disk)
        self.assertEqual(0, harness.run(["mount", "-t", "ramfs", "ramfs", disk]).code)
        self.assertIn("an empty one", self.held("sync", "--delete", disk, self.dst).stderr)
        self.assertEqual(["file"], os.listdir(self.dst))
        self.write(disk, "other")
        told = self.held("sync", "--delete", disk, self.dst).stderr
        self.assertRegex(told, "tmpfs number .* then, ramfs number .* now")
        self.assertEqual(["file", "other"], sorted(os.listdir(self.dst)))
        self.sync(disk, self.dst, "--delete", "--allow-empty-source")
        self.assertEqual(["other"], os.listdir(self.dst))
        self.write(self.dst, "more")
        self.sync(disk, self.dst, "--delete")
        self.assertEqual(["other"], os.listdir(self.dst), "accepted once and for all")

    def test_a_tmpfs_that_is_mounted_anew_with_files_is_no_surprise(self):
        disk = self.tmpfs("8m", "disk")
        self.write(disk, "file")
        self.sync(disk, self.dst, "--delete")
        self.unmount(disk)
        self.assertEqual(0, harness.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk]).code)
        self.write(disk, "other")
        self.sync(disk, self.dst, "--delete")
        self.assertEqual(["other"], os.listdir(self.dst))

    def test_a_disk_is_known_again_and_another_of_its_kind_is_not_taken_for_it(self):
        for kind, megabytes in (("ext4", 8), ("btrfs", 120), ("xfs", 300)):
            with self.subTest(kind=kind):
                dst = self.path("dst." + kind)
                disk = self.loop_mount(kind, megabytes, "disk." + kind)
                self.write(disk, "file")
                other = self.loop_mount(kind, megabytes, "other." + kind)
                self.write(other, "another")
                self.sync(disk, dst, "--delete")
                # Through another loop device, as after a boot.
                self.unmount(disk)
                self.assertEqual(0, harness.run(["mount", "-o", "loop", self.path("disk.%s.img" % kind), disk]).code)
                self.write(disk, "more")
                os.unlink(os.path.join(disk, "file"))
                self.sync(disk, dst, "--delete")
                self.assertNotIn("file", os.listdir(dst))
                self.unmount(disk)
                self.unmount(other)
                self.assertEqual(0, harness.run(["mount", "-o", "loop", self.path("other.%s.img" % kind), disk]).code)
                told = self.held("sync", "--delete", disk, dst).stderr
                self.assertRegex(told, r"\(%s (id|uuid) \S+.* then, %s (id|uuid) \S+.* now\)" % (kind, kind))
                self.assertIn("more", os.listdir(dst))
                # What was accepted is the source from then on.
                self.sync(disk, dst, "--delete", "--allow-empty-source")
                self.assertNotIn("more", os.listdir(dst))
                self.write(dst, "stray")
                self.sync(disk, dst, "--delete")
                self.assertNotIn("stray", os.listdir(dst))

    def test_a_restored_disk_is_taken_over_where_nothing_had_to_be_deleted(self):
        disk = self.loop_mount("ext4", 8, "disk")
        other = self.loop_mount("ext4", 8, "other")
        self.write(disk, "file")
        self.write(other, "file")
        self.sync(disk, self.dst, "--delete", "--exclude=lost+found")
        self.unmount(disk)
        self.unmount(other)
        self.assertEqual(0, harness.run(["mount", "-o", "loop", self.path("other.img"), disk]).code)
        self.assertIn("another file system", self.sync(disk, self.dst, "--delete", "--exclude=lost+found").stderr)
        self.write(self.dst, "stray")
        self.sync(disk, self.dst, "--delete", "--exclude=lost+found")
        self.assertEqual(["file"], os.listdir(self.dst))

    def test_another_way_to_the_same_directories_is_no_way_round(self):
        disk = self.tmpfs("8m", "disk")
        self.write(disk, "sub", "file")
        source_link, parent_link = self.path("source_link"), self.path("parent_link")
        os.symlink(disk, source_link)
        os.symlink(os.path.dirname(self.dst), parent_link)
        agents = [self.agent({"data": disk + ":ro"}), self.agent({"pool": disk + ":ro"})]
        name = os.path.basename(self.dst)
        self.sync(agents[0].endpoint("data"), os.path.join(parent_link, name), "--delete")
        for agent in agents:
            agent.stop()
        self.unmount(disk)
        os.makedirs(os.path.join(disk, "sub"))
        again = [self.agent({"data": disk + ":ro"}), self.agent({"pool": disk + ":ro"})]
        for source in (again[0].endpoint("data"), again[0].endpoint("data").replace("127.0.0.1", "localhost"), again[1].endpoint("pool"),
                       disk, source_link, os.path.join(disk, "..", os.path.basename(disk))):
            for destination in (self.dst, os.path.join(parent_link, name)):
                with self.subTest(source=source, destination=destination):
                    self.held("sync", "--delete", source, destination)
                    self.assertEqual(["file"], os.listdir(os.path.join(self.dst, "sub")))
        self.assertIn("nothing is mounted there", self.held("-a", "--delete", source_link + "/", self.dst, program=harness.URSYNC).stderr)

    def test_what_is_told_names_the_mount_and_no_limit(self):
        disk = self.tmpfs("8m", "disk")
        self.write(disk, "file")
        self.sync(disk, self.dst, "--delete")
        self.unmount(disk)
        told = self.held("-a", "--delete", disk + "/", self.dst, program=harness.URSYNC).stderr
        self.assertIn("ursync error: the source is not mounted as in the last run; nothing was deleted (code 25)", told)
        self.assertNotIn("--max-delete", told)
        self.assertIn("1 object that only the destination has is kept: the source is not mounted as in the last run",
                      self.held("sync", "--delete", disk, self.dst).stderr)
        why = self.cli("explain", "--delete", disk, self.dst, "file")
        self.assertIn("file: skip: nothing is deleted, because SRC is not mounted as in the last run", why.stdout)
        self.assertIn("nothing is mounted there", why.stderr)
        why = self.cli("explain", "--delete", "--allow-empty-source", disk, self.dst, "file")
        self.assertIn("file: delete", why.stdout)

    def test_an_empty_source_that_was_never_a_mount_empties_the_destination(self):
        os.makedirs(self.path("src"))
        self.write(self.dst, "file")
        self.sync(self.path("src"), self.dst, "--delete")
        self.assertEqual([], os.listdir(self.dst))

    def test_a_record_that_is_damaged_cut_or_empty_deletes_nothing(self):
        disk = self.tmpfs("8m", "disk")
        self.write(disk, "file")
        state = self.path("state")
        env = {"URINGSYNC_STATE_DIR": state}
        self.cli("sync", "--delete", disk, self.dst, env=env)
        record, = (os.path.join(state, "sources", name) for name in os.listdir(os.path.join(state, "sources")))
        with open(record, "rb") as file:
            whole = file.read()
        self.unmount(disk)
        for bytes_now in (b"", whole[:-1], bytes([whole[0] ^ 1]) + whole[1:]):
            with self.subTest(bytes=len(bytes_now)), open(record, "wb") as file:
                file.write(bytes_now)
                file.flush()
                for program, arguments in ((None, ["sync", "--delete", disk, self.dst]), (None, ["plan", "--delete", disk, self.dst]),
                                           (harness.URSYNC, ["-a", "--delete", disk + "/", self.dst])):
                    self.assertIn(record, self.held(*arguments, program=program, env=env).stderr)
                    self.assertEqual(["file"], os.listdir(self.dst))
        self.cli("sync", "--delete", "--allow-empty-source", disk, self.dst, env=env)
        self.assertEqual([], os.listdir(self.dst))
        self.write(self.dst, "more")
        self.cli("sync", "--delete", disk, self.dst, env=env)
        self.assertEqual([], os.listdir(self.dst), "accepted once and for all")

    def test_a_plan_whose_source_is_unmounted_meanwhile_deletes_nothing(self):
        disk, plan = self.tmpfs("8m", "disk"), self.path("a.plan")
        self.write(disk, "file")
        for name in ("one", "two"):
            self.write(self.dst, name)
        for state in (self.path("state"), ""):
            env = {"URINGSYNC_STATE_DIR": state}
            with self.subTest(state=state):
                self.cli("plan", "--delete", "--plan-out", plan, disk, self.dst, env=env)
                self.unmount(disk)
                for more in ((), ("-n",)):
                    told = self.held("apply", *more, plan, env=env).stderr
                    self.assertIn("nothing of the plan is carried out", told)
                    self.assertEqual(["one", "two"], sorted(os.listdir(self.dst)))
                self.assertEqual(0, harness.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk]).code)
                self.write(disk, "file")
        self.cli("plan", "--delete", "--plan-out", plan, disk, self.dst)
        self.unmount(disk)
        self.cli("apply", "--allow-empty-source", plan, code=harness.PARTIAL)
        self.assertEqual([], os.listdir(self.dst))

    def test_a_listening_source_tells_as_much(self):
        disk = self.tmpfs("8m", "disk")
        self.write(disk, "sub", "file")
        agent = self.agent({"data": disk + ":ro"})
        self.sync(agent.endpoint("data", "sub"), self.dst, "--delete")
        agent.stop()
        self.unmount(disk)
        os.makedirs(os.path.join(disk, "sub"))
        # The same address, so that it is the same source.
        again = self.agent({"data": disk + ":ro"}, port=agent.port)
        self.held("sync", "--delete", again.endpoint("data", "sub"), self.dst)
        self.assertEqual(["file"], os.listdir(self.dst))

    def test_a_limit_of_deletes_is_told_and_counted(self):
        src = self.path("src")
        self.write(src, "same")
        self.sync(src, self.dst)
        for name in ("one", "two", "three"):
            self.write(self.dst, name)
        line = "3 objects that only the destination has are kept (--max-delete)"
        for command in ("plan", "sync"):
            with self.subTest(command=command):
                result = self.cli(command, "--delete", "--max-delete=0", src, self.dst, code=LIMIT)
                self.assertIn("uringsync: " + line, result.stderr)
                self.assertNotIn("nothing to do", result.stdout)
                self.assertIn("3 deletes left out", result.stdout)
                result = self.cli(command, "--delete", "--max-delete=0", "--json", src, self.dst, code=LIMIT)
                self.assertEqual(3, result.summary["left_out"]["deletes"])
                self.assertEqual([line], [event["message"] for event in result.events if event["event"] == "notice"])
        result = self.sync(src, self.dst, "--delete", "--max-delete=1", "--stats", code=LIMIT)
        self.assertRegex(result.stdout, r"left out: deletes +2\n")
        self.assertRegex(result.stdout, r"1 deleted; .*; 2 deletes left out")
        self.assertEqual("", self.sync(src, self.dst, "--delete", "--max-delete=2").stderr)


if __name__ == "__main__":
    harness.main()
