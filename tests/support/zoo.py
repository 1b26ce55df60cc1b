"""Makes trees that hold one of everything a Linux file system can hold, and random trees.

    zoo.make("/tmp/x/src", outside="/tmp/x/outside")   # outside: a directory on the same file system, for links that leave the tree
    zoo.random_tree("/tmp/x/random", seed=7)

What the process may not make, or the file system does not keep, is left out and named in the list that `make` returns.
As a program:  zoo.py [--entries N] [--no-deep] ROOT
"""

import argparse
import errno
import os
import random
import socket
import stat
import struct
import sys

OTHER_UID, OTHER_GID = 12345, 54321
# 1901, just before 1970, far past 2038: what ext4, xfs and tmpfs keep alike.
NEGATIVE_NS = -1234567890123456789
JUST_BEFORE_EPOCH_NS = -1
FAR_FUTURE_NS = 13000000000123456789 // 10 * 10 + 1
ORDINARY_NS = 1600000000987654321


def posix_acl(entries):
    """The raw value of a POSIX ACL attribute. entries: (tag, permissions, id or None)."""
    tags = {"user_obj": 1, "user": 2, "group_obj": 4, "group": 8, "mask": 16, "other": 32}
    value = struct.pack("<I", 2)
    for tag, permissions, who in entries:
        value += struct.pack("<HHI", tags[tag], permissions, 0xFFFFFFFF if who is None else who)
    return value


ACCESS_ACL = posix_acl([("user_obj", 6, None), ("user", 6, 1234), ("group_obj", 4, None), ("group", 2, 4321),
                        ("mask", 6, None), ("other", 0, None)])
OTHER_ACL = posix_acl([("user_obj", 6, None), ("user", 4, 1234), ("group_obj", 4, None), ("group", 2, 4321),
                       ("mask", 6, None), ("other", 0, None)])
DEFAULT_ACL = posix_acl([("user_obj", 7, None), ("user", 5, 1234), ("group_obj", 5, None), ("mask", 5, None),
                         ("other", 5, None)])
# VFS_CAP_REVISION_2, effective; permitted: CAP_NET_RAW (13) and CAP_NET_BIND_SERVICE (10).
FILE_CAPABILITY = struct.pack("<5I", 0x02000001, 1 << 13 | 1 << 10, 0, 0, 0)


class Zoo:
    """A builder bound to one directory descriptor; every method names an object in it."""

    def __init__(self, root, skipped):
        os.makedirs(root, exist_ok=True)
        self.root = os.fsencode(root)
        self.fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        self.skipped = skipped
        self.times = []  # (path, mtime_ns), applied last to directories

    def close(self):
        for path, mtime_ns in reversed(self.times):
            os.utime(path, ns=(ORDINARY_NS, mtime_ns), dir_fd=self.fd, follow_symlinks=False)
        os.close(self.fd)

    def path(self, name):
        return b"/proc/self/fd/%d/%s" % (self.fd, os.fsencode(name))

    def try_to(self, what, function, *args, **kwargs):
        """Runs what a lesser process or file system may refuse, and keeps the name of what was refused."""
        try:
            function(*args, **kwargs)
            return True
        except OSError as error:
            if error.errno in (errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.EINVAL, errno.ENAMETOOLONG):
                self.skipped.append("%s: %s" % (what, os.strerror(error.errno)))
                return False
            raise

    def write(self, name, data=b"", mode=0o644, mtime_ns=ORDINARY_NS):
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=self.fd)
        with os.fdopen(fd, "wb") as file:
            file.write(data)
        os.chmod(self.path(name), mode)
        os.utime(name, ns=(ORDINARY_NS, mtime_ns), dir_fd=self.fd)

    def sparse(self, name, pieces, size):
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=self.fd)
        os.ftruncate(fd, size)
        for offset, data in pieces:
            os.pwrite(fd, data, offset)
        os.close(fd)
        os.utime(name, ns=(ORDINARY_NS, ORDINARY_NS), dir_fd=self.fd)

    def mkdir(self, name, mode=0o755, mtime_ns=ORDINARY_NS):
        os.mkdir(name, 0o700, dir_fd=self.fd)
        os.chmod(self.path(name), mode)
        self.times.append((name, mtime_ns))

    def symlink(self, target, name, mtime_ns=ORDINARY_NS):
        os.symlink(target, name, dir_fd=self.fd)
        os.utime(name, ns=(mtime_ns, mtime_ns), dir_fd=self.fd, follow_symlinks=False)

    def xattr(self, name, key, value):
        return self.try_to("xattr %s of %s" % (key, os.fsdecode(name)), os.setxattr, self.path(name), key, value,
                           follow_symlinks=False)

    def chown(self, name, uid, gid, mode=None):
        if self.try_to("chown", os.chown, name, uid, gid, dir_fd=self.fd, follow_symlinks=False) and mode is not None:
            os.chmod(self.path(name), mode)


def _files(zoo, huge):
    zoo.write("empty")
    zoo.write("one-byte", b"x")
    zoo.write("small", b"hello\n" * 7)
    for size in (4095, 4096, 4097, 65536, (1 << 20) - 1, 1 << 20, (1 << 20) + 1):
        zoo.write("size-%d" % size, random.Random(size).randbytes(size))
    zoo.write("big", random.Random(1).randbytes(9 * (1 << 20) + 12345))
    zoo.write("zeros-stored", bytes(300000))
    zoo.sparse("sparse-middle", [(0, b"head"), (5 << 20, b"middle" * 1000), (40 << 20, b"tail")], (40 << 20) + 4)
    zoo.sparse("sparse-all-hole", [], 7 << 20)
    zoo.sparse("sparse-trailing-hole", [(0, b"x" * 5000)], 3 << 20)
    zoo.sparse("sparse-odd-end", [((1 << 20) + 4096, b"y" * 100)], (2 << 20) + 12345)
    if huge:
        zoo.sparse("sparse-terabyte", [(1 << 39, b"far")], 1 << 40)


def _modes(zoo):
    zoo.mkdir("modes", 0o755)
    for mode in (0o000, 0o400, 0o444, 0o200, 0o111, 0o755, 0o777, 0o4755, 0o2755, 0o6711, 0o1644, 0o7777):
        zoo.write("modes/file-%04o" % mode, b"mode %o" % mode, mode)
    for mode in (0o500, 0o555, 0o700, 0o1777, 0o2775, 0o3770, 0o4755):
        zoo.mkdir("modes/dir-%04o" % mode, 0o700)
        zoo.write("modes/dir-%04o/inside" % mode, b"in", 0o640)
        os.chmod(zoo.path("modes/dir-%04o" % mode), mode)
    zoo.mkdir("modes/empty-dir")


def _times(zoo):
    zoo.mkdir("times", 0o755, FAR_FUTURE_NS)
    for name, mtime_ns in (("negative", NEGATIVE_NS), ("minus-one-ns", JUST_BEFORE_EPOCH_NS), ("epoch", 0),
                           ("one-ns", 1), ("future", FAR_FUTURE_NS), ("whole-second", 10 ** 18)):
        zoo.write("times/" + name, name.encode(), 0o644, mtime_ns)
        zoo.symlink("x", "times/link-" + name, mtime_ns)
        zoo.mkdir("times/dir-" + name, 0o755, mtime_ns)


def _links(zoo, outside):
    zoo.mkdir("links")
    zoo.symlink("../small", "links/good")
    zoo.symlink("/nowhere/at/all", "links/dangling")
    zoo.symlink("loop", "links/loop")
    zoo.symlink("..", "links/to-parent")
    zoo.symlink("/etc", "links/to-etc")
    zoo.symlink(b"t" * 4000, "links/long")
    zoo.symlink(b"bytes-\xff\xfe\n\\", "links/odd-target")
    zoo.symlink("owned", "links/owned")
    zoo.chown("links/owned", OTHER_UID, OTHER_GID)
    os.utime("links/owned", ns=(5, NEGATIVE_NS), dir_fd=zoo.fd, follow_symlinks=False)

    zoo.mkdir("hard")
    zoo.mkdir("hard/one")
    zoo.mkdir("hard/two")
    zoo.write("hard/one/a", b"shared content" * 100)
    for other in ("hard/one/b", "hard/two/c", "zz-last-of-group"):
        os.link("hard/one/a", other, src_dir_fd=zoo.fd, dst_dir_fd=zoo.fd)
    zoo.write("hard/pair-1", b"")
    os.link("hard/pair-1", "hard/pair-2", src_dir_fd=zoo.fd, dst_dir_fd=zoo.fd)
    zoo.symlink("somewhere", "hard/link-1")
    os.link("hard/link-1", "hard/link-2", src_dir_fd=zoo.fd, dst_dir_fd=zoo.fd, follow_symlinks=False)
    zoo.write("hard/half-outside-1", b"half outside")
    os.link("hard/half-outside-1", "hard/half-outside-2", src_dir_fd=zoo.fd, dst_dir_fd=zoo.fd)
    zoo.write("hard/alone-inside", b"its other name is outside")
    if outside:
        os.makedirs(outside, exist_ok=True)
        os.link(zoo.path("hard/half-outside-1"), os.path.join(os.fsencode(outside), b"half"))
        os.link(zoo.path("hard/alone-inside"), os.path.join(os.fsencode(outside), b"alone"))


def _specials(zoo):
    zoo.mkdir("special")
    os.mkfifo("special/fifo", 0o640, dir_fd=zoo.fd)
    os.link("special/fifo", "special/fifo-linked", src_dir_fd=zoo.fd, dst_dir_fd=zoo.fd)
    os.mknod("special/socket", stat.S_IFSOCK | 0o600, dir_fd=zoo.fd)
    zoo.try_to("block device", os.mknod, "special/block", stat.S_IFBLK | 0o660, os.makedev(7, 200), dir_fd=zoo.fd)
    zoo.try_to("char device", os.mknod, "special/char", stat.S_IFCHR | 0o666, os.makedev(1, 3), dir_fd=zoo.fd)
    zoo.try_to("char device", os.mknod, "special/char-large", stat.S_IFCHR | 0o600, os.makedev(300, 70000),
               dir_fd=zoo.fd)
    for name in os.listdir(zoo.path("special")):
        path = "special/" + os.fsdecode(name)
        zoo.chown(path, OTHER_UID, OTHER_GID)
        os.utime(path, ns=(ORDINARY_NS, ORDINARY_NS + 77), dir_fd=zoo.fd, follow_symlinks=False)


def _owners_and_xattrs(zoo):
    zoo.mkdir("owners")
    zoo.write("owners/file", b"owned")
    zoo.chown("owners/file", OTHER_UID, OTHER_GID)
    zoo.write("owners/setuid-owned", b"chown must not clear this", 0o755)
    zoo.chown("owners/setuid-owned", OTHER_UID, OTHER_GID, 0o6755)
    zoo.mkdir("owners/dir")
    zoo.chown("owners/dir", 0 if os.geteuid() == 0 else -1, OTHER_GID, 0o2770)

    zoo.mkdir("xattrs")
    zoo.write("xattrs/user", b"x")
    zoo.xattr("xattrs/user", "user.plain", b"value")
    zoo.xattr("xattrs/user", "user.empty", b"")
    zoo.xattr("xattrs/user", "user.bytes", bytes(range(256)))
    zoo.xattr("xattrs/user", "user." + "n" * 200, b"long name")
    zoo.write("xattrs/large", b"x")
    zoo.xattr("xattrs/large", "user.large", b"v" * 3000)
    zoo.write("xattrs/read-only", b"x", 0o600)
    zoo.xattr("xattrs/read-only", "user.on-read-only", b"1")
    os.chmod(zoo.path("xattrs/read-only"), 0o400)
    zoo.mkdir("xattrs/dir")
    zoo.xattr("xattrs/dir", "user.of-directory", b"d")
    zoo.write("xattrs/trusted", b"x")
    zoo.xattr("xattrs/trusted", "trusted.thing", b"t")
    zoo.xattr("xattrs/trusted", "security.thing", b"s")
    zoo.symlink("nowhere", "xattrs/symlink")
    zoo.xattr("xattrs/symlink", "trusted.of-symlink", b"l")

    zoo.mkdir("acls")
    zoo.write("acls/access", b"x", 0o640)
    zoo.xattr("acls/access", "system.posix_acl_access", ACCESS_ACL)
    zoo.write("acls/access-owned", b"x", 0o640)
    zoo.chown("acls/access-owned", OTHER_UID, OTHER_GID)
    zoo.xattr("acls/access-owned", "system.posix_acl_access", OTHER_ACL)
    zoo.mkdir("acls/default")
    zoo.write("acls/default/before", b"made before the default")
    zoo.mkdir("acls/default/plain-subdir")
    zoo.xattr("acls/default", "system.posix_acl_default", DEFAULT_ACL)
    zoo.mkdir("acls/both", 0o750)
    zoo.xattr("acls/both", "system.posix_acl_access", ACCESS_ACL)
    zoo.xattr("acls/both", "system.posix_acl_default", DEFAULT_ACL)
    zoo.write("acls/default/after", b"inherits", 0o600)

    zoo.write("capability", b"#!/bin/true\n", 0o755)
    zoo.xattr("capability", "security.capability", FILE_CAPABILITY)
    zoo.write("capability-owned-setgid", b"#!/bin/true\n", 0o755)
    zoo.chown("capability-owned-setgid", OTHER_UID, OTHER_GID, 0o2755)
    zoo.xattr("capability-owned-setgid", "security.capability", FILE_CAPABILITY)


NAMES = [
    b"new\nline", b"\n", b"invalid-\xff\xfe-utf8", b"\x80", b"-leading-dash", b"--delete", b"back\\slash", b"\\012",
    b" leading space", b"trailing space ", b"tab\there", b"\x1b[31mred\x1b[0m", b"quote'\"", b"*?[glob]", b"$(id)", b"`id`",
    "\u00fcml\u00e4ut-\U0001f980".encode(), "\u202eright-to-left".encode(), b"...", b".hidden", b"~", b"~tilde", b"#hash#",
    b"a:b", b"agent:", b"%41", b"\x7f", b"\x01", b".~uringsync~", b".~uringsync~not-ours.tmp", b"x" * 255, b"\xff" * 255,
    b".~uringsync~0123456789abcdef.tmp", b"CON", b"nul.txt",
]


def _names(zoo):
    zoo.mkdir("names")
    zoo.mkdir("names-dirs")
    for number, name in enumerate(NAMES):
        zoo.write(b"names/" + name, b"%d" % number)
        zoo.mkdir(b"names-dirs/" + name)
        zoo.write(b"names-dirs/" + name + b"/" + name, b"%d" % number)
    # Component order is not the byte order of whole paths: a, a-b, a.b, a0 beside a/...
    zoo.mkdir("order")
    for name in ("a", "a-b", "a.b", "a0", "a b", "a\x01"):
        zoo.mkdir("order/" + name)
        zoo.write("order/" + name + "/x", name.encode())
        zoo.write("order/" + name + ".file", name.encode())


def _chain(zoo, top, name, levels):
    """A chain of directories, each inside the last; only descriptors reach its end."""
    os.mkdir(top, 0o755, dir_fd=zoo.fd)
    fd = os.open(top, os.O_RDONLY | os.O_DIRECTORY, dir_fd=zoo.fd)
    for _ in range(levels):
        os.mkdir(name, 0o755, dir_fd=fd)
        down = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
        os.close(fd)
        fd = down
    file = os.open("bottom", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=fd)
    os.write(file, b"deep down")
    os.close(file)
    os.symlink("bottom", "link", dir_fd=fd)
    os.close(fd)


def _many(zoo, entries):
    os.mkdir("many", 0o755, dir_fd=zoo.fd)
    fd = os.open("many", os.O_RDONLY | os.O_DIRECTORY, dir_fd=zoo.fd)
    for number in range(entries):
        os.close(os.open("entry-%07d" % number, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=fd))
    os.close(fd)


def make(root, outside=None, entries=20000, deep=True, huge=True, root_mode=0o750):
    """Fills `root` with one of everything. Returns what could not be made, in words.

    deep: chains of directories beyond PATH_MAX; huge: a sparse file of 1 TiB. rsync can copy neither (in reasonable time).
    """
    skipped = []
    old_umask = os.umask(0)
    try:
        zoo = Zoo(root, skipped)
        os.chmod(root, 0o700)
        _files(zoo, huge)
        _modes(zoo)
        _times(zoo)
        _links(zoo, outside)
        _specials(zoo)
        _owners_and_xattrs(zoo)
        _names(zoo)
        if deep:
            _chain(zoo, "deep-names", b"d" * 200, 24)  # 4,800 bytes of path
            _chain(zoo, "deep-levels", b"dddd", 1000)  # 5,000 bytes of path, 1,000 levels
        if entries:
            _many(zoo, entries)
        zoo.xattr(".", "user.of-root", b"root")
        zoo.close()
        os.chmod(root, root_mode)
        os.utime(root, ns=(ORDINARY_NS, ORDINARY_NS + 5))
    finally:
        os.umask(old_umask)
    return skipped


def random_tree(root, seed, objects=300, privileged=None):
    """A random tree that repeats from its seed: nested directories with files, links and metadata of all kinds."""
    rng = random.Random(seed)
    privileged = os.geteuid() == 0 if privileged is None else privileged
    skipped = []
    old_umask = os.umask(0)
    zoo = Zoo(root, skipped)
    directories, files = [b""], []
    try:
        for number in range(objects):
            parent = rng.choice(directories)
            name = rng.choice([b"f%d" % number, b"n.%d" % number, b"\xfe%d\n" % number, b"a" * rng.randint(1, 40) + b"%d" % number])
            path = parent + b"/" + name if parent else name
            mtime_ns = rng.randint(-10 ** 18, 4 * 10 ** 18)
            kind = rng.choice(["file"] * 6 + ["dir"] * 3 + ["symlink", "hardlink", "fifo", "sparse"] + ["device"] * privileged)
            if kind == "file":
                zoo.write(path, rng.randbytes(rng.choice([0, 1, 100, 4096, 70000])), rng.choice([0o644, 0o600, 0o4711, 0o755]), mtime_ns)
                files.append(path)
            elif kind == "sparse":
                zoo.sparse(path, [(rng.randint(0, 2 << 20), b"data" * rng.randint(1, 2000))], 3 << 20)
                files.append(path)
            elif kind == "dir" and path.count(b"/") < 8:
                zoo.mkdir(path, rng.choice([0o755, 0o700, 0o2775, 0o1777]), mtime_ns)
                directories.append(path)
            elif kind == "symlink":
                zoo.symlink(rng.choice([b"..", b"nowhere", name, b"/etc/passwd"]), path, mtime_ns)
            elif kind == "hardlink" and files:
                os.link(rng.choice(files), path, src_dir_fd=zoo.fd, dst_dir_fd=zoo.fd)
            elif kind == "fifo":
                os.mkfifo(path, 0o644, dir_fd=zoo.fd)
            elif kind == "device":
                os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, rng.randint(0, 500)), dir_fd=zoo.fd)
            else:
                continue
            if kind in ("file", "dir", "sparse") and rng.random() < 0.2:
                zoo.xattr(path, "user.r%d" % rng.randint(0, 5), rng.randbytes(rng.randint(0, 60)))
            if kind in ("file", "dir") and rng.random() < 0.1:
                zoo.xattr(path, "system.posix_acl_access", rng.choice([ACCESS_ACL, OTHER_ACL]))
            if kind == "dir" and rng.random() < 0.1:
                zoo.xattr(path, "system.posix_acl_default", DEFAULT_ACL)
            if privileged and kind in ("file", "dir", "symlink", "device", "fifo") and rng.random() < 0.3:
                os.chown(path, rng.randint(0, 70000), rng.randint(0, 70000), dir_fd=zoo.fd, follow_symlinks=False)
            if kind in ("fifo", "device"):
                os.utime(path, ns=(0, mtime_ns), dir_fd=zoo.fd)
        zoo.close()
        os.utime(root, ns=(0, ORDINARY_NS))
    finally:
        os.umask(old_umask)
    return skipped


def overwrite(root, seed):
    """Overwrites 700 bytes somewhere in most regular files of 4 KiB and more, in place. Repeats from its seed."""
    rng = random.Random(seed)
    for directory, names, files in os.walk(os.fsencode(root)):
        names.sort()
        for name in sorted(files):
            path = os.path.join(directory, name)
            status = os.lstat(path)
            if not stat.S_ISREG(status.st_mode) or status.st_size < 4096 or rng.random() < 0.3:
                continue
            try:
                with open(path, "r+b") as file:
                    file.seek(rng.randrange(status.st_size))
                    file.write(rng.randbytes(700))
            except PermissionError:
                continue  # not root


def mutate(root, seed, changes=60):
    """Changes a random tree in place: contents, metadata, types, names, links. Repeats from its seed."""
    rng = random.Random(seed)
    root = os.fsencode(root)
    for number in range(changes):
        paths = []
        for directory, names, files in os.walk(root):
            paths += [os.path.join(directory, n) for n in names + files]
        paths.sort()
        if not paths:
            return
        path = rng.choice(paths)
        status = os.lstat(path)
        is_dir, is_file = stat.S_ISDIR(status.st_mode), stat.S_ISREG(status.st_mode)
        change = rng.choice(["content", "same-size", "chmod", "touch", "delete", "rename", "to-dir", "to-file", "link", "xattr"])
        if change == "content" and is_file:
            with open(path, "ab") as file:
                file.write(b"grown %d" % number)
        elif change == "same-size" and is_file and 0 < status.st_size < 1 << 20:
            with open(path, "r+b") as file:
                file.write(b"\x55")
        elif change == "chmod" and not stat.S_ISLNK(status.st_mode):
            os.chmod(path, rng.choice([0o640, 0o755, 0o700]))
        elif change == "touch":
            os.utime(path, ns=(0, rng.randint(0, 10 ** 18)), follow_symlinks=False)
        elif change in ("delete", "to-dir", "to-file"):
            if is_dir:
                for directory, names, files in os.walk(path, topdown=False):
                    for name in files:
                        os.unlink(os.path.join(directory, name))
                    for name in names:
                        child = os.path.join(directory, name)
                        (os.unlink if os.path.islink(child) else os.rmdir)(child)
                os.rmdir(path)
            else:
                os.unlink(path)
            if change == "to-dir":
                os.mkdir(path)
                with open(os.path.join(path, b"inside"), "wb") as file:
                    file.write(b"new inside")
            elif change == "to-file":
                with open(path, "wb") as file:
                    file.write(b"was something else")
        elif change == "rename":
            os.rename(path, os.path.join(os.path.dirname(path), b"renamed-%d-%d" % (seed, number)))
        elif change == "link" and is_file:
            os.link(path, os.path.join(os.path.dirname(path), b"linked-%d-%d" % (seed, number)))
        elif change == "xattr" and (is_file or is_dir):
            os.setxattr(path, "user.mutated", b"%d" % number)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root")
    parser.add_argument("--entries", type=int, default=20000, help="files in the directory `many`")
    parser.add_argument("--no-deep", action="store_true", help="leave out the chains beyond PATH_MAX")
    arguments = parser.parse_args()
    for line in make(arguments.root, None, arguments.entries, not arguments.no_deep, 0o755):
        print("not made: " + line, file=sys.stderr)


if __name__ == "__main__":
    main()
