"""Named cases: runs in which ursync once differed from rsync, or must differ from it as documented. Each runs beside rsync every time.

A case is a world, the words of a command line that is given inside it, and what the words select. `differential.py --seed N --shrink`
prints one. `differs` names the intended difference that a case must show (intended.py).
"""

import os

import scenario
from model import D, F, H, L, Node, seconds  # noqa: F401  (what printed cases are made of)


class Case(scenario.Scenario):
    def __init__(self, name, world, words, stdin=b"", unprivileged=False, transport=scenario.LOCAL, differs=None, needs=()):
        world = {os.fsencode(path): node for path, node in world.items()}
        world.setdefault(b"rsh", scenario.REMOTE_SHELL)
        super().__init__(world, [], [], None, stdin, unprivileged, transport)
        self.name, self.words, self.differs, self.needs = name, [os.fsencode(w) for w in words], differs, needs

    def _words(self):
        return self.words

    def names(self):
        """The options that the comparison asks for."""
        shown = b" ".join(self.words)
        return {name for name, words in (("log-file", b"--log-file="), ("atimes", b"--atimes"), ("sparse", b"--sparse")) if words in shown}


def as_source(drawn, name):
    """A scenario as a line of CASES."""
    world = "{%s}" % ", ".join("%r: %r" % pair for pair in sorted(drawn.world.items()) if pair[0] != b"rsh")
    more = ", stdin=%r" % drawn.stdin if drawn.stdin else ""
    more += ", unprivileged=True" if drawn.unprivileged else ""
    return "Case(%r, %s, %r%s)" % (name, world, drawn.arguments(), more)


LINES = b"".join(b"line %d\n" % n for n in range(2000))
# What --append meets: shorter files, right and wrong, and files that are no shorter.
PARTLY = {"src/short": F(LINES), "dst/short": F(LINES[:5000], mtime_ns=seconds(-5)), "src/wrong": F(LINES),
          "dst/wrong": F(b"x" * 5000, mtime_ns=seconds(-5)), "src/level": F("abc", mode=0o600), "dst/level": F("abd", mtime_ns=seconds(-5)),
          "src/longer": F("ab"), "dst/longer": F("abcdef", mtime_ns=seconds(-5)), "src/new": F("new"), "src/equal": F("e", mode=0o600),
          "dst/equal": F("e"), "src/was-empty": F("not now"), "dst/was-empty": F(""), "dst/other": F("only here")}
CASES = [
    Case("a_directory_is_updated", {"src/a": F("new"), "src/d/b": F("b"), "dst/a": F("old", mtime_ns=seconds(-5)), "dst/d/c": F("c")},
         ["-ai", "--delete", "src/", "dst"]),
    Case("appending_leaves_alone_what_is_no_shorter", PARTLY, ["-ai", "--append", "src/", "dst"]),
    Case("appending_mends_what_is_verified", PARTLY, ["-ai", "--append-verify", "src/", "dst"], differs="append-verify-mends-at-once"),
    Case("appending_to_files_with_holes", PARTLY,
         ["-aiS", "--append", "src/", "dst"], differs="appending-behind-zeros-without-holes"),
    Case("a_missing_directory_for_temporaries_is_an_error", PARTLY, ["-ai", "-T", "nowhere", "src/", "dst"]),
    Case("delayed_updates_and_deletes", PARTLY, ["-ai", "--delay-updates", "--delete", "src/", "dst"]),
    Case("a_directory_of_parts_is_neither_copied_nor_deleted",
         {"src/a": F("new"), "src/.parts/x": F("x"), "dst/.parts/y": F("y"), "dst/gone/.parts/z": F("z")},
         ["-ai", "--partial-dir=.parts", "--delete", "src/", "dst"]),
    Case("quiet_says_nothing_whatever_else_is_asked_for", {"src/a": F("new"), "dst": D()}, ["-aiq", "src/", "dst"]),
    Case("a_full_directory_in_the_way_is_told_as_a_message", {"src/full": F("a file"), "dst/full/x": F("x")}, ["-ai", "src/", "dst"]),
    Case("the_log_leaves_out_mere_metadata_as_the_output_does", {"src/a": F("a", mode=0o600), "dst/a": F("a")},
         ["-a", "--log-file=log.txt", "src/", "dst"]),
]
