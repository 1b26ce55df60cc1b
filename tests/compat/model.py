"""Trees as values: what a world holds before the programs run, so that it can be built twice, changed, shrunk and printed.

A Tree maps a path in bytes, relative to the world, to a Node. Parents stand before their children when sorted; a missing parent
directory is made with defaults. `build` makes the tree; what this process or file system may not make is left out alike each time.
"""

import copy
import os
import stat

import zoo

T0 = 1600000000  # most objects are of this second
DEFAULT_NS = T0 * 10 ** 9
FILE, DIR, SYMLINK, FIFO, SOCKET, CHAR, BLOCK, HARDLINK = "file", "dir", "symlink", "fifo", "socket", "char", "block", "hardlink"
SPECIALS = (FIFO, SOCKET, CHAR, BLOCK)


class Node:
    """One object. `pieces`: [(offset, bytes)] of a sparse file of `size` bytes; `target`: of a symlink, or the other name of a hard link."""

    FIELDS = {"mode": None, "uid": None, "gid": None, "mtime_ns": DEFAULT_NS, "data": b"", "pieces": None, "size": 0, "target": b"",
              "rdev": 0, "xattrs": None}

    def __init__(self, kind, **fields):
        self.kind = kind
        for name, default in self.FIELDS.items():
            setattr(self, name, fields.pop(name, default))
        if fields:
            raise TypeError("no such field: %s" % ", ".join(fields))
        if self.mode is None:
            self.mode = 0o755 if kind == DIR else 0o644
        self.xattrs = dict(self.xattrs or {})

    def but(self, **fields):
        other = copy.deepcopy(self)
        for name, value in fields.items():
            setattr(other, name, value)
        return other

    def length(self):
        return self.size if self.pieces is not None else len(self.data)

    def __repr__(self):
        plain = Node(self.kind)
        told = []
        for name in self.FIELDS:
            value = getattr(self, name)
            if value != getattr(plain, name):
                told.append("%s=%s" % (name, oct(value) if name == "mode" else repr(value)))
        return "Node(%s)" % ", ".join([repr(self.kind)] + told)


def F(data=b"", **fields):
    return Node(FILE, data=os.fsencode(data), **fields)


def D(**fields):
    return Node(DIR, **fields)


def L(target, **fields):
    return Node(SYMLINK, target=os.fsencode(target), **fields)


def H(path):
    """Another name of the file at `path`, which sorts before it or is built first."""
    return Node(HARDLINK, target=os.fsencode(path))


def seconds(value):
    """The time so many seconds after most objects' time."""
    return int((T0 + value) * 10 ** 9)


def below(prefix, tree):
    """The tree moved below `prefix`, hard links too."""
    prefix = os.fsencode(prefix)
    result = {}
    for path, node in tree.items():
        path = os.fsencode(path)
        if node.kind == HARDLINK:
            node = node.but(target=join(prefix, os.fsencode(node.target)))
        result[join(prefix, path)] = node
    return result


def join(*parts):
    return b"/".join(p for p in parts if p)


def parent(path):
    return path.rpartition(b"/")[0]


def whole(tree):
    """The tree with every missing parent added, and without what lies below something that is no directory."""
    result = {}
    for path in sorted(tree, key=lambda p: p.split(b"/")):
        node, up, fits = tree[path], parent(path), True
        missing = []
        while up and up not in result:
            missing.append(up)
            up = parent(up)
        if up and result[up].kind != DIR:
            fits = False
        if fits:
            for name in reversed(missing):
                result[name] = D()
            result[path] = node
    return {path: node for path, node in result.items()
            if node.kind != HARDLINK or (node.target in result and result[node.target].kind not in (DIR, HARDLINK))}


def build(tree, root, owner=None):
    """Makes the tree in the new directory `root`. Two calls make equal trees. What names no owner is `owner`'s, user and group."""
    tree = whole({os.fsencode(p): n for p, n in tree.items()})
    if owner is not None:
        tree = {p: n.but(uid=owner if n.uid is None else n.uid, gid=owner if n.gid is None else n.gid) for p, n in tree.items()}
    old_umask = os.umask(0)
    builder = zoo.Zoo(root, [])
    try:
        for path, node in tree.items():
            if node.kind != HARDLINK:
                _make(builder, path, node)
        for path, node in tree.items():
            if node.kind == HARDLINK and os.path.lexists(builder.path(node.target)):
                os.link(node.target, path, src_dir_fd=builder.fd, dst_dir_fd=builder.fd, follow_symlinks=False)
        for path, node in reversed(list(tree.items())):
            if node.kind == DIR:
                _dress(builder, path, node)
        if owner is not None:
            os.chown(root, owner, owner)
        os.utime(b".", ns=(DEFAULT_NS, DEFAULT_NS), dir_fd=builder.fd)
    finally:
        os.umask(old_umask)
        builder.close()


def _make(builder, path, node):
    if node.kind == DIR:
        os.mkdir(path, 0o700, dir_fd=builder.fd)  # dressed when its children are there
        return
    if node.kind == FILE and node.pieces is None:
        builder.write(path, node.data)
    elif node.kind == FILE:
        builder.sparse(path, node.pieces, node.size)
    elif node.kind == SYMLINK:
        builder.symlink(node.target, path)
    else:
        kind = {FIFO: stat.S_IFIFO, SOCKET: stat.S_IFSOCK, CHAR: stat.S_IFCHR, BLOCK: stat.S_IFBLK}[node.kind]
        if not builder.try_to("special", os.mknod, path, kind | 0o600, node.rdev, dir_fd=builder.fd):
            return
    _dress(builder, path, node)


def _dress(builder, path, node):
    """Owner first: it clears setuid bits and capabilities. Mode last: an ACL sets it too. Then nothing moves the times."""
    if node.uid is not None or node.gid is not None:
        builder.chown(path, -1 if node.uid is None else node.uid, -1 if node.gid is None else node.gid)
    for key, value in sorted(node.xattrs.items()):
        builder.xattr(path, key, value)
    if node.kind != SYMLINK and not any(key.startswith("system.posix_acl_access") for key in node.xattrs):
        os.chmod(builder.path(path), node.mode)
    os.utime(path, ns=(DEFAULT_NS, node.mtime_ns), dir_fd=builder.fd, follow_symlinks=False)
