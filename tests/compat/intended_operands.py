"""Differences that are meant of what the operands are, and of where it comes to lie. Part of intended.py."""

import os
import re
import stat

import treecmp
from intended import REFUSED_VALUES, _as_often, _path_of, _told, intended
from intended_failures import _tree_path


def _words_with(scenario, expression):
    return any(re.match(expression, word) for word in scenario.arguments())


@intended
def what_is_named_twice_is_counted_once(scenario, theirs, ours, line):
    """Totals of the source: an object that several operands name is one object; rsync counts it for each of them."""
    told = _told(line)
    if not re.match(r"Number of files: |Total file size: |total size is ", told):
        return False
    several = len(scenario.operands or scenario.arguments()) > 1 or _words_with(scenario, rb"--files-from")
    return several and _as_often(theirs, ours, told, lambda l: re.sub(r"[\d,.]+[KMG]?", "#", re.sub(r" \(.*\)$", "", l)))


@intended
def an_empty_directory_alone(scenario, theirs, ours, line):
    """A directory in which nothing is, or nothing that is to be copied, goes below a DST that is missing; rsync makes it that DST, or makes none."""
    typed = scenario.destination if scenario.destination is not None else scenario.arguments()[-1]
    top = os.path.normpath(typed.rpartition(b":")[2])
    if typed.endswith(b"/") or top in theirs.before or any(path.startswith(top + b"/") for path in theirs.after):
        return False
    if _told(line):
        return line.startswith("output: unexpected created directory ") or line.startswith("log: unexpected created directory ")
    path, what = _tree_path(line, {**theirs.before, **theirs.after, **ours.after})
    within = path == top or os.path.dirname(path) == top
    return (within and path in ours.after and stat.S_ISDIR(ours.after[path].type)) or \
        (path == os.path.dirname(top) and what.startswith(("mtime ", "ctime ")))


@intended
def in_place_beside_backups(scenario, theirs, ours, line):
    """--inplace with --backup: the old file gets the name of the backup, and a new one takes its place; rsync copies it to the backup, and writes over it."""
    if not _words_with(scenario, rb"--(?:inplace|write-devices)") or not _words_with(scenario, rb"--(?:backup|backup-dir)|-\w*b"):
        return False
    found = re.match(r"(?:tree|touched): (.*): ((?:owner|mode|xattr|was) .*|is missing)$", line, re.S)
    if not found:
        return False
    if found.group(2) == "is missing":  # of what cannot be read rsync has a backup by then
        kept = _path_of(found.group(1), theirs.after)[:-1]
        unread = re.findall(rb'send_files failed to open "@WORLD@/[^"/]*/([^"]*)"', theirs.stderr)
        same = kept in ours.before and kept in ours.after and ours.before[kept].inode == ours.after[kept].inode
        return found.group(1).endswith("~") and same and kept.partition(b"/")[2] in unread
    path, what = _path_of(found.group(1), {**theirs.after, **ours.after}), found.group(2)
    before, after = ours.before.get(path), ours.after.get(path)
    if what == "was replaced, by rsync ctime moved":
        return before is not None and before.inode != after.inode
    # What the run does not keep stays with the inode.
    if not re.match(r"owner |xattr |mode ", what) or after is None:
        return False
    moved = {record.inode for record in ours.before.values()}
    return after.inode in moved and before is None or before is not None and before.inode != after.inode


@intended
def groups_from_set_group_id_directories(scenario, theirs, ours, line):
    """Directories get their modes when all in them is done: what is new and keeps no group has that of the process; rsync has set the bit by then."""
    found = re.fullmatch(r"tree: (.*): owner (\d+):(\d+), should be (\d+):(\d+)", line, re.S)
    if not found or found.group(2) != found.group(4):
        return False
    path = _path_of(found.group(1), theirs.after)
    above, before = theirs.after.get(os.path.dirname(path)), theirs.before.get(os.path.dirname(path))
    was = before is not None and before.mode & 0o2000
    return above is not None and bool(above.mode & 0o2000) and not was and above.gid == int(found.group(5))


@intended
def mappings_to_nobody(scenario, theirs, ours, line):
    """A name that the destination does not know ends the run before it begins; rsync says so and goes on without it."""
    return ours.code == 1 and re.search(rb"Unknown --(?:user|group)map name on receiver", theirs.stderr) is not None and b"is called " in ours.stderr


@intended
def backups_that_rsync_cannot_make(scenario, theirs, ours, line):
    """rsync 3.5 finds no backup that is written in place when the directory of backups is above DST: it fails, and leaves the backup half made."""
    lost = re.findall(rb'\[generator\] stat "@WORLD@/[^"]*/\.\./([^"]*)" failed: Invalid argument', theirs.stderr)
    if not lost:
        return False
    if line.startswith(("exit: 0, should be 23", "stderr: nothing is said, by rsync rsync: [generator] stat ")):
        return True
    path = _tree_path(line, {**theirs.before, **theirs.after, **ours.after})[0]
    below = {os.fsencode(os.fsdecode(name)).partition(b"/")[2] for name in lost}
    paths = set(lost) | {b"dst/" + name for name in below}
    return path in paths or path in {os.path.dirname(name) for name in paths}


@intended
def values_are_refused_first(scenario, theirs, ours, line):
    """A value that is not supported is refused (exit 4) before the operands are looked at, in which rsync finds an error of usage."""
    return line == "exit: 4, should be 1" and REFUSED_VALUES.search(ours.stderr.decode("utf-8", "replace")) is not None


@intended
def times_of_access_of_symlinks(scenario, theirs, ours, line):
    """--atimes is never about symlinks: a listing leaves their time of access blank."""
    told = _told(line)
    return told.startswith("l") and _words_with(scenario, rb"--atimes|-[A-Za-z]*U") and \
        _as_often(theirs, ours, told, lambda l: re.sub(r"^(l\S{9} +[\d.,KMG]+ \S+ \S+ )(?:\S{10} \S{8}| {19}) ", r"\1", l))
