#!/usr/bin/env python3
"""Plans that are written down, shown, and carried out later: only on objects that are still what the plan saw."""

import os
import stat
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import treecmp  # noqa: E402


class PlanFile(harness.Case):
    def setUp(self):
        super().setUp()
        self.src, self.dst, self.plan = self.path("src"), self.path("dst"), self.path("a.plan")
        os.makedirs(self.path("src", "d", "e"))
        os.makedirs(self.path("dst", "old", "x"))
        for path, text in (("src/a", "new a"), ("src/d/b", "b"), ("src/nasty\n\\name\x80", "n"), ("src/kept", "kept"),
                           ("dst/a", "a"), ("dst/old/x/f", "f"), ("dst/c", "c")):
            self.write(path, text)
        os.symlink("a", self.path("src", "link"))
        os.link(self.path("src", "d", "b"), self.path("src", "hard"))

    def write(self, path, text):
        with open(self.path(*path.split("/")), "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)

    def make(self, *options):
        return self.cli("plan", "--plan-out", self.plan, *options, self.src, self.dst)

    def conflicts(self, result):
        return {event["path"]: event for event in result.events if event["event"] == "problem"}

    def test_a_plan_changes_nothing_and_is_for_its_owner_alone(self):
        before = treecmp.snapshot(self.dst)
        made = self.make("--delete")
        self.assertSame(treecmp.touched(before, treecmp.snapshot(self.dst)))
        self.assertEqual(0o600, stat.S_IMODE(os.stat(self.plan).st_mode))
        with open(self.plan, "rb") as file:
            self.assertTrue(file.read().startswith(b"uringsync plan, format 1\n"))
        shown = self.cli("plan", "--show", self.plan)
        listed = [line for line in made.stdout.splitlines() if line[:1] in ">ch.*"]
        self.assertEqual(listed, [line for line in shown.stdout.splitlines() if line in listed])
        self.assertIn("*deleting   old/x/f", listed)

    def test_applied_it_does_what_a_sync_does_and_again_nothing(self):
        self.make("--delete")
        looked = self.cli("apply", "-n", "--json", self.plan)
        applied = self.cli("apply", "--json", self.plan)
        self.assertEqual(looked.summary["plan"]["actions"], applied.summary["plan"]["actions"])
        self.cli("verify", self.src, self.dst)
        again = self.cli("apply", "--json", self.plan)
        self.assertEqual(0, again.summary["plan"]["actions"])
        self.assertEqual(again.summary["plan"]["source_objects"], again.summary["plan"]["unchanged"])
        self.assertEqual("apply", again.events[0]["command"])

    def test_a_plan_in_a_directory_of_the_source_is_no_change_of_it(self):
        self.plan = os.path.join(self.src, "d", "its.plan")
        self.make()
        self.cli("apply", self.plan)
        os.remove(self.plan)
        self.make()
        self.assertEqual(0, self.cli("apply", "-n", "--json", self.plan).summary["exit_code"])

    def test_what_changed_is_listed_and_left_and_the_rest_is_done(self):
        self.make("--delete")
        self.write("src/kept", "kept but other")
        self.write("dst/a", "someone's")
        self.write("dst/c", "someone's too")
        self.write("dst/old/x/unseen", "not in the plan")
        self.write("src/unseen", "not in the plan")
        applied = self.cli("apply", "--json", self.plan, code=harness.PARTIAL)
        found = self.conflicts(applied)
        for path, side in (("kept", "source"), ("a", "destination"), ("c", "destination")):
            self.assertEqual(("conflict", side), (found[path]["kind"], found[path]["side"]), applied)
        self.assertIn("size", found["kept"]["message"])
        with open(self.path("dst", "a")) as file:
            self.assertEqual("someone's", file.read())
        self.assertTrue(os.path.exists(self.path("dst", "c")))
        self.assertFalse(os.path.exists(self.path("dst", "kept")))
        self.assertFalse(os.path.exists(self.path("dst", "unseen")))
        self.assertTrue(os.path.exists(self.path("dst", "old", "x", "unseen")), "deleted what the plan never saw")
        self.assertFalse(os.path.exists(self.path("dst", "old", "x", "f")))
        self.assertTrue(os.path.samefile(self.path("dst", "d", "b"), self.path("dst", "hard")))
        # Put right again, the same plan does the rest.
        os.remove(self.path("dst", "old", "x", "unseen"))
        again = self.cli("apply", "--json", self.plan, code=harness.PARTIAL)
        self.assertFalse(os.path.exists(self.path("dst", "old")))
        self.assertLess(set(self.conflicts(again)), set(found))

    def test_contents_changed_behind_the_same_size_and_time_are_a_conflict(self):
        self.make()
        times = os.stat(self.path("src", "kept"))
        self.write("src/kept", "KEPT")
        os.utime(self.path("src", "kept"), ns=(times.st_atime_ns, times.st_mtime_ns))
        applied = self.cli("apply", "--json", self.plan, code=harness.PARTIAL)
        self.assertIn("ctime", self.conflicts(applied)["kept"]["message"])

    def test_a_destination_that_is_missing_is_made_when_the_plan_is_carried_out(self):
        self.write("src/d/f", "f")
        for options in (["-a"], ["-r"]):
            dst = self.path("new" + options[0])
            made = harness.run([harness.URSYNC, *options, "--plan-out=" + self.plan, self.src + "/", dst])
            self.assertEqual(0, made.code, made)
            self.assertFalse(os.path.exists(dst))
            self.assertIn("cd+++++++++ ./", self.cli("plan", "--show", self.plan).stdout)
            self.cli("apply", self.plan)
            with open(os.path.join(dst, "d", "f")) as file:
                self.assertEqual("f", file.read())
            self.assertEqual(0o755, os.stat(os.path.join(dst, "d")).st_mode & 0o7777)
            # Without times nothing tells the files that it made from somebody else's.
            if options == ["-a"]:
                self.assertIn("nothing to do", self.cli("apply", self.plan).stdout)
            os.remove(self.plan)

    def test_nothing_but_a_plan_is_written_over(self):
        self.write("a.plan", "precious")
        refused = self.cli("plan", "--plan-out", self.plan, self.src, self.dst, code=harness.USAGE)
        self.assertIn("is no plan", refused.stderr)
        with open(self.plan) as file:
            self.assertEqual("precious", file.read())
        os.remove(self.plan)
        os.symlink(self.path("elsewhere"), self.plan)
        self.cli("plan", "--plan-out", self.plan, self.src, self.dst, code=harness.USAGE)
        self.assertFalse(os.path.lexists(self.path("elsewhere")))
        os.remove(self.plan)
        self.make()
        self.make("--delete")
        self.assertIn("--delete", self.cli("plan", "--show", self.plan).stdout)
        self.assertEqual(["a.plan", "dst", "src"], sorted(os.listdir(self.path())))

    def test_a_damaged_plan_is_refused_before_anything_is_done(self):
        self.make("--delete")
        with open(self.plan, "r+b") as file:
            file.seek(-30, os.SEEK_END)
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte[0] ^ 1]))
        self.assertIn("damaged", self.cli("apply", self.plan, code=harness.FILE_IO).stderr)
        self.assertEqual(["a", "c", "old"], sorted(os.listdir(self.dst)))
        self.cli("apply", self.src, code=harness.USAGE)
        self.cli("apply", self.path("none"), code=harness.FILE_IO)
        self.cli("apply", self.path("src", "a"), code=harness.USAGE)

    def test_plans_of_ursync_keep_its_operands_options_and_directory(self):
        os.chmod(self.path("dst", "a"), 0o604)
        made = harness.run([harness.URSYNC, "-rt", "--plan-out=a.plan", "src/a", "src/d", "dst/"], cwd=self.path())
        self.assertEqual((0, ""), (made.code, made.stdout), made)
        self.write("src/kept", "whatever")
        self.cli("apply", "-i", self.plan, cwd="/")
        self.assertEqual(["a", "c", "d", "old"], sorted(os.listdir(self.dst)))
        with open(self.path("dst", "a")) as file:
            self.assertEqual("new a", file.read())
        self.assertEqual(0o604, stat.S_IMODE(os.stat(self.path("dst", "a")).st_mode), "-p was not asked for")

    def test_plans_through_symlinks_are_refused(self):
        refused = harness.run([harness.URSYNC, "-rL", "--plan-out=a.plan", "src/", "dst/"], cwd=self.path())
        self.assertEqual(harness.USAGE, refused.code, refused)
        self.assertFalse(os.path.exists(self.plan))

    def test_a_plan_between_two_agents_is_applied_over_them(self):
        agents = [self.agent({"data": self.path(side)}) for side in ("src", "dst")]
        ends = [agent.endpoint("data") for agent in agents]
        client = self.certificates().client
        self.cli("plan", "--delete", "--plan-out", self.plan, *client, *ends)
        self.write("src/kept", "other")
        self.cli("apply", *client, self.plan, code=harness.PARTIAL)
        self.assertFalse(os.path.exists(self.path("dst", "kept")))
        with open(self.path("dst", "a")) as file:
            self.assertEqual("new a", file.read())
        self.assertFalse(os.path.exists(self.path("dst", "old")))


if __name__ == "__main__":
    harness.main()
