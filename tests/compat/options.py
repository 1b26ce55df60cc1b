"""The table of options that runs are drawn from: how each is spelled, how often it is drawn, what it needs, and values that matter.

A value function gets the Setting (what trees there are) and returns the values of one or more uses of its option; it may add files to
the world. Options that rsync refuses together are kept apart, but for the few wild runs that ignore `needs` and `excludes`.
"""

import os

import generate
from model import D, DIR, F, FILE, join

WORLD = b"@WORLD@"  # in a value: the absolute path of the world
RECURSES = ("archive", "recursive", "dirs", "files-from")
WHEN = ("del", "delete", "delete-before", "delete-during", "delete-delay", "delete-after", "delete-excluded")


class Setting:
    """What a value may be drawn from: the world's objects, and the names and paths below the transfer's root."""

    def __init__(self, rng, world, paths, source):
        self.rng, self.world, self.source = rng, world, source
        self.paths = sorted(paths) or [b"a"]
        self.names = sorted({p.rpartition(b"/")[2] for p in self.paths})
        self.files = 0
        self.zero = False  # lists are separated by NUL
        self.stdin = b""

    def file(self, stem, data):
        """Adds a file beside the trees and returns its name."""
        self.files += 1
        name = b"lists/%s-%d" % (stem, self.files)
        self.world[name] = F(data)
        return name

    def sizes(self):
        return sorted({n.length() for n in self.world.values() if n.kind == FILE})


class Option:
    def __init__(self, name, spellings, weight, value=None, needs=(), excludes=(), privileged=False):
        self.name, self.spellings, self.weight, self.value = name, spellings.split(), weight, value
        self.needs, self.excludes, self.privileged = tuple(needs), set(excludes), privileged


def one_of(*values):
    return lambda s: [os.fsencode(s.rng.choice(values))]


def patterns(s):
    return [generate.pattern(s.rng, s.names, s.paths) for _ in range(s.rng.randint(1, 3))]


def rules(s):
    """Rules, now and then with a merge file, a per-directory merge or a clearing."""
    found = []
    for _ in range(s.rng.randint(1, 4)):
        drawn = s.rng.random()
        if drawn < 0.1:
            found.append(b"merge " + s.file(b"merge", _lines(s, lambda: generate.rule(s.rng, s.names, s.paths))))
        elif drawn < 0.25:
            found.append(s.rng.choice([b"dir-merge .rules", b": .rules", b":n .rules", b":e .rsync-filter", b":- .cvsignore", b":C",
                                       b"dir-merge,- .rules"]))
        elif drawn < 0.28:
            found.append(b"!")
        else:
            found.append(generate.rule(s.rng, s.names, s.paths))
    return found


def _lines(s, draw):
    end = b"\0" if s.zero else b"\n"
    return b"".join(draw() + end for _ in range(s.rng.randint(1, 4)))


def list_of_patterns(s):
    return [s.file(b"patterns", _lines(s, lambda: generate.pattern(s.rng, s.names, s.paths).replace(b"\n", b"?")))]


def files_from(s):
    """Paths of the source tree, some missing, some with ./ in them; sometimes from standard input."""
    paths = [p for p in s.paths if s.zero or b"\n" not in p]
    chosen = s.rng.sample(paths, min(len(paths), s.rng.randint(1, 8)))
    chosen = [s.rng.choice([p, p, p, b"/" + p, p + b"/", b"./" + p]) for p in chosen]
    if s.rng.random() < 0.15:
        chosen.append(b"not-there")
    data = b"".join(p + (b"\0" if s.zero else b"\n") for p in chosen)
    if s.rng.random() < 0.2:
        s.stdin = data
        return [b"-"]
    return [s.file(b"files", data)]


def size_value(s):
    sizes = s.sizes() or [100]
    size = s.rng.choice(sizes)
    return [s.rng.choice([b"%d" % size, b"%d" % (size + 1), b"%db" % max(0, size - 1), b"1k", b"4K", b"1.5K", b"10KB", b"1k-1", b"1k+1"])]


def chmod_value(s):
    modes = "u+x go-rwx D755,F644 Du=rwx,go=rx F600 a+r Fo-r ug=rw,o=r,D+X a=rX,u+w g+s F0640 u-w Dg-s og=u +X".split()
    return [os.fsencode(v) for v in s.rng.sample(modes, s.rng.choice([1, 1, 2]))]


def related_directory(kind):
    """A directory that looks like the source, to compare, copy or link with: names are relative to the destination."""
    def value(s):
        found = []
        for number in range(s.rng.choice([1, 1, 2])):
            name = b"%s-%d" % (kind, number)
            s.world[name] = D()
            for path, node in generate.related(s.rng, s.source, generate.Taste(unprivileged=not generate.IS_ROOT)).items():
                if node.kind in (FILE, DIR):
                    s.world[join(name, path)] = node
            found.append(s.rng.choice([b"../", b"../", WORLD + b"/"]) + name)
        return found
    return value


def staging(s):
    """rsync 3.5 cannot create files below a temporary directory that it reaches by "..": the name is absolute."""
    s.world[b"staging"] = D()
    return [WORLD + b"/staging"]


def backup_directory(s):
    return [s.rng.choice([b"../backups", b"kept-back", WORLD + b"/backups/deep/er"])]


def skip_compress(s):
    return [s.rng.choice([b"gz/jpg/c", b"html", b""])]


def owner_map(s):
    return [s.rng.choice([b"0:1", b"root:daemon", b"*:12345", b"0-99:65534", b"12345:0,*:1", b"daemon:bin", b"1-2:nobody"])]


def group_map(s):
    return [s.rng.choice([b"0:1", b"root:daemon", b"*:54321", b"0-99:65534", b"54321:0,*:1", b"daemon:bin"])]


def chown_value(s):
    return [s.rng.choice([b"daemon:bin", b"12345", b":54321", b"0:0", b"nobody", b"*:daemon"])]


def format_value(s):
    return [s.rng.choice([b"%i %n%L", b"%o %n", b"%i|%f|%l", b"%n %M", b"%i %B %U %G %n", b"%n %C", b"[%10l] %'n", b"%n%L %%", b"%o %f %L"])]


def info_value(s):
    flags = b"name1 name2 del skip1 skip2 nonreg0 misc1 copy remove symsafe name,del,skip flist0 backup all0 mount stats1 none,name"
    return [s.rng.choice(flags.split())]


def log_file(s):
    return [b"log.txt"]


O = Option
TABLE = [
    # What is looked at and kept.
    O("archive", "-a --archive", 0),
    # drawn apart, as the base of most runs
    O("recursive", "-r --recursive", 0), O("dirs", "-d --dirs", 0), O("links", "-l --links", 5), O("perms", "-p --perms", 5),
    O("times", "-t --times", 6), O("group", "-g --group", 3), O("owner", "-o --owner", 3), O("devices-specials", "-D", 3),
    O("devices", "--devices", 2), O("specials", "--specials", 2), O("hard-links", "-H --hard-links", 14),
    O("acls", "-A --acls", 8), O("xattrs", "-X --xattrs", 8), O("executability", "-E --executability", 4),
    O("atimes", "-U --atimes", 3), O("omit-dir-times", "-O --omit-dir-times", 4),
    O("omit-link-times", "-J --omit-link-times", 4), O("chmod", "--chmod", 7, chmod_value),
    O("numeric-ids", "--numeric-ids", 5),
    O("chown", "--chown", 3, chown_value, privileged=True, excludes=("usermap", "groupmap")),
    O("usermap", "--usermap", 3, owner_map, privileged=True), O("groupmap", "--groupmap", 3, group_map, privileged=True),
    O("super", "--super", 2), O("fake-super", "--fake-super", 2), O("open-noatime", "--open-noatime", 2),
    O("no-perms", "--no-perms --no-p", 3), O("no-times", "--no-times --no-t", 3), O("no-owner", "--no-owner --no-o", 2),
    O("no-group", "--no-group --no-g", 2), O("no-links", "--no-links --no-l", 2), O("no-D", "--no-D", 2),
    O("no-recursive", "--no-recursive --no-r", 1), O("no-devices", "--no-devices", 1), O("no-specials", "--no-specials", 1),
    # Symbolic links.
    O("copy-links", "-L --copy-links", 4, excludes=("copy-unsafe-links", "safe-links", "munge-links")),
    O("copy-unsafe-links", "--copy-unsafe-links", 4), O("safe-links", "--safe-links", 4), O("munge-links", "--munge-links", 2),
    O("copy-dirlinks", "-k --copy-dirlinks", 4), O("keep-dirlinks", "-K --keep-dirlinks", 5),
    O("copy-devices", "--copy-devices", 1, privileged=True), O("write-devices", "--write-devices", 1, privileged=True),
    # Which objects.
    O("exclude", "--exclude", 14, patterns), O("include", "--include", 8, patterns, needs=("exclude", "filter")),
    O("filter", "-f --filter", 12, rules), O("exclude-from", "--exclude-from", 5, list_of_patterns),
    O("include-from", "--include-from", 4, list_of_patterns, needs=("exclude", "filter")),
    O("cvs-exclude", "-C --cvs-exclude", 5), O("filter-merge", "-F", 5), O("files-from", "--files-from", 8, files_from),
    O("from0", "-0 --from0", 4, needs=("files-from", "exclude-from")), O("relative", "-R --relative", 8),
    O("no-relative", "--no-relative --no-R", 2, needs=("files-from",)),
    O("no-implied-dirs", "--no-implied-dirs", 4, needs=("relative",)), O("prune-empty-dirs", "-m --prune-empty-dirs", 8),
    O("max-size", "--max-size", 5, size_value), O("min-size", "--min-size", 5, size_value),
    O("one-file-system", "-x --one-file-system", 3), O("update", "-u --update", 7),
    O("existing", "--existing --ignore-non-existing", 6), O("ignore-existing", "--ignore-existing", 6),
    O("size-only", "--size-only", 5), O("ignore-times", "-I --ignore-times", 5),
    O("modify-window", "--modify-window -@", 5, one_of("1", "2", "-1", "0", "4000")), O("checksum", "-c --checksum", 9),
    O("checksum-choice", "--checksum-choice --cc", 2, one_of("xxh128", "xxh128", "auto", "auto", "md5", "xxh64"), needs=("checksum",)),
    O("ignore-missing-args", "--ignore-missing-args", 3), O("delete-missing-args", "--delete-missing-args", 3),
    # How contents are moved and where they are put.
    O("whole-file", "-W --whole-file", 5, excludes=("no-whole-file",)), O("no-whole-file", "--no-whole-file --no-W", 5),
    O("compress", "-z --compress", 4),
    O("compress-choice", "--compress-choice --zc", 2, one_of("zstd", "zstd", "zstd", "none", "none", "zlib"), needs=("compress",)),
    O("compress-level", "--compress-level --zl", 2, one_of("1", "9"), needs=("compress",)),
    O("skip-compress", "--skip-compress", 2, skip_compress, needs=("compress",)), O("sparse", "-S --sparse", 5),
    O("preallocate", "--preallocate", 2), O("inplace", "--inplace", 6, excludes=("delay-updates", "partial-dir")),
    O("append", "--append", 3, excludes=("append-verify", "delay-updates", "partial-dir", "whole-file")),
    O("append-verify", "--append-verify", 3, excludes=("delay-updates", "partial-dir", "whole-file")),
    O("partial", "--partial", 4),
    O("partial-dir", "--partial-dir", 3, one_of(".partial", b"../partials", WORLD + b"/partials")),
    O("delay-updates", "--delay-updates", 4), O("temp-dir", "-T --temp-dir", 4, staging), O("fuzzy", "-y --fuzzy", 4),
    O("fsync", "--fsync", 4), O("block-size", "-B --block-size", 2, one_of("700", "4096")),
    O("link-dest", "--link-dest", 6, related_directory(b"older"), excludes=("copy-dest", "compare-dest")),
    O("copy-dest", "--copy-dest", 4, related_directory(b"older"), excludes=("compare-dest",)),
    O("compare-dest", "--compare-dest", 4, related_directory(b"older")), O("backup", "-b --backup", 8),
    O("backup-dir", "--backup-dir", 5, backup_directory, needs=("backup",)),
    O("suffix", "--suffix", 4, one_of(".old", "~~", "-kept"), needs=("backup",)),
    O("remove-source-files", "--remove-source-files", 5), O("mkpath", "--mkpath", 3),
    O("bwlimit", "--bwlimit", 2, one_of("1g", "100000")), O("timeout", "--timeout", 2, one_of("60", "300")),
    O("stop-after", "--stop-after --time-limit", 2, one_of("10", "99")),
    O("stop-at", "--stop-at", 1, one_of("2099-12-31T23:59")), O("checksum-seed", "--checksum-seed", 1, one_of("7")),
    # Deleting.
    O("delete", "--delete", 14, needs=RECURSES), O("del", "--del", 3, needs=RECURSES, excludes=WHEN[2:6]),
    O("delete-before", "--delete-before", 5, needs=RECURSES, excludes=WHEN[3:6]),
    O("delete-during", "--delete-during", 4, needs=RECURSES, excludes=WHEN[4:6]),
    O("delete-delay", "--delete-delay", 4, needs=RECURSES, excludes=WHEN[5:6]),
    O("delete-after", "--delete-after", 5, needs=RECURSES), O("delete-excluded", "--delete-excluded", 6, needs=RECURSES),
    O("force", "--force", 6), O("ignore-errors", "--ignore-errors", 4, needs=WHEN),
    O("max-delete", "--max-delete", 5, one_of("0", "1", "3", "100", "-1"), needs=WHEN),
    # What is told.
    O("dry-run", "-n --dry-run", 8), O("verbose", "-v --verbose", 12), O("quiet", "-q --quiet", 2),
    O("itemize-changes", "-i --itemize-changes", 0), O("out-format", "--out-format", 6, format_value),
    O("log-file", "--log-file", 4, log_file), O("log-file-format", "--log-file-format", 3, format_value, needs=("log-file",)),
    O("stats", "--stats", 5), O("list-only", "--list-only", 3), O("progress", "--progress", 2), O("partial-progress", "-P", 2),
    O("info", "--info", 6, info_value),
    O("human-readable", "-h --human-readable", 4, needs=("stats", "list-only", "out-format")),
    O("no-human-readable", "--no-human-readable --no-h", 2, needs=("stats", "list-only")),
    O("8-bit-output", "-8 --8-bit-output", 4), O("outbuf", "--outbuf", 1, one_of("L", "N", "B")),
    # Accepted for the way rsync works inside.
    O("inc-recursive", "--inc-recursive --i-r", 1), O("no-inc-recursive", "--no-inc-recursive --no-i-r", 2),
    O("secluded-args", "-s --secluded-args --protect-args", 1), O("old-args", "--old-args", 1),
    O("trust-sender", "--trust-sender", 1), O("blocking-io", "--blocking-io", 1), O("ipv4", "-4 --ipv4", 1),
    O("ipv6", "-6 --ipv6", 1), O("old-dirs", "--old-dirs --old-d", 1), O("max-alloc", "--max-alloc", 1, one_of("1g")),
    O("protocol", "--protocol", 1, one_of("31", "32")),
]
del O
BY_NAME = {option.name: option for option in TABLE}


def allowed(option, chosen):
    """Whether rsync takes `option` together with the chosen ones."""
    return not any(other in option.excludes or option.name in BY_NAME[other].excludes for other in chosen)
