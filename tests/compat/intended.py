"""Differences that are meant: each has a name, told in docs/rsync-compatibility.md, and a matcher for its lines.

A matcher gets the scenario, both outcomes and one difference in words, and says whether this is the difference meant. One that no seed
and no named test meets any more fails the test: either the difference is gone, or the matcher is wrong.
"""

import collections
import re
import stat
import time

import output
import scenario as scenarios
import treecmp

INTENDED = []
RECENT_NS = 3600 * 10 ** 9  # a time of this run


class Intended:
    def __init__(self, name, matches):
        self.name, self.matches = name, matches


# Values of options that are refused although rsync has them: rows "differs" of docs/rsync-compatibility.md.
REFUSED_VALUES = re.compile(r"ursync: --(?:cc|checksum-choice|zc|compress-choice|info|stderr|protocol)=")


def intended(function):
    """Adds a matcher under its function's name, with dashes."""
    INTENDED.append(Intended(function.__name__.replace("_", "-"), function))
    return function


def sort_out(scenario, theirs, ours, differences):
    """(the differences that nobody meant, the names of those meant that were met)."""
    left, met = [], set()
    for line in differences:
        names = [i.name for i in INTENDED if i.matches(scenario, theirs, ours, line)]
        met.update(names)
        if not names:
            left.append(line)
    return left, met


def _told(line):
    """The line of output or log that a difference is about, else ""."""
    found = re.match(r"(?:output|log): (?:missing|unexpected) (.*)", line, re.S)
    return found.group(1) if found else ""


def _as_often(theirs, ours, told, simpler):
    """Whether both outputs have the line equally often when each line is made simpler."""
    counts = [collections.Counter(simpler(output.show(line)) for text in (o.stdout, o.log) for line in output.lines(text))[simpler(told)]
              for o in (theirs, ours)]
    return counts[0] == counts[1]


def _formats(scenario):
    """The texts of --out-format and --log-file-format."""
    return b" ".join(word for word in scenario.arguments() if b"%" in word).decode("utf-8", "replace")


@intended
def size_of_a_directory_in_a_listing(scenario, theirs, ours, line):
    """What a file system says about the size of a directory is not kept; listings show 0."""
    told = _told(line)
    if re.match(r"d[-rwxsStT]{9} ", told):
        return _as_often(theirs, ours, told, lambda l: re.sub(r"^(d\S{9}) +[\d.,KMG]+ ", r"\1 ", l))
    return re.search("%[0-9-]*'*l", _formats(scenario)) is not None and _as_often(theirs, ours, told, lambda l: re.sub(r" *(?<![\w/])(?:4,?096|4\.10K|0)(?![\w.])", "#", l))


@intended
def digests_that_nobody_asked_for(scenario, theirs, ours, line):
    """%C is filled in with --checksum alone: contents are hashed in pieces, and nobody else asks for one digest of a file."""
    told = _told(line)
    return "%C" in _formats(scenario) and bool(told) and _as_often(theirs, ours, told, lambda l: re.sub(r" [0-9a-f ]{32}$", "", l))


@intended
def special_bits_of_a_replaced_file(scenario, theirs, ours, line):
    """Without --perms a file whose contents are replaced keeps its mode, but not that it runs as somebody: the contents are new."""
    found = re.fullmatch(r"tree: .*: mode (\d+), should be (\d+)", line)
    if not found or scenario.names() & {"fake-super"}:
        return False
    mode, wanted = (int(text, 8) for text in found.groups())
    return wanted & 0o6000 != 0 and mode == wanted & ~0o6000


@intended
def first_of_hard_links(scenario, theirs, ours, line):
    """Which name of several hard links is made first, and which are linked to it."""
    told = _told(line)
    group_of = {output.escaped(path.partition(b"/")[2]): min(group) for group in treecmp.link_groups(theirs.after) for path in group}
    if b"--files-from" in b" ".join(scenario.arguments()) and scenario.arguments().count(b"--no-R"):  # last components alone, and maybe nothing is made
        group_of.update({output.escaped(path.rpartition(b"/")[2]): min(group)
                         for group in treecmp.link_groups(theirs.before) for path in group if path.startswith(b"src")})

    def simpler(text):
        name = re.fullmatch(r"(?:\S{11} |\S{4} )?(.*?)(?: => .*)?", text, re.S).group(1)
        return "group %r" % group_of[name] if name in group_of else text
    return bool(told) and simpler(told) != told and _as_often(theirs, ours, told, simpler)


@intended
def shared_inodes_are_parted(scenario, theirs, ours, line):
    """Names that share a file at the destination and do not at the source: rsync changes all of them through one, here they are parted."""
    def is_parted(group):
        left = {ours.after[path].inode for path in group if path in ours.after}
        return len(left) > 1 or any(path not in ours.after for path in group)
    shared = {path for group in treecmp.link_groups(theirs.before) if len(group) > 1 and is_parted(group) for path in group}
    parted = {treecmp.show(path) for path in shared}
    named = re.match(r"(?:tree|touched): (?:not hard-linked together: |hard-linked together, should not be: )?(.*?)(?:: (?:mode|owner|mtime|xattr|ctime|was|size|content) .*)?$", line, re.S)
    above = {path.rpartition("/")[0] for path in parted}
    if named:
        paths = named.group(1).split(", ")
        return all(path in parted for path in paths) or (line.startswith("touched: ") and paths[0] in above)
    item = re.match(r"(?:[.>c<][fLDS][.a-zT+]{9}.|send )(.*?)(?: -> .*)?$", _told(line), re.S)
    names = {output.escaped(path.partition(b"/")[2]) for path in shared}
    return item is not None and item.group(1) in names


def _without_ids(acl):
    """An ACL as the kernel keeps it, without the ids of its entries."""
    entries = [acl[at:at + 4] for at in range(4, len(acl), 8)]
    return b"".join(sorted(entries))


@intended
def ids_in_acls(scenario, theirs, ours, line):
    """--usermap, --groupmap and --chown are about owners; entries of ACLs keep their ids."""
    mapped = scenario.names() & {"chown", "usermap", "groupmap"} or b"--chown" in b" ".join(scenario.arguments())
    if not mapped:
        return False
    told = _told(line)
    tree = re.match(r"tree: (.*): xattr (system\.posix_acl_(?:access|default)) is ", line, re.S)
    if tree:
        records = [{treecmp.show(path): record for path, record in outcome.after.items()}[tree.group(1)] for outcome in (theirs, ours)]
        return len({_without_ids(record.xattrs.get(tree.group(2), b"")) for record in records}) == 1
    return (bool(told) and _as_often(theirs, ours, told, lambda l: re.sub(r"^(.{9})a\.", r"\1..", l)))


@intended
def said_once(scenario, theirs, ours, line):
    """What cannot make way is told once; rsync tries again and tells it again."""
    told = _told(line)
    return told.startswith("cannot delete non-empty directory: ") and told.encode("utf-8", "surrogateescape") in ours.stdout + ours.log


@intended
def links_of_other_users(scenario, theirs, ours, line):
    """rsync 3.5 follows no symlink of another user in a path that it was given; here links of paths of this host are followed."""
    if b"symlink owned by an untrusted user" not in theirs.stderr:
        return False
    if line.startswith("exit: ") or "untrusted user" in line:
        return True
    refused = re.findall(r'"@WORLD@/src[^/"]*/([^"]*)" failed: Too many levels of symbolic links', output.show(theirs.stderr))
    places = {place for name in refused for place in (name, name.rpartition("/")[2])}

    def within(name):
        return any(name == place or name.startswith(place + "/") for place in places)
    told = re.match(r"(?:[<>ch.][fdLDS]\S{9} |send |recv )?(.*?)/?(?: -> .*| %)?$", _told(line), re.S)
    if _told(line):
        return within(told.group(1))
    found = re.match(r"(?:tree|touched): (.*): ([^:]*)$", line, re.S)
    path = output.escaped(_path_of(found.group(1), {**theirs.after, **ours.after}).partition(b"/")[2]) if found else ""
    above = {place.rpartition("/")[0] for place in places}
    return found is not None and (within(path) or (path in above and found.group(2).startswith(("mtime ", "ctime moved"))))


@intended
def modes_with_acls_at_a_remote_destination(scenario, theirs, ours, line):
    """--no-perms behind --acls counts; rsync forgets it where the other end is told the options anew."""
    if not {"acls", "no-perms"} <= scenario.names() or scenario.transport == scenarios.LOCAL:
        return False
    told = _told(line)
    return ": mode " in line or line.startswith("touched: ") or \
        (bool(told) and _as_often(theirs, ours, told, lambda l: re.sub(r"^(.{5})p", r"\1.", l)))


@intended
def append_verify_mends_at_once(scenario, theirs, ours, line):
    """A file whose beginning is wrong is mended in the same go: no warning, and no second line for it."""
    again = re.match(r"(?:[<>]f\S{9} |WARNING: .* failed verification)", _told(line))
    return b"--append-verify" in scenario.arguments() and line.startswith(("output: missing", "log: missing")) and again is not None


@intended
def appending_behind_zeros_without_holes(scenario, theirs, ours, line):
    """rsync 3.5 with --append and --sparse leaves zeros where it should write, behind old contents that it takes for a hole."""
    words = scenario.arguments()
    sparse = any(word == b"--sparse" or re.fullmatch(rb"-\w*S\w*", word) for word in words)
    return b"--append" in words and sparse and line.endswith(": content differs")


@intended
def devices_as_files(scenario, theirs, ours, line):
    """--copy-devices: files have the time at which the device was looked at; a device that cannot be opened spares what has its name."""
    if b"--copy-devices" not in scenario.arguments():
        return False
    times = re.fullmatch(r"tree: (.*): mtime (\d+), should be (\d+)", line, re.S)
    if times:
        name = _path_of(times.group(1), theirs.after).rpartition(b"/")[2]
        device = any(stat.S_ISCHR(r.type) or stat.S_ISBLK(r.type) for p, r in theirs.before.items() if p.startswith(b"src") and p.rpartition(b"/")[2] == name)
        return device and all(abs(int(text) - time.time_ns()) < RECENT_NS for text in times.groups()[1:])
    refused = re.findall(rb'failed to open "@WORLD@/[^/"]*/([^"]*)": No such device or address', theirs.stderr)
    return any(treecmp.show(path) in line for path in refused) and line.startswith("tree: ")


def _path_of(shown, tree):
    """The path of `tree` that is shown like this; b"" where it has none."""
    return next((path for path in tree if treecmp.show(path) == shown), b"")


@intended
def special_bits_without_their_owner(scenario, theirs, ours, line):
    """What runs as its owner or group at the source does so at the destination only where it has the same one: rsync sets the bits of -p whoever
    the owner is."""
    found = re.fullmatch(r"tree: (.*): mode (\d+), should be (\d+)", line, re.S)
    if not found:
        return False
    mode, wanted = (int(text, 8) for text in found.groups()[1:])
    lost = wanted & ~mode
    if not lost or lost & ~0o6000 or mode & ~wanted:
        return False
    path = next(path for path in theirs.after if treecmp.show(path) == found.group(1))
    record, name = theirs.after[path], path.rpartition(b"/")[2]
    sources = [r for p, r in theirs.before.items() if p.startswith(b"src") and p.rpartition(b"/")[2] == name and r.mode & 0o6000 == wanted & 0o6000]
    another_owner = all(source.uid != record.uid for source in sources)
    another_group = all(source.gid != record.gid for source in sources)
    return bool(sources) and (not lost & 0o4000 or another_owner) and (not lost & 0o2000 or another_group)


@intended
def wrong_rules_end_the_run(scenario, theirs, ours, line):
    """A wrong rule in a per-directory file ends the run before anything is deleted; rsync has then done what it came to before."""
    return theirs.code == ours.code == 1 and all(b"filter rule: " in o.stderr for o in (theirs, ours)) and not line.startswith("exit: ")


@intended
def names_that_a_shell_reads(scenario, theirs, ours, line):
    """No shell reads a path of another host: rsync's loses line feeds and backslashes, so that rsync does not find what has them."""
    if scenario.transport != scenarios.PULL:
        return False
    odd = [word[len(b"host:"):] for word in scenario.arguments() if word.startswith(b"host:") and re.search(rb"[\n\\]", word)]
    read = {operand: re.sub(rb"[\n\\]", b"", operand) for operand in odd}
    lost = [operand for operand, name in read.items()
            if any(part + b'" failed: No such file' in theirs.stderr for part in (name, name.rpartition(b"/")[0]))]
    if not lost:
        return False
    names = {form(operand.rstrip(b"/").rpartition(b"/")[2]) for operand in lost for form in (output.escaped, treecmp.show, output.show)}
    # The times of the directories that it goes into move.
    above = re.fullmatch(r"(?:tree|touched): [^ ]*: (?:mtime .*|ctime moved, rsync let it be)", line) is not None
    return line.startswith(("exit: 0", "stderr: nothing is said")) or above or any(name in line for name in names)


@intended
def appending_beside_a_basis(scenario, theirs, ours, line):
    """rsync with --append and a basis directory, or --fuzzy, takes the basis for the beginning of a file that is not there: it leaves out what is no
    longer, and writes the rest alone."""
    words = scenario.arguments()
    basis = any(re.match(rb"--(?:link|copy|compare)-dest|--fuzzy$|-[A-Za-z0-9]*y[A-Za-z0-9]*$", word) for word in words)
    if not any(word.startswith(b"--append") for word in words) or not basis:
        return False
    digests = {}
    for path, record in theirs.before.items():
        if path.startswith(b"src") and record.digest is not None:
            digests.setdefault(path.rpartition(b"/")[2], set()).add(record.digest)

    def is_mended(path):
        right = digests.get(path.rpartition(b"/")[2], set())
        there = theirs.after.get(path)
        return path not in theirs.before and ours.after[path].digest in right and (there is None or there.digest not in right)
    mended = [path for path, record in ours.after.items() if record.digest is not None and is_mended(path)]
    at_source = re.match(r"(?:tree|touched): (src.*): ([^:]*)$", line, re.S)
    if at_source and b"--remove-source-files" in words:
        source, below = _path_of(at_source.group(1), theirs.after), {path.partition(b"/")[2] for path in mended}
        if at_source.group(2) in ("is missing", "vanished, rsync let it be"):
            return source.partition(b"/")[2] in below
        return source.partition(b"/")[2] in {path.rpartition(b"/")[0] for path in below} and at_source.group(2).startswith(("mtime ", "ctime moved"))
    above = {treecmp.show(path.rpartition(b"/")[0]) for path in mended}
    moved = re.fullmatch(r"(?:tree|touched): (.*): (?:mtime -\d+, .*|ctime moved, rsync let it be)", line, re.S)
    if moved and moved.group(1) in above:
        return True
    item = re.match(r"[<>]f[.a-zT+]{9} (.*)", _told(line), re.S)
    return any(line.startswith("tree: %s: " % treecmp.show(path)) or (item and item.group(1) == output.escaped(path.partition(b"/")[2])) for path in mended)


import intended_failures  # noqa: E402,F401  (it adds its own)
import intended_fake_super  # noqa: E402,F401  (likewise)
import intended_operands  # noqa: E402,F401  (likewise)
