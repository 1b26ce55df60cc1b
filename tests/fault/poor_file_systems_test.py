#!/usr/bin/env python3
"""File systems that lack things: a run converges, tells once what it cannot promise there, and asks each refused call once.

Each thing is refused in turn, then all together, at the destination and at the source: a FUSE file system of this repository
(tests/support/poor_fs) passes all the rest on and counts what it refused.
"""

import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import poor  # noqa: E402
import treecmp  # noqa: E402

DIRECTORIES, FILES = 6, 8
JOBS = 2
# Both shards may ask at once, and a session asks some things when it opens. A link that is refused to a symlink or a FIFO, of which each
# directory has one at most, says nothing of files: it is asked for until a file was refused one.
MOST_ASKED = 6 + DIRECTORIES + 1
# What is told of each; None: something as good is done, or nothing of what was asked for needs it.
TOLD = {
    "exchange": "two names cannot change places",
    "noreplace": None,
    "link": "there are no hard links",
    "xattr": "keeps no extended attributes",
    "fallocate": "room cannot be set aside",
    "holes": "does not tell where holes are",
    "copy": None,
    "fsyncdir": "directories cannot be synced",
    "chown": "owners and groups cannot be set",
}
NEW_NAMES = "neither RENAME_NOREPLACE nor hard links"
EVERY_NOTICE = [text for text in TOLD.values() if text] + [NEW_NAMES]
MADE = 1_600_000_000


class PoorFileSystems(harness.Case):
    def setUp(self):
        super().setUp()
        if not harness.is_root():
            self.skipTest("mounting needs root")

    def write(self, path, data, mode=0o644, when=MADE):
        with open(path, "wb") as file:
            file.write(data)
        os.chmod(path, mode)
        os.utime(path, (when, when))

    def build(self, root, links=False, attributes=False, owners=False):
        """Files of each size, sparse ones, symlinks, a FIFO."""
        rng = random.Random(5)
        for number in range(DIRECTORIES):
            directory = os.path.join(root, "d%d" % number)
            os.makedirs(directory)
            for index in range(FILES):
                path = os.path.join(directory, "f%d" % index)
                self.write(path, rng.randbytes(rng.choice([0, 10, 5000, 70000])), rng.choice([0o644, 0o600, 0o755]))
                if attributes and index % 2:
                    os.setxattr(path, "user.a", b"1")
                if owners:
                    os.chown(path, 1000 + index, 2000)
            sparse = os.path.join(directory, "sparse")
            self.write(sparse, b"begin")
            os.truncate(sparse, 2 << 20)
            os.utime(sparse, (MADE, MADE))
            os.symlink("f1", os.path.join(directory, "link"))
            if links:
                for name in ("h1", "h2", "h3"):
                    os.link(os.path.join(directory, "f0"), os.path.join(directory, name))
        os.mkfifo(os.path.join(root, "fifo"))
        self.write(os.path.join(root, "large"), rng.randbytes(3 << 20))

    def build_old(self, root):
        for number in range(DIRECTORIES):
            os.makedirs(os.path.join(root, "d%d" % number, "gone"))
            for index in range(0, FILES, 2):
                self.write(os.path.join(root, "d%d" % number, "f%d" % index), b"old contents", when=MADE - 1000)
            self.write(os.path.join(root, "d%d" % number, "extra"), b"extra")

    def notices(self, result):
        return [event["message"] for event in result.events if event["event"] == "notice"]

    def check_told(self, result, expected):
        """Each of `expected` once, and nothing else of the kind."""
        notices = self.notices(result)
        for text in EVERY_NOTICE:
            count = sum(1 for notice in notices if text in notice)
            self.assertEqual(1 if text in expected else 0, count, "%s\n%s" % (text, result))

    def check_asked(self, mount, result, *named):
        for name, count in mount.refusals().items():
            self.assertLessEqual(count, MOST_ASKED, "%s was asked %d times\n%s" % (name, count, result))
        for name in named:
            self.assertIn(name, mount.refusals(), str(result))

    def run_sync(self, src, dst, *options, code=harness.OK):
        return self.sync(src, dst, "--json", "-v", "--delete", "--jobs=%d" % JOBS, *options, code=code)

    def check_nothing_left(self, src, dst, *options):
        again = self.run_sync(src, dst, *options)
        self.assertEqual(0, again.summary["plan"]["actions"], str(again))
        return again

    def into(self, refused, expected, *options, asked=(), state="durable", **tree):
        """A run into a file system without `refused`, and another one that has nothing to do."""
        src = self.path("src-into-" + "-".join(refused))
        mount = poor.PoorMount(self, "into-" + "-".join(refused), refused)
        self.build(src, **tree)
        dst = mount.path("dst")
        os.makedirs(os.path.join(mount.backing, "dst"))
        self.build_old(os.path.join(mount.backing, "dst"))
        result = self.run_sync(src, dst, *options)
        self.check_told(result, expected)
        self.check_asked(mount, result, *asked)
        self.assertEqual(state, result.summary["state"], str(result))
        source, there = treecmp.snapshot(src), treecmp.snapshot(os.path.join(mount.backing, "dst"))
        self.assertSame(treecmp.compare(source, there, owner="chown" not in refused), str(result))
        self.assertNoTemporaries(dst)
        self.check_nothing_left(src, dst, *options)
        return result

    def test_nothing_is_told_of_a_file_system_that_has_everything(self):
        self.into([], [], links=True, attributes=True, owners=True)

    def test_without_exchanging_names(self):
        self.into(["exchange"], [TOLD["exchange"]], asked=["exchange"])

    def test_without_exclusive_renames_names_are_linked(self):
        self.into(["noreplace"], [], asked=["noreplace"])

    def test_without_exclusive_renames_and_links(self):
        self.into(["noreplace", "link"], [NEW_NAMES], asked=["noreplace", "link"])

    def test_without_attributes(self):
        self.into(["xattr"], [TOLD["xattr"]], asked=["xattr"])

    def test_without_fallocate(self):
        self.into(["fallocate"], [TOLD["fallocate"]], "--preallocate", asked=["fallocate"])

    def test_without_syncs_of_directories_nothing_counts_as_durable(self):
        result = self.into(["fsyncdir"], [TOLD["fsyncdir"]], asked=["fsyncdir"], state="published")
        self.assertEqual([], [event for event in result.events if event["event"] == "durable"], str(result))

    def test_without_owners(self):
        self.into(["chown"], [TOLD["chown"]], asked=["chown"], owners=True)

    def test_without_copies_and_holes(self):
        self.into(["copy", "holes"], [])

    def test_without_any_of_it(self):
        refused = ["exchange", "noreplace", "link", "xattr", "fallocate", "holes", "copy", "fsyncdir", "chown"]
        expected = [TOLD[name] for name in ("exchange", "xattr", "fallocate", "fsyncdir", "chown")] + [NEW_NAMES]
        self.into(refused, expected, "--preallocate", state="published", owners=True)

    def test_hard_links_that_cannot_be_made_are_problems_and_tried_once(self):
        src = self.path("src")
        self.build(src, links=True)
        mount = poor.PoorMount(self, "poor", ["link"])
        dst = mount.path("dst")
        result = self.run_sync(src, dst, code=harness.PARTIAL)
        self.check_told(result, [TOLD["link"]])
        self.check_asked(mount, result, "link")
        problems = [event for event in result.events if event["event"] == "problem"]
        self.assertEqual(3 * DIRECTORIES, len(problems), str(result))
        self.assertEqual({"link"}, {problem["operation"] for problem in problems}, str(result))
        self.run_sync(src, dst, "--no-hard-links")
        self.check_nothing_left(src, dst, "--no-hard-links")
        self.assertSame(treecmp.compare(treecmp.snapshot(src), treecmp.snapshot(dst), links=False))

    def test_attributes_that_cannot_be_kept_are_problems_and_tried_once(self):
        src = self.path("src")
        self.build(src, attributes=True)
        mount = poor.PoorMount(self, "poor", ["xattr"])
        result = self.run_sync(src, mount.path("dst"), code=harness.PARTIAL)
        self.check_told(result, [TOLD["xattr"]])
        self.check_asked(mount, result, "xattr")
        self.run_sync(src, mount.path("dst"), "--no-xattrs", "--no-acls")
        self.check_nothing_left(src, mount.path("dst"), "--no-xattrs", "--no-acls")

    def test_a_symlink_that_takes_no_attribute_says_nothing_of_the_file_system(self):
        # user.* attributes are refused for symlinks everywhere; the files beside them have some.
        self.into([], [], attributes=True)

    def test_a_source_that_lacks_things(self):
        mount = poor.PoorMount(self, "poor", ["holes", "xattr", "copy", "exchange", "link"])
        self.build(os.path.join(mount.backing, "src"))
        dst = self.path("dst")
        result = self.run_sync(mount.path("src"), dst)
        self.check_told(result, [TOLD["holes"]])
        self.check_asked(mount, result, "holes", "xattr")
        source = treecmp.snapshot(os.path.join(mount.backing, "src"))
        self.assertSame(treecmp.compare(source, treecmp.snapshot(dst), holes=False), str(result))
        self.assertSame(treecmp.touched(source, treecmp.snapshot(os.path.join(mount.backing, "src"), content=False)), "it was written to")
        self.check_nothing_left(mount.path("src"), dst)

    def test_two_file_systems_are_told_apart(self):
        src = self.path("src")
        for name in ("one", "other"):
            os.makedirs(os.path.join(src, name))
            self.build(os.path.join(src, name, "tree"))
        dst = self.path("dst")
        for name in ("one", "other"):
            backing = os.path.join(dst, name, "tree")
            os.makedirs(backing)
        mounts = {}
        for name in ("one", "other"):
            mounts[name] = poor.PoorMount(self, os.path.join("dst", name, "mounted"), ["exchange"])
            os.makedirs(os.path.join(src, name, "mounted"))
            self.build(os.path.join(src, name, "mounted", "tree"))
            self.build_old(os.path.join(mounts[name].backing, "tree"))
        result = self.sync(src, dst, "--json", "-v", "--jobs=%d" % JOBS)
        told = [notice for notice in self.notices(result) if TOLD["exchange"] in notice]
        self.assertEqual(2, len(told), str(result))
        for name, mount in mounts.items():
            self.assertEqual(1, sum(1 for notice in told if mount.point in notice), str(result))
            self.check_asked(mount, result, "exchange")

    def test_leases_that_are_refused_are_told_once(self):
        deny = [sys.executable, os.path.join(harness.REPOSITORY, "tests", "support", "deny_leases.py")]
        src, dst = self.path("src"), self.path("dst")
        self.build(src)
        result = self.cli("sync", "--json", "-v", src, dst, prefix=deny)
        notices = [notice for notice in self.notices(result) if "there are no leases" in notice]
        self.assertEqual(1, len(notices), str(result))
        self.assertSame(treecmp.compare(treecmp.snapshot(src), treecmp.snapshot(dst)), str(result))
        self.check_nothing_left(src, dst)


if __name__ == "__main__":
    harness.main()
