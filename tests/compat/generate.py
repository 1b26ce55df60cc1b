"""Random source trees, and destination trees that are related to them: equal here, changed, missing, extra or of another type there.

Everything is drawn from the random.Random given; a Taste says what the options of the run call for.
"""

import os

import zoo
from model import BLOCK, CHAR, D, DEFAULT_NS, DIR, F, FIFO, FILE, HARDLINK, L, H, Node, SOCKET, SYMLINK, join, parent, seconds

IS_ROOT = os.geteuid() == 0


def harmless_device(minor):
    """Runs may write into devices of their destination: none that is a port, memory, or the log of the kernel."""
    return os.makedev(1, {4: 3, 6: 5}.get(minor, minor))


ODD_NAMES = [b"new\nline", b"quote'\"", b"-dash", b"--delete", b"*", b"a?b", b"[ab]", b"back\\slash", b" space ", b"\xff\xfe", b"x" * 255,
             b"caf\xc3\xa9", b"tab\t", b"\x1b[1m", b"#hash#", b"~", b"a:b", b"...", b"\\#012", b"CON"]
PLAIN_NAMES = (b"a b c x y main.c util.h main.o notes.txt data.bin index.html core README log log.1 old~ file.bak .hidden cache tmp build docs "
               b"sub dir.d Makefile a.b a-b a0").split()
MODES = [0o644] * 6 + [0o600, 0o755, 0o755, 0o640, 0o444, 0o400, 0o664, 0o4755, 0o2755, 0o6711, 0o777, 0o711]
DIR_MODES = [0o755] * 7 + [0o700, 0o775, 0o2775, 0o1777, 0o555, 0o750]
OWNERS = [None] * 6 + [0, 1, 2, 65534, 12345, 54321]
TIMES = [DEFAULT_NS] * 6 + [seconds(-86400 * 365), seconds(-1), seconds(1), seconds(2), seconds(3600), seconds(0.25), DEFAULT_NS - 1, 1,
                            10 ** 18, seconds(86400 * 400) + 123456789]
SIZES = [0, 1, 5, 5, 12, 100, 100, 700, 1500, 4096, 5000]
LARGE_SIZES = [20000, 70000, 130000, 300000]
# An ACL that a mode could say as well, and ones that it could not.
ACLS = [zoo.ACCESS_ACL, zoo.OTHER_ACL]
RULE_PREFIXES = {b"- ": 14, b"+ ": 8, b"P ": 3, b"H ": 2, b"S ": 2, b"R ": 2, b"-! ": 1, b"-/ ": 1, b"-s ": 1, b"-r ": 1, b"-p ": 1,
                 b"exclude ": 1, b"include,s ": 1, b"protect ": 1, b"hide ": 1, b"show ": 1, b"risk ": 1, b"-_": 1}
DESTINATION_CHANGES = {"equal": 44, "missing": 18, "content": 7, "same-size": 3, "longer": 4, "shorter": 4, "older": 4, "newer": 4,
                       "mode": 4, "owner": 3, "xattr": 2, "acl": 2, "type": 5, "tick": 3, "unlinked": 3}
MERGE_NAMES = (b".rsync-filter", b".rules", b".cvsignore")


class Taste:
    """What the trees of one run must have and must not have."""

    def __init__(self, **wishes):
        self.objects = 30
        self.follows = False  # the run follows symlinks: none may lead to a directory above itself
        self.merge_files = False
        self.unprivileged = False
        self.large = False
        self.links = False
        self.__dict__.update(wishes)

    @property
    def privileged(self):
        return IS_ROOT and not self.unprivileged


def content(rng, size):
    """Bytes that shrink when they are compressed, as most do."""
    words = [rng.randbytes(rng.randint(1, 9)) for _ in range(8)]
    page = b"".join(rng.choice(words) for _ in range(min(size, 300)))
    return b"".join(b"%d" % number + page for number in range(size // 300 + 1))[:size]


def name(rng):
    return rng.choice(ODD_NAMES) if rng.random() < 0.12 else rng.choice(PLAIN_NAMES)


def metadata(rng, node, taste):
    node.mtime_ns = rng.choice(TIMES)
    if node.kind == FILE:
        node.mode = rng.choice(MODES)
    elif node.kind == DIR:
        node.mode = rng.choice(DIR_MODES)
    elif node.kind != SYMLINK:
        node.mode = rng.choice([0o644, 0o600, 0o666])
    if taste.unprivileged and node.kind == DIR:
        node.mode |= 0o700
    if taste.privileged:
        node.uid, node.gid = rng.choice(OWNERS), rng.choice(OWNERS)
    if node.kind in (FILE, DIR):
        if rng.random() < 0.12:
            node.xattrs["user.%s" % rng.choice("abc")] = rng.randbytes(rng.choice([0, 3, 40, 100]))
        if rng.random() < 0.08 and not taste.unprivileged:
            node.xattrs["system.posix_acl_access"] = rng.choice(ACLS)
        if node.kind == DIR and rng.random() < 0.08 and not taste.unprivileged:
            node.xattrs["system.posix_acl_default"] = zoo.DEFAULT_ACL
    return node


def _symlink_target(rng, tree, path, taste):
    depth = path.count(b"/")
    others = sorted(p for p, n in tree.items() if p != path and not (taste.follows and n.kind == DIR and path.startswith(p + b"/")))
    if taste.follows:  # a directory that holds no symlinks: then the tree stays finite
        linked = {parent(p) for p, n in tree.items() if n.kind == SYMLINK}
        others = [p for p in others if tree[p].kind != SYMLINK and
                  not any(q == p or q.startswith(p + b"/") for q in linked | {parent(path)})]
    choices = [b"nowhere", b"../" * (depth + 3) + b"nowhere", b"/nowhere/at/all", b"./nowhere"]
    if others:
        inside = rng.choice(others)
        choices += [b"../" * depth + inside] * 5 + [b"/etc/hostname"] + [b"../" * (depth + 1) + b"outside/file"] * 2
        choices += [b"../" * (depth + 1) + b"outside"] * (1 if not taste.follows else 0)
    if not taste.follows:
        choices += [b"..", b"loop-" + str(depth).encode(), b"odd\n\xff"]
    return rng.choice(choices)


def tree(rng, taste):
    """A source tree; paths are relative to its root, which has no node."""
    result, directories, files = {}, [b""], []
    for _ in range(rng.randint(max(2, taste.objects // 2), taste.objects)):
        up = rng.choice(directories)
        path = join(up, name(rng))
        if path in result:
            continue
        kind = rng.choices([FILE, DIR, SYMLINK, HARDLINK, FIFO, SOCKET, CHAR, BLOCK, "sparse"],
                           [50, 20, 12, 10 if taste.links else 4, 2, 0.5, 1.5 * taste.privileged, 1 * taste.privileged, 3])[0]
        if kind == DIR and path.count(b"/") < 3:
            directories.append(path)
        elif kind == DIR:
            kind = FILE
        if kind == HARDLINK:
            if not files:
                continue
            result[path] = H(rng.choice(files))
            continue
        if kind == "sparse":
            piece = (rng.choice([0, 8192, 20000, 65536]), content(rng, rng.choice([10, 4096, 9000])))
            node = Node(FILE, pieces=[piece], size=rng.choice([80000, 200000]))
        elif kind == FILE:
            size = rng.choice(LARGE_SIZES if taste.large and rng.random() < 0.3 else SIZES)
            node = F(content(rng, size))
            files.append(path)
        elif kind == SYMLINK:
            node = L(_symlink_target(rng, result, path, taste))
        else:
            node = Node(kind, rdev=harmless_device(rng.randint(3, 9)) if kind in (CHAR, BLOCK) else 0)
        result[path] = metadata(rng, node, taste)
    if taste.merge_files:
        for directory in rng.sample(directories, min(len(directories), rng.randint(1, 3))):
            result[join(directory, rng.choice(MERGE_NAMES))] = F(merge_rules(rng, result))
    return result


def pattern(rng, names, paths):
    """A filter pattern that has to do with the names and paths given."""
    base = rng.choice(names) if names and rng.random() < 0.85 else rng.choice(PLAIN_NAMES)
    path = rng.choice(paths) if paths else base
    form = rng.randrange(12)
    stem, dot, end = base.rpartition(b".")
    if form == 0:
        return b"/" + path
    if form == 1:
        return base + b"/"
    if form == 2:
        return b"*" + dot + end
    if form == 3:
        return base[:1] + b"*"
    if form == 4:
        return b"**/" + base
    if form == 5:
        return base + b"/**"
    if form == 6:
        return base + b"/***"
    if form == 7:
        return b"[" + base[:1].replace(b"]", b"x").replace(b"\n", b"x") + b"z]*"
    if form == 8:
        return b"?" * max(1, min(3, len(base)))
    if form == 9:
        return path
    if form == 10:
        return b"/" + path.split(b"/")[0] + b"/*"
    return base


def rule(rng, names, paths):
    """One line of rsync's filter syntax, without merges."""
    shown = pattern(rng, names, paths).replace(b"\n", b"?")
    prefix = rng.choices(list(RULE_PREFIXES), RULE_PREFIXES.values())[0]
    if prefix == b"-/ " and not shown.startswith(b"/"):
        shown = b"/" + shown
    return prefix + shown


def merge_rules(rng, result):
    """The text of a per-directory merge file. Its lines are also read as words by -C: then they are patterns."""
    paths = sorted(result)
    names = sorted({p.rpartition(b"/")[2] for p in paths})
    lines = [rule(rng, names, paths) for _ in range(rng.randint(1, 3))]
    if rng.random() < 0.2:
        lines.insert(rng.randint(0, len(lines)), rng.choice([b"!", b"# a comment", b"", b"; another"]))
    return b"\n".join(lines) + b"\n"


def related(rng, source, taste):
    """A destination tree that was once like `source`."""
    result = {}
    for path in sorted(source):
        node = source[path]
        change = rng.choices(list(DESTINATION_CHANGES), DESTINATION_CHANGES.values())[0]
        if change == "missing":
            continue
        if change == "type":
            node = _other_type(rng, node, taste)
        elif node.kind == HARDLINK:
            if change != "equal":
                node = metadata(rng, F(content(rng, 50)), taste)
        elif change in ("content", "same-size", "longer", "shorter"):
            node = _other_content(rng, node, change)
        elif change in ("older", "newer"):
            node = node.but(mtime_ns=node.mtime_ns + (1 if change == "newer" else -1) * rng.choice([1, 5, 3600, 10 ** 6]) * 10 ** 9)
        elif change == "tick":
            node = node.but(mtime_ns=node.mtime_ns + rng.choice([1, 10 ** 6, 500 * 10 ** 6, 10 ** 9]))
        elif change == "mode" and node.kind != SYMLINK:
            node = node.but(mode=(rng.choice(MODES) if node.kind == FILE else rng.choice(DIR_MODES)) | (0o700 if taste.unprivileged else 0))
        elif change == "owner" and taste.privileged:
            node = node.but(uid=rng.choice(OWNERS), gid=rng.choice(OWNERS))
        elif change == "xattr" and node.kind in (FILE, DIR):
            kept = {k: v for k, v in node.xattrs.items() if not k.startswith("user.")}
            node = node.but(xattrs={**kept, **({"user.d": b"only here"} if rng.random() < 0.6 else {})})
        elif change == "acl" and node.kind in (FILE, DIR) and not taste.unprivileged:
            kept = {k: v for k, v in node.xattrs.items() if not k.startswith("system.")}
            node = node.but(xattrs={**kept, **({"system.posix_acl_access": rng.choice(ACLS)} if rng.random() < 0.6 else {})})
        result[path] = node
    for path, node in tree(rng, Taste(**{**taste.__dict__, "objects": max(4, taste.objects // 3)})).items():
        up = rng.choice([p for p, n in result.items() if n.kind == DIR] + [b""] * 3)
        if node.kind != HARDLINK and len(path) < 100:
            result.setdefault(join(up, path), node)
    return result


def _other_content(rng, node, change):
    if node.kind == SYMLINK:
        return node.but(target=b"elsewhere")
    if node.kind in (CHAR, BLOCK):
        return node.but(rdev=os.makedev(1, 12))
    if node.kind != FILE:
        return node
    data = node.data if node.pieces is None else content(rng, 3000)
    if change == "longer":
        data += content(rng, 33)
    elif change == "shorter":
        data = data[:len(data) // 2]
    elif change == "same-size":
        data = bytes([(data[0] + 1) % 256]) + data[1:] if data else data
    else:
        cut = rng.randint(0, len(data))
        data = data[:cut] + content(rng, rng.randint(1, 40)) + data[cut:]
    kept = node.mtime_ns if change == "same-size" or rng.random() < 0.5 else node.mtime_ns - 86400 * 10 ** 9
    return node.but(data=data, pieces=None, size=0, mtime_ns=kept)


def _other_type(rng, node, taste):
    made = {FILE: F(b"was something else"), DIR: D(), SYMLINK: L(b"nowhere"), FIFO: Node(FIFO)}
    return metadata(rng, made[rng.choice([k for k in made if k != node.kind])], taste)
