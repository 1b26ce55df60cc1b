"""The tests' own checker: compares two trees field by field, and shares no code with the product.

A tree is read into a Snapshot (path -> Record) with directory descriptors only, one open per tree, so that any name and any
depth works. `compare` then lists every difference in words.

    differences = treecmp.compare(treecmp.snapshot(src), treecmp.snapshot(dst))

Run as a program it compares two trees:  treecmp.py SRC DST
"""

import errno
import hashlib
import os
import stat
import sys

BLOCK = 4096
TYPES = {
    stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "symlink", stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket", stat.S_IFBLK: "block device", stat.S_IFCHR: "character device",
}


class Record:
    """All that a tree keeps of one object."""

    __slots__ = ("type", "mode", "uid", "gid", "size", "mtime_ns", "ctime_ns", "atime_ns", "rdev", "target", "xattrs",
                 "digest", "segments", "inode", "nlink", "error")

    def __init__(self):
        self.target = None
        self.xattrs = {}
        self.digest = None
        self.segments = None
        self.error = None


def _segments(fd, size):
    """Data ranges of a file, rounded out to blocks and merged; None where the file system cannot tell."""
    ranges = []
    position = 0
    while position < size:
        try:
            start = os.lseek(fd, position, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                break
            return None
        end = os.lseek(fd, start, os.SEEK_HOLE)
        start, end = start // BLOCK * BLOCK, -(-end // BLOCK) * BLOCK
        if ranges and ranges[-1][1] >= start:
            ranges[-1] = (ranges[-1][0], end)
        else:
            ranges.append((start, end))
        position = end
    return ranges


def _content(fd, size, segments):
    """Digest of the bytes; holes are hashed by their length alone, so two equal files with other holes differ only in segments."""
    digest = hashlib.blake2b(digest_size=16)
    if segments is None or not segments or sum(e - s for s, e in segments) > size // 2:
        segments = [(0, size)]
    zeros = 0
    position = 0

    def feed(data):
        # Runs of zeros count as length, whether they were a hole or were stored.
        nonlocal zeros
        for at in range(0, len(data), BLOCK):
            block = data[at:at + BLOCK]
            if not any(block):
                zeros += len(block)
                continue
            if zeros:
                digest.update(b"Z%d." % zeros)
                zeros = 0
            digest.update(b"D")
            digest.update(block)

    for start, end in segments:
        zeros += start - position
        os.lseek(fd, start, os.SEEK_SET)
        end = min(end, size)
        position = start
        while position < end:
            data = os.read(fd, min(1 << 20, end - position))
            if not data:
                return "short read at %d" % position
            if len(data) % BLOCK and position + len(data) < end:  # keep blocks aligned
                data = data[:len(data) // BLOCK * BLOCK]
                os.lseek(fd, position + len(data), os.SEEK_SET)
            feed(data)
            position += len(data)
    zeros += max(0, size - position)
    digest.update(b"Z%d." % zeros)
    return digest.hexdigest()


def _record(dir_fd, name, content):
    status = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    record = Record()
    record.type = stat.S_IFMT(status.st_mode)
    record.mode = stat.S_IMODE(status.st_mode)
    record.uid, record.gid = status.st_uid, status.st_gid
    record.size = status.st_size if record.type in (stat.S_IFREG, stat.S_IFLNK) else 0
    record.mtime_ns, record.ctime_ns, record.atime_ns = status.st_mtime_ns, status.st_ctime_ns, status.st_atime_ns
    record.rdev = status.st_rdev if record.type in (stat.S_IFBLK, stat.S_IFCHR) else 0
    record.inode, record.nlink = (status.st_dev, status.st_ino), status.st_nlink
    path = b"/proc/self/fd/%d/%s" % (dir_fd, name)
    try:
        for key in os.listxattr(path, follow_symlinks=False):
            # xfs shows ACLs a second time, as trusted.SGI_ACL_*.
            if not key.startswith(("security.selinux", "trusted.SGI_ACL_")):
                record.xattrs[key] = os.getxattr(path, key, follow_symlinks=False)
        if record.type == stat.S_IFLNK:
            record.target = os.readlink(name, dir_fd=dir_fd)
        elif record.type == stat.S_IFREG and content:
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NOATIME if os.geteuid() == 0 else
                         os.O_RDONLY | os.O_NOFOLLOW, dir_fd=dir_fd)
            try:
                record.segments = _segments(fd, record.size)
                record.digest = _content(fd, record.size, record.segments)
            finally:
                os.close(fd)
    except OSError as error:
        record.error = error.errno
    return record


def snapshot(root, content=True):
    """Reads the tree at `root` into {relative path in bytes: Record}; b"" is the root itself."""
    root = os.fsencode(root)
    found = {}
    parent = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        found[b""] = _record(parent, b".", content)
        # (relative path, names still to visit). Only the deepest directory is open; ".." leads back.
        stack = [(b"", sorted(os.fsencode(n) for n in os.listdir(parent)))]
        while stack:
            path, names = stack[-1]
            if not names:
                stack.pop()
                if stack:
                    up = os.open("..", os.O_RDONLY | os.O_DIRECTORY, dir_fd=parent)
                    os.close(parent)
                    parent = up
                continue
            name = names.pop(0)
            child = path + b"/" + name if path else name
            record = _record(parent, name, content)
            found[child] = record
            if record.type != stat.S_IFDIR:
                continue
            try:
                down = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
                entries = sorted(os.fsencode(n) for n in os.listdir(down))
            except OSError as error:
                record.error = error.errno
                continue
            os.close(parent)
            parent = down
            stack.append((child, entries))
    finally:
        os.close(parent)
    return found


def link_groups(tree):
    """Sets of paths (non-directories) that share an inode, only those of two or more."""
    groups = {}
    for path, record in tree.items():
        if record.type != stat.S_IFDIR and record.nlink > 1:
            groups.setdefault(record.inode, set()).add(path)
    return {frozenset(paths) for paths in groups.values() if len(paths) > 1}


def show(path):
    return path.decode("utf-8", "backslashreplace").encode("unicode_escape").decode() if path else "."


def _compare_one(path, a, b, owner, xattrs, times, holes, modes):
    where = show(path)
    if a.type != b.type:
        yield "%s: is a %s, should be a %s" % (where, TYPES[b.type], TYPES[a.type])
        return
    if a.error or b.error:
        if a.error != b.error:
            yield "%s: cannot be examined (source errno %s, destination errno %s)" % (where, a.error, b.error)
    if modes and a.type != stat.S_IFLNK and a.mode != b.mode:
        yield "%s: mode %o, should be %o" % (where, b.mode, a.mode)
    if owner and (a.uid, a.gid) != (b.uid, b.gid):
        yield "%s: owner %d:%d, should be %d:%d" % (where, b.uid, b.gid, a.uid, a.gid)
    if times and a.mtime_ns != b.mtime_ns:
        yield "%s: mtime %d, should be %d" % (where, b.mtime_ns, a.mtime_ns)
    if a.size != b.size:
        yield "%s: size %d, should be %d" % (where, b.size, a.size)
    if a.digest != b.digest:
        yield "%s: content differs" % where
    if a.target != b.target:
        yield "%s: target %r, should be %r" % (where, b.target, a.target)
    if a.rdev != b.rdev:
        yield "%s: device %#x, should be %#x" % (where, b.rdev, a.rdev)
    for key in sorted(set(a.xattrs) | set(b.xattrs)):
        if not xattrs(key):
            continue
        if key not in b.xattrs:
            yield "%s: xattr %s is missing" % (where, key)
        elif key not in a.xattrs:
            yield "%s: xattr %s should not be there" % (where, key)
        elif a.xattrs[key] != b.xattrs[key]:
            yield "%s: xattr %s is %r, should be %r" % (where, key, b.xattrs[key][:80], a.xattrs[key][:80])
    if holes and a.segments is not None and b.segments is not None:
        for start, end in b.segments:
            if not any(s <= start and end <= e for s, e in a.segments):
                yield "%s: data at [%d, %d) where the source has a hole" % (where, start, end)
                break


def compare(src, dst, owner=True, xattrs=True, times=True, links=True, holes=True, modes=True, root=True, ignore=(),
            extra=False):
    """Every difference of the destination from the source, in words. An empty list: equal.

    xattrs: True, False, or a function name -> bool. ignore: a function path -> bool, or a collection of paths. extra=True
    allows objects that only the destination has. root=False leaves the root's own metadata out.
    """
    wanted = xattrs if callable(xattrs) else (lambda key: bool(xattrs))
    ignored = ignore if callable(ignore) else (lambda path: path in ignore)
    result = []
    for path in sorted(set(src) | set(dst)):
        if ignored(path) or (path == b"" and not root):
            continue
        if path not in dst:
            result.append("%s: is missing" % show(path))
        elif path not in src:
            if not extra:
                result.append("%s: should not be there" % show(path))
        else:
            result.extend(_compare_one(path, src[path], dst[path], owner, wanted, times, holes, modes))
    if links:
        keep = lambda groups: {g for g in (frozenset(p for p in g if not ignored(p) and p in src) for g in groups)
                               if len(g) > 1}
        wanted_groups, got_groups = keep(link_groups(src)), keep(link_groups(dst))
        for group in wanted_groups - got_groups:
            result.append("not hard-linked together: %s" % ", ".join(sorted(map(show, group))[:8]))
        for group in got_groups - wanted_groups:
            result.append("hard-linked together, should not be: %s" % ", ".join(sorted(map(show, group))[:8]))
        sizes = {path: len(group) for group in link_groups(dst) for path in group}
        for path, size in sorted(sizes.items()):
            if dst[path].nlink != size and path in src and not ignored(path):
                result.append("%s: %d links, only %d of them in the tree" % (show(path), dst[path].nlink, size))
    return result


def touched(before, after):
    """Objects whose ctime moved or that were replaced between two snapshots of one tree."""
    result = []
    for path in sorted(set(before) | set(after)):
        if path not in before or path not in after:
            result.append("%s: %s" % (show(path), "appeared" if path in after else "vanished"))
        elif before[path].inode != after[path].inode:
            result.append("%s: was replaced" % show(path))
        elif before[path].ctime_ns != after[path].ctime_ns:
            result.append("%s: ctime moved" % show(path))
    return result


def main():
    differences = compare(snapshot(sys.argv[1]), snapshot(sys.argv[2]))
    for line in differences:
        print(line)
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()
