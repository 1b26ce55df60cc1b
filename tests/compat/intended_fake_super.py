"""Intended differences of --fake-super. Part of intended.py."""

import re
import stat
import struct

import output
import treecmp
from intended import _path_of, _told, intended
from intended_failures import _tree_path

STAT = "user.rsync.%stat"
OF_MODE = (1, 4, 16, 32)  # tags of ACL entries whose permissions a mode shows: owner, group, mask, others


def _stands_for(record):
    """(mode with type, ids) of what a file is under --fake-super, None where it is itself; ids are None where nobody compares them."""
    text = re.match(rb"(\d+) \S+ (?:(\d+):(\d+)|-)", record.xattrs.get(STAT, b"")) if record else None
    return (int(text.group(1), 8), text.group(2) and (int(text.group(2)), int(text.group(3)))) if text else None


def _is_link(record):
    return record is not None and stat.S_ISLNK(record.type)


def _stands_for_link(record):
    stands = _stands_for(record)
    return stands is not None and stat.S_ISLNK(stands[0])


def _kept_links(theirs, ours):
    """Symlinks of the destination that stay, where rsync makes files that stand for them."""
    return [path for path, record in ours.after.items()
            if _is_link(record) and _is_link(ours.before.get(path)) and _stands_for_link(theirs.after.get(path))]


def _about_kept_links(kept, theirs, ours, line):
    told = _told(line)
    if told:
        names = [re.escape(output.escaped(path.partition(b"/")[2])) for path in kept]
        return any(re.search("(?:^|[ /])%s(?: -> |$)" % name, told) for name in names)
    path, what = _tree_path(line, {**theirs.after, **ours.after})
    if path in kept:
        return what in ("is a symlink, should be a file", "ctime moved, by rsync was replaced")
    backup = path.endswith(b"~") and path[:-1] in kept and what == "is missing"
    return backup or (path in {link.rpartition(b"/")[0] for link in kept} and what.startswith("mtime "))


def _keeps_permissions(path, theirs, ours):
    """Whether a real mode is that of before, or what the object passes for, and rsync's is what the owner needs beside that."""
    here, there = ours.after[path], theirs.after.get(path)
    if there is None:
        return False
    if _stands_for_link(here):
        return there.mode == 0o777
    stands, before = _stands_for(there), ours.before.get(path)
    as_told = stands is not None and here.mode == stands[0] & 0o7777 and stands[1] in (None, (here.uid, here.gid))
    kept = before is not None and before.mode == here.mode
    return (as_told or kept) and there.mode in (here.mode & 0o777 | 0o600, here.mode & 0o777 | 0o700)


def _without_mode(acl):
    """An ACL without what a mode shows of it."""
    entries = [struct.unpack_from("<HHI", acl, at) for at in range(4, len(acl), 8)]
    return [(tag, 0 if tag in OF_MODE else permissions, who) for tag, permissions, who in entries]


def _has_group_of_directory(path, theirs, ours):
    """Whether the group comes from a directory that has kept its set-group-ID bit."""
    above = path.rpartition(b"/")[0]
    here, there = ours.after.get(above), theirs.after.get(above)
    return here is not None and there is not None and here.mode & 0o2000 and not there.mode & 0o2000 and ours.after[path].gid == here.gid


@intended
def permissions_beside_fake_super(scenario, theirs, ours, line):
    """--fake-super: files that stand for symlinks are not open to everybody; what shows what it should already, a real link too, is left as it is."""
    if b"--fake-super" not in scenario.arguments():
        return False
    if _about_kept_links(_kept_links(theirs, ours), theirs, ours, line):
        return True
    found = re.match(r"tree: (.*): (mode \d+, should be \d+|owner (\d+):\d+, should be \3:\d+|xattr \S+) ?(.*)$", line, re.S)
    path = _path_of(found.group(1), ours.after) if found else b""
    if not path or path not in theirs.after:
        return False
    what, rest = found.group(2), found.group(4)
    here, there = ours.after[path], theirs.after[path]
    if what.startswith("mode "):
        return _keeps_permissions(path, theirs, ours)
    if what.startswith("owner ") or (what == "xattr " + STAT and rest == "should not be there"):
        return bool(_has_group_of_directory(path, theirs, ours)) and here.gid != there.gid
    if what == "xattr " + STAT:
        stands = _stands_for(there)
        return rest == "is missing" and stands is not None and here.mode == stands[0] & 0o7777 and stands[1] in (None, (here.uid, here.gid))
    acls = [record.xattrs.get("system.posix_acl_access") for record in (here, there)]
    same = None not in acls and _without_mode(acls[0]) == _without_mode(acls[1])
    return what == "xattr system.posix_acl_access" and same and _keeps_permissions(path, theirs, ours)
