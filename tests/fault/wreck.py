"""What a run that ended badly may leave: of each object the old or the new state, whole, and nothing that has no name of the product's own.

Works on snapshots (tests/support/treecmp.py) of the destination before the run, of the source, and of what the run left.
"""

import stat

import treecmp

STATE_PREFIX = b".~uringsync~"
PART_DIRECTORY = b".~tmp~"


def is_state(path):
    names = path.split(b"/")
    return any(name.startswith(STATE_PREFIX) for name in names) or PART_DIRECTORY in names


def _contents(record):
    return record.type, record.size, record.digest, record.target, record.rdev


def _whole(record):
    return _contents(record) + (record.mode, record.uid, record.gid, record.mtime_ns, tuple(sorted(record.xattrs.items())))


def _is_old_or_new(found, old, new):
    """One whole state; or, where the contents are equal in both, attributes that are being set one after the other."""
    states = [state for state in (old, new) if state is not None]
    if any(_whole(found) == _whole(state) for state in states):
        return True
    return len(states) == 2 and _contents(old) == _contents(new) == _contents(found)


def _goes_as_its_links_are(found, old, other_names, new):
    """A name that goes and shares its inode with names that stay: it has their attributes until it is gone."""
    stay = [new[name] for name in other_names if name in new]
    return _contents(found) == _contents(old) and any(_is_old_or_new(found, old, state) for state in stay)


def _may_be_missing(path, old, new):
    """What is new, or goes, or makes way for a directory (or an empty one for something else) may be there or not."""
    if old is None or new is None:
        return True
    directory = stat.S_IFDIR
    if (old.type == directory) != (new.type == directory):
        return True
    return False


def damage(old, new, found, backup_suffix=None):
    """Every object of `found` that is neither old nor new, and every one that should be there and is not, in words."""
    result = []
    groups = {name: group for group in treecmp.link_groups(old) for name in group}
    for path in sorted(set(old) | set(new) | set(found)):
        if is_state(path):
            continue
        was, will, now = old.get(path), new.get(path), found.get(path)
        if now is None:
            if not _may_be_missing(path, was, will):
                result.append("%s: is missing" % treecmp.show(path))
        elif was is None and will is None:
            kept = backup_suffix and path.endswith(backup_suffix) and old.get(path[:-len(backup_suffix)])
            if not kept or _contents(kept) != _contents(now):
                result.append("%s: should not be there" % treecmp.show(path))
        elif now.type == stat.S_IFDIR:
            # A directory has its attributes last.
            if not any(state is not None and state.type == stat.S_IFDIR for state in (was, will)):
                result.append("%s: is a directory, and never was nor will be" % treecmp.show(path))
        elif will is None and path in groups and _goes_as_its_links_are(now, was, groups[path], new):
            continue
        elif not _is_old_or_new(now, was, will):
            result.append("%s: is neither the old nor the new one" % treecmp.show(path))
    return result
