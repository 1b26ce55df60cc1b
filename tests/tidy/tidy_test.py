#!/usr/bin/env python3
"""Rules of the source tree that no compiler checks: floors, headers, documents that match the programs."""

import concurrent.futures
import json
import os
import re
import shlex
import subprocess
import sys
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN_DIR = os.environ.get("URINGSYNC_BIN_DIR", os.path.join(ROOT, "build", "release", "bin"))
COMPILE_COMMANDS = os.environ.get("URINGSYNC_COMPILE_COMMANDS", os.path.join(ROOT, "build", "release", "compile_commands.json"))
OUR_CODE = ("engine", "proto", "agent", "coordinator")
# What a room may include besides itself: docs/architecture.md, "Rooms".
BASE = {"engine/base"}
CORO = BASE | {"engine/coro"}
RING = CORO | {"engine/ring"}
FLOOR_2 = RING
FLOOR_3 = RING | {"engine/delta", "engine/fs", "engine/net", "engine/watch"}
FLOOR_4 = FLOOR_3 | {"engine/tree", "engine/transfer"}
MAY_INCLUDE = {
    "engine/base": set(), "engine/coro": BASE, "engine/ring": CORO, "engine/delta": BASE, "engine/watch": BASE, "engine/fs": FLOOR_2, "engine/net": FLOOR_2,
    "engine/tree": FLOOR_3, "engine/transfer": FLOOR_3, "proto": FLOOR_4, "agent": FLOOR_4 | {"proto"},
    "coordinator/core": FLOOR_4 | {"proto"}, "coordinator/link": FLOOR_4 | {"proto", "coordinator/core"},
    "coordinator/cli/rsync": FLOOR_4 | {"proto", "coordinator/core", "coordinator/link"},
    "coordinator/cli": FLOOR_4 | {"proto", "coordinator/core", "coordinator/link", "coordinator/cli/rsync"},
}
GENERATED = "uringsync/v1"  # protobuf's output, for proto/ alone
LARGE_FILE_LINES = 450
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]', re.M)
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
FLAG = re.compile(r"(?<![\w-])(--[a-z][a-z0-9-]+)")


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def tracked():
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"], capture_output=True)
    if listed.returncode == 0:
        names = listed.stdout.decode().split("\0")
        return sorted(n for n in set(names) if n and os.path.isfile(os.path.join(ROOT, n)))
    found = []  # an unpacked archive
    for directory, names, files in os.walk(ROOT):
        names[:] = [n for n in names if n not in ("build", ".git", "__pycache__")]
        found += [os.path.relpath(os.path.join(directory, f), ROOT) for f in files]
    return sorted(found)


FILES = tracked()
SOURCES = [f for f in FILES if f.startswith(tuple(r + "/" for r in OUR_CODE)) and f.endswith((".h", ".cc"))]


class Includes(unittest.TestCase):
    def test_includes_go_down_only(self):
        wrong = []
        for name in SOURCES:
            room = os.path.dirname(name)
            for kind, target in INCLUDE.findall(read(name)):
                where = os.path.dirname(target)
                if kind == "<" or where == room:
                    continue
                if where == GENERATED:
                    if room != "proto":
                        wrong.append("%s includes %s; only proto/ may" % (name, target))
                elif where in MAY_INCLUDE and where not in MAY_INCLUDE.get(room, set()):
                    wrong.append("%s includes %s" % (name, target))
                elif where not in MAY_INCLUDE and where.split("/")[0] in OUR_CODE + ("tests",):
                    wrong.append("%s includes %s, which is in no room" % (name, target))
        self.assertEqual([], wrong)

    def test_every_room_has_a_floor(self):
        rooms = {os.path.dirname(name) for name in SOURCES}
        self.assertEqual(set(), rooms - set(MAY_INCLUDE))

    def test_only_the_ring_includes_liburing_and_only_proto_and_above_know_grpc(self):
        wrong = []
        for name in SOURCES + [f for f in FILES if f.startswith("tests/") and f.endswith((".h", ".cc"))]:
            for _, target in INCLUDE.findall(read(name)):
                if "liburing" in target and not name.startswith("engine/ring/"):
                    wrong.append("%s includes %s" % (name, target))
                if re.match(r"(grpc|grpcpp|google/protobuf)/", target) and name.startswith("engine/"):
                    wrong.append("%s includes %s" % (name, target))
        self.assertEqual([], wrong)

    def test_a_source_includes_its_own_header_first(self):
        wrong = []
        for name in SOURCES:
            header = name[:-3] + ".h"
            if name.endswith(".cc") and header in FILES:
                includes = INCLUDE.findall(read(name))
                if not includes or includes[0][1] != header:
                    wrong.append(name)
        self.assertEqual([], wrong, "so that the header is known to stand alone")

    def test_headers_without_a_source_of_their_own_compile_alone(self):
        if not os.path.exists(COMPILE_COMMANDS):
            self.skipTest("%s is missing: configure first" % COMPILE_COMMANDS)
        with open(COMPILE_COMMANDS) as file:
            commands = {re.search(r" -o (\S+?)/CMakeFiles/", c["command"]).group(1): c for c in json.load(file)}

        def check(name):
            room = os.path.dirname(name)
            known = commands.get(room) or commands.get("proto")
            words = [w for w in shlex.split(known["command"]) if not w.endswith("ccache") and not w.startswith("-fsanitize")
                     and w not in ("-fprofile-instr-generate", "-fcoverage-mapping", "-Werror")]
            words = words[:words.index("-o")]  # what follows names the object and the source
            made = subprocess.run(words + ["-fsyntax-only", "-x", "c++", "-"], cwd=known["directory"], capture_output=True, text=True,
                                  input='#include "%s"\n#include "%s"\n' % (name, name))
            return "" if made.returncode == 0 else "%s:\n%s" % (name, made.stderr[:1500])
        alone = [n for n in SOURCES if n.endswith(".h") and n[:-2] + ".cc" not in FILES]
        with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
            self.assertEqual([], [text for text in pool.map(check, alone) if text])

    def test_headers_are_guarded(self):
        self.assertEqual([], [n for n in FILES if n.endswith(".h") and "#pragma once" not in read(n)])


class Text(unittest.TestCase):
    def test_nothing_names_a_path_of_a_machine_or_is_unfinished(self):
        machine = re.compile(r"(^|[^A-Za-z0-9_.])/(" + "|".join(("wo" + "rk", "fa" + "rm")) + r")(/|\b)")
        unfinished = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK")) + r")\b")
        wrong = []
        for name in FILES:
            try:
                lines = read(name).splitlines()
            except UnicodeDecodeError:
                continue  # a fuzz corpus
            wrong += ["%s:%d: %s" % (name, n, line.strip()[:100]) for n, line in enumerate(lines, 1)
                      if machine.search(line) or unfinished.search(line)]
        self.assertEqual([], wrong)

    def test_large_files_are_told(self):
        for name in FILES:
            if name.endswith((".h", ".cc", ".py", ".proto")):
                lines = read(name).count("\n")
                if lines > LARGE_FILE_LINES:
                    print("note: %s has %d lines; does it still hold one concept?" % (name, lines), file=sys.stderr)

    def test_links_between_documents_lead_somewhere(self):
        wrong = []
        for name in FILES:
            if name.endswith(".md"):
                for target in LINK.findall(read(name)):
                    if "://" not in target and not os.path.exists(os.path.join(ROOT, os.path.dirname(name), target)):
                        wrong.append("%s links to %s" % (name, target))
        self.assertEqual([], wrong)

    def test_files_that_documents_name_exist(self):
        wrong = []
        for name in FILES:
            if not name.endswith(".md"):
                continue
            for target in re.findall(r"`((?:docs|scripts|tests|engine|agent|coordinator|proto|deploy)/[\w./-]+)`", read(name)):
                if not os.path.exists(os.path.join(ROOT, target)):
                    wrong.append("%s names %s" % (name, target))
        self.assertEqual([], wrong)

    def test_scripts_can_be_run_and_parsed(self):
        for name in FILES:
            if name.startswith(("scripts/", ".ci/")) or name.endswith("_test.py"):
                with self.subTest(script=name):
                    self.assertTrue(os.access(os.path.join(ROOT, name), os.X_OK), "not executable")
                    if read(name).startswith("#!/usr/bin/env bash"):
                        self.assertEqual(0, subprocess.run(["bash", "-n", os.path.join(ROOT, name)]).returncode)


class Documents(unittest.TestCase):
    """What --help shows is documented, and what is documented exists."""

    def flags_of(self, program, *arguments):
        path = os.path.join(BIN_DIR, program)
        if not os.access(path, os.X_OK):
            self.skipTest("%s is not built" % path)
        shown = subprocess.run([path, *arguments, "--help"], capture_output=True, text=True, check=True).stdout
        # A line that declares options starts with one; footers and descriptions may mention others.
        return {flag for line in shown.splitlines() if re.match(r"\s+-", line) for flag in FLAG.findall(line.split("  ")[1] if
                line.startswith("  ") else line)}

    def test_every_flag_of_the_command_is_in_its_page_and_the_other_way_round(self):
        page = read("docs/cli.md") + read("docs/rsync-compatibility.md")
        shown = set()
        for command in (["sync"], ["plan"], ["apply"], ["explain"], ["verify"], ["prove"], ["bench"], ["certs", "init"], ["doctor"], []):
            shown |= self.flags_of("uringsync", *command)
        self.assertIn("--delete", shown)
        self.assertEqual(set(), shown - set(FLAG.findall(page)), "shown by --help, missing in docs/cli.md")
        rsyncs = self.flags_of("ursync")
        self.assertIn("--itemize-changes", rsyncs)
        self.assertEqual(set(), rsyncs - set(FLAG.findall(page)), "shown by ursync --help, missing in docs/rsync-compatibility.md")
        others = self.flags_of("uringsync-agent")
        self.assertEqual(set(), set(FLAG.findall(read("docs/cli.md"))) - shown - rsyncs - others, "in docs/cli.md, unknown to the program")

    def test_every_option_of_the_installed_rsync_has_a_row(self):
        try:
            shown = subprocess.run(["rsync", "--help"], capture_output=True, text=True).stdout
        except FileNotFoundError:
            self.skipTest("rsync is not installed")
        names = {n for line in shown.splitlines() if re.match(r"\s?--?\w", line) for n in FLAG.findall(line.split("  ")[0])}
        rows = "".join(line.split(" | ")[0] for line in read("docs/rsync-compatibility.md").splitlines() if line.startswith("| `-"))
        self.assertIn("--verbose", names)
        self.assertEqual(set(), names - set(FLAG.findall(rows)) - {"--no-"}, "without a row in docs/rsync-compatibility.md")

    def test_every_flag_of_the_agent_is_in_its_page(self):
        shown = self.flags_of("uringsync-agent")
        self.assertIn("--data-listen", shown)
        self.assertEqual(set(), shown - set(FLAG.findall(read("docs/operations.md"))), "shown by --help, missing in docs/operations.md")


if __name__ == "__main__":
    unittest.main(verbosity=2)
