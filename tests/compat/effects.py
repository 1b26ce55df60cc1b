"""For each option a run in which it changes what rsync does: the words of the command line without the option, and those it adds.

Where the words name a world of their own it is used, else WORLD. Options that change nothing that a run of rsync shows are in INERT, with
the reason; those that show only in time, in bytes moved or at another program are in MEASURED and have a test of their own.
"""

import zoo
from model import D, DEFAULT_NS, F, H, L, Node, below, seconds

OLD, NEW = seconds(-500), seconds(500)
BIG = b"".join(b"%d of many lines\n" % n for n in range(4000))
SRC = {
    "same": F("equal"), "changed": F("it was changed", mtime_ns=NEW), "new": F("new", mode=0o640), "older": F("older here", mtime_ns=OLD),
    "one-second": F("one second", mtime_ns=seconds(1)), "same-size": F("12345", mtime_ns=NEW), "hidden": F("same time"),
    "mode": F("m", mode=0o751), "empty": D(),
    "sub/file.c": F("c", mtime_ns=OLD), "sub/file.o": F("o"), "sub/.rules": F("- *.c\n"), "sub/.rsync-filter": F("- *.o\n"),
    "sub/deep/x": F("x"),
    "owned": F("o", uid=1, gid=2), "xattr": F("x", xattrs={"user.a": b"1"}),
    "acl": F("a", xattrs={"system.posix_acl_access": zoo.ACCESS_ACL}),
    "one": F("linked"), "two": H("one"), "link": L("same"), "away": L("../outside/file"), "absolute": L("/etc/hostname"),
    "to-dir": L("sub/deep"), "munged": L("/rsyncd-munged/same"), "fifo": Node("fifo"),
    "null": Node("char", rdev=0x103), "sparse": Node("file", pieces=[(0, b"x" * 5000)], size=400000), "big": F(BIG),
    "caf\udce9": F("8 bit"), "core": F("core"),
    "setuid": F("s", mode=0o4755), "run": F("r", mode=0o755), "partly": F(BIG)}
DST = {
    "same": F("equal"), "changed": F("as it was", mtime_ns=OLD), "older": F("newer here", mtime_ns=NEW), "one-second": F("one second"),
    "same-size": F("54321"),
    "hidden": F("time same"), "mode": F("m", mode=0o600), "extra": F("extra"), "sub/extra.o": F("e"), "sub/extra": F("e"),
    "run": F("r", mode=0o640),
    "kept": L("sub"), "big": F(BIG + b"!", mtime_ns=OLD), "partly": F(BIG[:20000], mtime_ns=OLD), "full": D(), "full/x": F("x")}
WORLD = {**below("src", SRC), **below("dst", DST), b"outside/file": F("outside"), b"lists/exclude": F("*.c\nempty\n"),
         b"lists/include": F("*.c\n"), b"lists/files": F("sub/deep/x\nsame\n"), b"older/new": F("new", mode=0o640), b"older": D(), b"staging": D(mode=0o500)}
RUN = "-rlpti"


def moved(**trees):
    result = {}
    for name, tree in trees.items():
        result.update(below(name, tree))
        result.setdefault(name.encode(), D())
    return result


TO = ["src/", "dst/"]
# option: (words without it, the words that it adds[, world])
EFFECTS = {
    "archive": (["-i", *TO], ["-a"]), "recursive": (["-i", *TO], ["-r"]), "dirs": (["-i", *TO], ["-d"]), "links": (["-ri", *TO], ["-l"]),
    "perms": (["-rti", *TO], ["-p"]), "times": (["-ri", *TO], ["-t"]), "group": ([RUN, *TO], ["-g"]), "owner": ([RUN, *TO], ["-o"]),
    "devices-specials": ([RUN, *TO], ["-D"]), "devices": ([RUN, *TO], ["--devices"]), "specials": ([RUN, *TO], ["--specials"]),
    "hard-links": ([RUN, *TO], ["-H"]), "acls": ([RUN, *TO], ["-A"]), "xattrs": ([RUN, *TO], ["-X"]),
    "executability": (["-rti", *TO], ["-E"]),
    # Of files alone: those of directories are moved by whoever looks at them.
    "atimes": (["-pti", "src/same", "src/new", "src/big", "dst/"], ["-U"]), "omit-dir-times": ([RUN, *TO], ["-O"]), "omit-link-times": ([RUN, *TO], ["-J"]),
    "chmod": ([RUN, *TO], ["--chmod=F600"]),
    "numeric-ids": (["-ai", "--usermap=daemon:bin", *TO], ["--numeric-ids"]), "chown": (["-ai", *TO], ["--chown=bin:sys"]),
    "usermap": (["-ai", *TO], ["--usermap=daemon:bin"]), "groupmap": (["-ai", *TO], ["--groupmap=bin:sys"]),
    "fake-super": (["-ai", *TO], ["--fake-super"]),
    "no-perms": (["-ai", *TO], ["--no-perms"]), "no-times": (["-ai", *TO], ["--no-times"]), "no-owner": (["-ai", *TO], ["--no-owner"]),
    "no-group": (["-ai", *TO], ["--no-group"]), "no-links": (["-ai", *TO], ["--no-links"]), "no-D": (["-ai", *TO], ["--no-D"]),
    "no-recursive": (["-ai", *TO], ["--no-recursive"]), "no-devices": (["-ai", *TO], ["--no-devices"]),
    "no-specials": (["-ai", *TO], ["--no-specials"]),
    "copy-links": ([RUN, *TO], ["-L"]), "copy-unsafe-links": ([RUN, *TO], ["--copy-unsafe-links"]),
    "safe-links": ([RUN, *TO], ["--safe-links"]),
    "munge-links": ([RUN, *TO], ["--munge-links"]), "copy-dirlinks": ([RUN, *TO], ["-k"]),
    "keep-dirlinks": (["-aiO", *TO], ["-K"], moved(src={"d/x": F("x")}, dst={"d": L("other"), "other/y": F("y")})),
    "copy-devices": (["-ri", "src/null", "dst/"], ["--copy-devices"]),
    "exclude": ([RUN, *TO], ["--exclude=*.c"]), "include": ([RUN, "--exclude=*.?", *TO], ["--include=*.c"]),
    "filter": ([RUN, *TO], ["--filter=- sub/"]),
    "exclude-from": ([RUN, *TO], ["--exclude-from=lists/exclude"]),
    "include-from": ([RUN, "--exclude=*.?", *TO], ["--include-from=lists/include"]),
    "cvs-exclude": ([RUN, *TO], ["-C"]), "filter-merge": ([RUN, *TO], ["-F"]), "files-from": ([RUN, *TO], ["--files-from=lists/files"]),
    "from0": ([RUN, "--files-from=lists/files", *TO], ["-0"]), "relative": ([RUN, "src/sub/deep", "dst/"], ["-R"]),
    "no-relative": ([RUN, "--files-from=lists/files", *TO], ["--no-relative"]),
    "no-implied-dirs": (["-aiR", "src/./sub/deep/x", "dst"], ["--no-implied-dirs"]), "prune-empty-dirs": ([RUN, *TO], ["-m"]),
    "max-size": ([RUN, *TO], ["--max-size=1k"]), "min-size": ([RUN, *TO], ["--min-size=1k"]), "update": ([RUN, *TO], ["-u"]),
    "existing": ([RUN, *TO], ["--existing"]), "ignore-existing": ([RUN, *TO], ["--ignore-existing"]),
    "size-only": ([RUN, *TO], ["--size-only"]),
    "ignore-times": ([RUN, *TO], ["-I"]), "modify-window": ([RUN, *TO], ["--modify-window=2"]), "checksum": ([RUN, *TO], ["-c"]),
    "ignore-missing-args": ([RUN, "src/nothing", "src/same", "dst/"], ["--ignore-missing-args"]),
    "delete-missing-args": ([RUN, "src/extra", "src/same", "dst/"], ["--delete-missing-args"]),
    "sparse": ([RUN, *TO], ["-S"]), "inplace": ([RUN, *TO], ["--inplace"]), "append": (["-ti", "src/partly", "dst/"], ["--append"]),
    "append-verify": (["-ti", "src/partly", "dst/"], ["--append-verify"]),
    "temp-dir": (["-ti", "src/new", "dst/"], ["--temp-dir=@WORLD@/nowhere"]),
    "link-dest": ([RUN, "src/new", "dst/"], ["--link-dest=../older"]), "copy-dest": ([RUN, "src/new", "dst/"], ["--copy-dest=../older"]),
    "compare-dest": ([RUN, "src/new", "dst/"], ["--compare-dest=../older"]), "backup": ([RUN, *TO], ["-b"]),
    "backup-dir": ([RUN, "-b", *TO], ["--backup-dir=../back"]), "suffix": ([RUN, "-b", *TO], ["--suffix=.old"]),
    "remove-source-files": ([RUN, *TO], ["--remove-source-files"]), "mkpath": ([RUN, "src/", "new/path/"], ["--mkpath"]),
    "delete": ([RUN, *TO], ["--delete"]), "del": ([RUN, *TO], ["--del"]), "delete-before": ([RUN, *TO], ["--delete-before"]),
    "delete-during": ([RUN, *TO], ["--delete-during"]), "delete-delay": ([RUN, *TO], ["--delete-delay"]),
    "delete-after": ([RUN, *TO], ["--delete-after"]),
    "delete-excluded": ([RUN, "--delete", "--exclude=extra*", *TO], ["--delete-excluded"]),
    "force": (["-ai", *TO], ["--force"], moved(src={"full": F("a file")}, dst={"full/x": F("x")})),
    "ignore-errors": (["-ai", "--delete", "src/", "gone/", "dst/"], ["--ignore-errors"]),
    "max-delete": ([RUN, "--delete", *TO], ["--max-delete=0"]),
    "dry-run": ([RUN, *TO], ["-n"]), "verbose": (["-a", *TO], ["-v"]), "quiet": (["-av", *TO], ["-q"]),
    "itemize-changes": (["-a", *TO], ["-i"]),
    "out-format": (["-a", *TO], ["--out-format=%o %n"]), "log-file": (["-a", *TO], ["--log-file=log.txt"]),
    "log-file-format": (["-a", "--log-file=log.txt", *TO], ["--log-file-format=%o %n"]), "stats": (["-a", *TO], ["--stats"]),
    "list-only": (["-a", *TO], ["--list-only"]), "progress": (["-a", "src/new", "dst/"], ["--progress"]),
    "partial-progress": (["-a", "src/new", "dst/"], ["-P"]),
    "info": (["-a", *TO], ["--info=name"]), "human-readable": (["-a", "--stats", *TO], ["-hh"]),
    "no-human-readable": (["-a", "--stats", *TO], ["--no-human-readable"]), "8-bit-output": (["-ai", *TO], ["-8"]),
    "old-dirs": (["-i", *TO], ["--old-dirs"]),
}
INERT = {
    "inc-recursive": "how lists are made", "no-inc-recursive": "how lists are made", "secluded-args": "how words reach the far end",
    "old-args": "how words reach the far end", "trust-sender": "how much the receiver checks",
    "blocking-io": "how the shell's pipe is written",
    "ipv4": "about sockets", "ipv6": "about sockets", "outbuf": "when lines appear", "max-alloc": "a limit on memory",
    "protocol": "what rsyncs say to each other",
    "checksum-choice": "which digest decides", "checksum-seed": "the seed of digests", "block-size": "the blocks of a delta",
    "skip-compress": "what is compressed",
    "compress-choice": "how it is compressed", "compress-level": "how well it is compressed",
    "partial": "shows only in a run that was broken off",
    "partial-dir": "shows only in a run that was broken off", "delay-updates": "shows only while it runs",
    "fuzzy": "which old file a delta starts from",
    "open-noatime": "times of the source that mount options rule", "super": "the default of root", "fsync": "shows only after a power cut",
    "preallocate": "how blocks are laid out", "stop-after": "shows after a minute", "stop-at": "shows after a minute",
    "write-devices": "needs a device to write to",
    "one-file-system": "needs a mount", "timeout": "shows when a peer is silent",
}
MEASURED = ("compress", "whole-file", "no-whole-file", "bwlimit")
