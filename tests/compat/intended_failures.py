"""Intended differences of runs in which something failed, or was left where it is. Part of intended.py."""

import os
import re
import stat

import output
import treecmp
from intended import _path_of, _told, intended


def _tree_path(line, tree):
    """The path of `tree` that a difference of trees is about, and the rest of the difference; (b"", "") where there is none."""
    found = re.match(r"(?:tree|touched): (.*): ([^:]*)$", line, re.S)
    return (_path_of(found.group(1), tree), found.group(2)) if found else (b"", "")


def _below(path, directories):
    return any(path == directory or path.startswith(directory + b"/") for directory in directories)


def _body(line):
    """A difference of output or log without where it is."""
    return re.sub(r"^(?:output|log): ", "", line)


def _has_option(scenario, expression):
    return any(re.fullmatch(expression + rb"(?:=.*)?", word, re.S) for word in scenario.arguments())


def _has_letter(scenario, letter, name):
    """Whether an option is given, by its letter or by its name, an expression."""
    return _has_option(scenario, name) or any(re.fullmatch(rb"-[A-Za-z0-9]*%s[A-Za-z0-9]*" % letter, word) for word in scenario.arguments())


def _named(scenario):
    """The options of a seed, or of a case."""
    names = set(scenario.names())
    names |= {"acls"} if _has_letter(scenario, b"A", b"--acls") else set()
    return names | ({"no-perms"} if _has_option(scenario, b"--no-p(?:erms)?") else set())


def _deleted(outcome):
    return {path for path in outcome.before if path.startswith(b"dst") and path not in outcome.after}


def _about_deleting(line, theirs, ours, spared):
    """Whether a difference comes from `spared`, paths that only one of both deleted, or moved to their backups."""
    told = re.match(r"(?:\*deleting   |cannot delete non-empty directory: |deleting )(.*?)/?$", _told(line), re.S)
    if told:
        return told.group(1) in {output.escaped(path.partition(b"/")[2]) for path in spared} | {output.escaped(path.rpartition(b"/")[0].partition(b"/")[2]) for path in spared}
    path, what = _tree_path(line, {**theirs.before, **theirs.after, **ours.after})
    above = {path.rpartition(b"/")[0] for path in spared}
    backup = path.endswith(b"~") and path[:-1] in spared
    return path in spared or backup or (path in above and ("mtime" in what or "ctime" in what))


@intended
def errors_spare_all(scenario, theirs, ours, line):
    """What could not be looked at spares all; rsync has deleted by then what its list came to before."""
    if b"IO error encountered -- skipping file deletion" not in theirs.stdout or _deleted(ours):
        return False
    return _about_deleting(line, theirs, ours, _deleted(theirs))


@intended
def what_a_limit_spares(scenario, theirs, ours, line):
    """--max-delete: as many objects are deleted, maybe others."""
    stopped = all(b"Deletions stopped due to --max-delete limit" in outcome.stderr for outcome in (theirs, ours))
    if not stopped or len(_deleted(theirs)) != len(_deleted(ours)):
        return False
    return _about_deleting(line, theirs, ours, _deleted(theirs) ^ _deleted(ours))


@intended
def dry_runs_know_of_backups(scenario, theirs, ours, line):
    """--dry-run with --backup: a directory in which backups would be made stays, as it does in the run itself; rsync's -n tells that it goes, and what
    comes in its place."""
    if not _has_letter(scenario, b"n", b"--dry-run") or _has_option(scenario, b"--backup-dir"):
        return False
    kept = {told[1] for told in re.finditer(r"^cannot delete non-empty directory: (.*)$", output.show(ours.stdout), re.M)}
    if line == "exit: 23, should be 0":
        return bool(kept) and b"could not make way for a" in ours.stderr
    told = re.fullmatch(r"(missing|unexpected) (?:\*deleting   |cannot delete non-empty directory: |[>c<][fLDS]\+{9} )(.*?)/?(?: -> .*)?", _body(line), re.S)
    return told is not None and told.group(2) in kept


@intended
def backups_beside_a_basis(scenario, theirs, ours, line):
    """--backup: what makes way for an object of a basis directory has a backup like all else; rsync makes none."""
    if not _has_option(scenario, b"--(?:link|compare)-dest") or not _has_letter(scenario, b"b", b"--backup(?:-dir)?"):
        return False
    path, what = _tree_path(line, {**theirs.after, **ours.after})
    kept = {record.inode: old for old, record in ours.before.items() if old.startswith(b"dst")}
    backups = [p for p, record in ours.after.items() if p not in ours.before and p not in theirs.after and record.inode in kept]
    if line.endswith(": should not be there"):
        return path in backups or any(backup.startswith(path + b"/") for backup in backups)
    above = {backup.rpartition(b"/")[0] for backup in backups} | {backup.split(b"/", 1)[0] for backup in backups}
    return path in above and (what.startswith("mtime -") or what == "ctime moved, rsync let it be")


@intended
def below_what_could_not_be_made(scenario, theirs, ours, line):
    """Of what lies below a directory that could not be made nothing is told; rsync tells it as transferred, and gives what stands in its place the
    directory's times."""
    missing = [bytes(path) for path in re.findall(rb'mkdir "@WORLD@/([^"]*)" failed: ', ours.stderr)]
    item = re.match(r"(?:[>c<][fdLDS][.+a-zT]{9}|send|recv) (.*?)/?(?: -> .*)?$", _told(line), re.S)
    if item and line.startswith(("output: missing", "log: missing")):
        return any(item.group(1).startswith(output.escaped(path.partition(b"/")[2]) + "/") for path in missing)
    path, what = _tree_path(line, ours.after)
    stands = ours.before.get(path)
    # Nor is it told where --ignore-existing left what stands there.
    ignored = _has_option(scenario, b"--ignore-existing") and any(
        p.startswith(b"src/") and p.endswith(b"/" + path.rpartition(b"/")[2]) and stat.S_ISDIR(record.type) for p, record in theirs.before.items())
    return (path in missing or ignored) and what.startswith("mtime ") and stands is not None and not stat.S_ISDIR(stands.type) and \
        stands.mtime_ns == ours.after[path].mtime_ns


@intended
def names_that_rsync_itself_rejects(scenario, theirs, ours, line):
    """rsync refuses a directory that its own far end sent on the way to an operand, where a rule is about it; here it is no name to be excluded."""
    return theirs.code == 4 and b"ERROR: rejecting excluded file-list name: " in theirs.stderr and ours.code == 0


@intended
def modes_of_basis_files(scenario, theirs, ours, line):
    """Without --perms a new file has the mode of a new file; rsync gives it that of the file which a basis directory has under its name, or --fuzzy
    found beside it."""
    found = re.fullmatch(r"tree: (.*): mode (\d+), should be (\d+)", line, re.S)
    basis, fuzzy = _has_option(scenario, b"--(?:link|copy|compare)-dest"), _has_letter(scenario, b"y", b"--fuzzy")
    if not found or not (basis or fuzzy):
        return False
    path, wanted = _path_of(found.group(1), ours.after), int(found.group(3), 8)
    below = path.partition(b"/")[2]
    of_basis = {record.mode for other, record in ours.before.items() if basis and other.startswith(b"older") and other.partition(b"/")[2] == below}
    if fuzzy:
        beside = os.path.dirname(path)
        of_basis |= {record.mode for other, record in ours.before.items() if os.path.dirname(other) == beside and stat.S_ISREG(record.type)}
    before = ours.before.get(path)
    if before is not None and stat.S_ISLNK(before.type):
        return wanted in of_basis | {before.mode}
    return before is None and wanted in of_basis


@intended
def links_have_no_modes(scenario, theirs, ours, line):
    """Without --perms a special object that replaces a symlink has the mode of a new one; rsync gives it the link's, which is open to everybody."""
    path, what = _tree_path(line, ours.after)
    before, after = ours.before.get(path), ours.after.get(path)
    return re.fullmatch(r"mode \d+, should be 777", what) is not None and before is not None and stat.S_ISLNK(before.type) and \
        not stat.S_ISREG(after.type)


@intended
def acls_bring_their_modes(scenario, theirs, ours, line):
    """--no-perms behind --acls: an ACL is set whole, and the mode is part of it; rsync cuts it down to the mode of a new object, or of what is there."""
    path, what = _tree_path(line, ours.after)
    if not re.match(r"mode \d+, should be|xattr system\.posix_acl_access is ", what) or not {"acls", "no-perms"} <= _named(scenario):
        return False
    key = "system.posix_acl_access"
    name = path.rpartition(b"/")[2] if b"/" in path else b"src"
    wanted = [record.xattrs[key] for p, record in ours.before.items() if p.startswith(b"src") and p.rpartition(b"/")[2] == name and key in record.xattrs]
    return ours.after[path].xattrs.get(key) in wanted


@intended
def times_of_a_directory_above_both(scenario, theirs, ours, line):
    """-R ./SRC: where the new DST lies in the same directory, that directory's time is the one that DST's making gave it; rsync looked at it before."""
    path, what = _tree_path(line, ours.after)
    new = path not in ours.before and b"/" not in path and path in ours.after
    from_here = any(operand.startswith(b"./") for operand in scenario.operands or scenario.arguments())
    return new and from_here and _has_letter(scenario, b"R", b"--relative") and what.startswith("mtime -7777, should be ")


@intended
def acls_of_hard_links(scenario, theirs, ours, line):
    """The ACL that a file inherits is that of the directory in which it is made: with several names which one that is may differ (first-of-hard-links)."""
    path, what = _tree_path(line, ours.after)
    groups = [group for group in treecmp.link_groups(theirs.after) if len(group) > 1 and path in group]
    return bool(groups) and "system.posix_acl_access" in what and path not in ours.before and "acls" not in scenario.names()


@intended
def backups_of_hard_links(scenario, theirs, ours, line):
    """Of several names of a file the one that is right already leads: it is not replaced, so it has no backup, and keeps a time that differs by less than
    a second, and attributes that nobody asked to copy."""
    path, what = _tree_path(line, {**theirs.after, **ours.after})
    foreign = re.fullmatch(r"xattr (\S+) should not be there", what)
    named = path[:-1] if path.endswith(b"~") and what == "is missing" else path
    group = next((g for g in treecmp.link_groups(theirs.after) if len(g) > 1 and named in g), ())
    leads = [ours.before[p] for p in group if p in ours.after and p in ours.before and ours.after[p].inode == ours.before[p].inode]
    if not leads:
        return False
    if foreign:
        return not _has_letter(scenario, b"X", b"--xattrs") and any(foreign.group(1) in record.xattrs for record in leads)
    times = re.fullmatch(r"mtime (-?\d+), should be (-?\d+)", what)
    if times:
        return int(times.group(1)) // 10 ** 9 == int(times.group(2)) // 10 ** 9
    return named != path or what == "ctime moved, by rsync was replaced"


@intended
def backups_of_what_looks_like_one(scenario, theirs, ours, line):
    """What is no regular file, has the name of a backup and makes way for another kind has a backup like all else; rsync removes it."""
    path, what = _tree_path(line, ours.after)
    words = scenario.arguments()
    given = [word.partition(b"=")[2] or words[at + 1] for at, word in enumerate(words[:-1]) if re.fullmatch(rb"--suffix(?:=.*)?", word)]
    suffix = given[-1] if given else b"~"
    old = path[:-len(suffix)]
    before = ours.before.get(old)
    return what == "should not be there" and path.endswith(suffix) and old.endswith(suffix) and before is not None and \
        not stat.S_ISREG(before.type) and ours.after[path].inode == before.inode


@intended
def temporaries_of_what_cannot_be_read(scenario, theirs, ours, line):
    """--temp-dir: a temporary file is made before a file is opened at the source, rsync's after that."""
    path, what = _tree_path(line, ours.after)
    unread = b"[sender] send_files failed to open " in ours.stderr and b"[sender] send_files failed to open " in theirs.stderr
    given = any(os.path.basename(word) == os.path.basename(path) for word in scenario.arguments())
    return unread and given and b"/" not in path and (_has_option(scenario, b"--temp-dir") or _has_letter(scenario, b"T", b"--temp-dir")) and \
        (what.startswith("mtime -7777, ") or what == "ctime moved, rsync let it be") and path != b"dst"


@intended
def backup_names_that_are_too_long(scenario, theirs, ours, line):
    """A name that is too long with --suffix is a problem of that object; rsync ends the run there."""
    return theirs.code == 11 and ours.code == 23 and b" keep_backup failed: " in theirs.stderr and b": File name too long" in theirs.stderr


@intended
def parts_of_seconds_beside_checksums(scenario, theirs, ours, line):
    """A time that differs by less than a second differs in nothing; rsync sets it with --checksum, and tells nothing."""
    path, what = _tree_path(line, ours.after)
    times = re.fullmatch(r"mtime (-?\d+), should be (-?\d+)", what)
    if not times or path not in ours.before or int(times.group(1)) // 10 ** 9 != int(times.group(2)) // 10 ** 9:
        return False
    words = scenario.arguments()
    by_checksum = any(word == b"--checksum" or re.fullmatch(rb"-[A-Za-z]*c[A-Za-z]*", word) for word in words)
    return by_checksum and ours.before[path].mtime_ns == ours.after[path].mtime_ns
