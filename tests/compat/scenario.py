"""One run to be made by two programs: the world it starts in and the command line. Everything repeats from the seed.

A world is one directory that holds source and destination trees, lists, staging and backup directories; the programs run inside it with
relative paths, so that the same arguments fit both copies of it, and it is compared as a whole.
"""

import copy
import os
import random

import generate
import options
from model import D, DIR, F, FILE, HARDLINK, H, below, join

NOBODY = 65534
FEATURED = 4  # options that a seed draws by turn, so that no option depends on luck
LOCAL, PUSH, PULL = "local", "push", "pull"
# Options that call for trees of a kind.
FOLLOWING = {"copy-links", "copy-dirlinks", "copy-unsafe-links"}
MERGING = {"filter-merge", "filter", "cvs-exclude"}
OF_CONTENTS = {"no-whole-file", "inplace", "append", "append-verify", "sparse", "compress", "block-size", "fuzzy"}
DESTINATIONS = [b"dst/"] * 7 + [b"dst"] * 6 + [b"fresh", b"fresh/", b"new/er/", b"dst/renamed", b"./dst/."]
ORDER = [option.name for option in options.TABLE if option.weight or option.name in ("recursive", "dirs")]
random.Random(4).shuffle(ORDER)


class Unit:
    """One use of an option."""

    def __init__(self, name, spelling, value=None):
        self.name, self.spelling, self.value = name, os.fsencode(spelling), value

    def words(self, joined):
        if self.value is None:
            return [self.spelling]
        if joined and self.spelling.startswith(b"--"):
            return [self.spelling + b"=" + self.value]
        return [self.spelling, self.value]


class Scenario:
    def __init__(self, world, units, operands, destination, stdin=b"", unprivileged=False, transport=LOCAL, seed=0):
        self.world, self.units, self.operands, self.destination = world, units, operands, destination
        self.stdin, self.unprivileged, self.transport, self.seed = stdin, unprivileged, transport, seed

    def names(self):
        return {unit.name for unit in self.units}

    def but(self, **fields):
        other = copy.copy(self)
        for name, value in fields.items():
            setattr(other, name, value)
        return other

    def without_options(self, unsupported):
        """The run without these options, and without those that need one of them."""
        units = [unit for unit in self.units if unit.name not in unsupported]
        while True:
            names = {unit.name for unit in units}
            kept = [u for u in units if u.name not in options.BY_NAME or not options.BY_NAME[u.name].needs or
                    names & set(options.BY_NAME[u.name].needs) or not set(options.BY_NAME[u.name].needs) & unsupported]
            if len(kept) == len(units):
                return self.but(units=units)
            units = kept

    def arguments(self, world=options.WORLD):
        """The command line behind the program's name. Short options are bundled, values joined, options moved behind, as the seed has it."""
        return [word.replace(options.WORLD, os.fsencode(world)) for word in self._words()]

    def _words(self):
        rng = random.Random("arrange %d" % self.seed)
        joined, bundled = rng.random() < 0.6, rng.random() < 0.5
        words, bundle = [], b"-"
        for unit in self.units:
            if bundled and unit.value is None and len(unit.spelling) == 2:
                bundle += unit.spelling[1:]
            else:
                words += unit.words(joined)
        if bundle != b"-":
            words.insert(0, bundle)
        operands = [b"host:" + o for o in self.operands] if self.transport == PULL else list(self.operands)
        if self.destination is not None:
            operands.append(b"host:" + self.destination if self.transport == PUSH else self.destination)
        if self.transport != LOCAL:
            words += [b"-e", b"./rsh"]
        if rng.random() < 0.1:
            return operands + words
        if rng.random() < 0.1 or any(o.startswith(b"-") for o in operands):
            words.append(b"--")
        return words + operands


# Drops the host and runs the rest where we are.
REMOTE_SHELL = F(b"""#!/bin/sh
while true; do
  case $1 in
    -l|-p|-o) shift 2;;
    -*) shift;;
    *) break;;
  esac
done
shift
exec sh -c "$*"
""", mode=0o755)


def _base(rng):
    drawn = rng.random()
    if drawn < 0.62:
        return ["archive"]
    if drawn < 0.84:
        return ["recursive"] + rng.sample(["links", "perms", "times", "group", "owner", "devices-specials"], rng.randint(0, 5))
    return ["dirs"] if drawn < 0.9 else []


def _draw_options(rng, seed, privileged):
    """The names of the options of a seed, those that it features first."""
    wild = rng.random() < 0.04
    chosen = []

    def add(name):
        option = options.BY_NAME[name]
        if name in chosen or (option.privileged and not privileged):
            return
        if not wild and not options.allowed(option, chosen):
            return
        if not wild and option.needs and not set(option.needs) & set(chosen):
            able = [n for n in option.needs if options.allowed(options.BY_NAME[n], chosen)]
            if not able:
                return
            add(rng.choice(able[:2]))
        chosen.append(name)

    base = _base(rng)
    for number in range(FEATURED):
        add(ORDER[(seed * FEATURED + number) % len(ORDER)])
    for name in base:
        add(name)
    names = [option.name for option in options.TABLE]
    weights = [option.weight for option in options.TABLE]
    for name in rng.choices(names, weights, k=rng.randint(1, 5)):
        add(name)
    if rng.random() < 0.75:
        chosen.append("itemize-changes")
    return chosen


def _operands(rng, source, chosen):
    """Source operands, as they are typed: [(operand, path in the world, where it lands below the destination)]."""
    relative = "relative" in chosen or ("files-from" in chosen and "no-relative" not in chosen)
    directories = sorted(p for p, n in source.items() if n.kind == DIR)
    others = sorted(p for p, n in source.items() if n.kind == FILE)

    def whole_tree():
        typed = rng.choice([b"src/"] * 6 + [b"src"] * 2 + [b"./src/", b"src/."])
        return typed, b"src", b"" if typed.endswith((b"/", b".")) and not relative else b"src"

    def one(path, slash=b""):
        if relative:
            typed = rng.choice([b"src/./", b"src/", b"./src/"]) + path + slash
            return typed, b"src/" + path, path if typed.startswith(b"src/./") else join(b"src", path)
        return b"src/" + path + slash, b"src/" + path, b"" if slash else path.rpartition(b"/")[2]

    if "files-from" in chosen:
        return [(rng.choice([b"src/", b"src"]), b"src", b"")]
    drawn = rng.random()
    if drawn < 0.66 or not directories or not others:
        return [whole_tree()]
    if drawn < 0.74:
        return [one(rng.choice(others))]
    if drawn < 0.80:
        return [one(rng.choice(directories), rng.choice([b"", b"/"]))]
    found = [one(rng.choice(others + directories)) for _ in range(rng.randint(2, 4))]
    if rng.random() < 0.3:
        found[rng.randrange(len(found))] = whole_tree()
    if rng.random() < 0.3:
        found.append((b"src2/", b"src2", b"" if not relative else b"src2"))
    if rng.random() < 0.12:
        found.append((b"src/not-there", None, b""))
    return found


def _subtree(world, path):
    """What lies at and below `path` in the world, relative to it; the object itself is b""."""
    return {p[len(path) + 1:] if p != path else b"": n for p, n in world.items() if p == path or p.startswith(path + b"/")}


def _landing(world, operands):
    """What the destination would hold if everything was copied."""
    result = {}
    for _, path, where in operands:
        if path is None:
            continue
        for inner, node in _subtree(world, path).items():
            at = join(where, inner)
            if at and at not in result:
                result[at] = node
    # Hard links point by world paths: a destination gets its own from equal contents.
    return {p: n if n.kind != HARDLINK else world.get(n.target, F(b"")) for p, n in result.items()}


def _relink(rng, destination, world):
    """Gives the destination link groups of its own, some as at the source, some not."""
    by_content = {}
    for path in sorted(destination):
        node = destination[path]
        if node.kind == FILE and node.data:
            by_content.setdefault(node.data, []).append(path)
    for paths in by_content.values():
        for path in paths[1:]:
            if rng.random() < 0.5:
                destination[path] = H(paths[0])
    files = sorted(p for p, n in destination.items() if n.kind == FILE)
    if len(files) > 3 and rng.random() < 0.5:
        destination[join(rng.choice([b"", b"extra-link"]), b"linked")] = H(rng.choice(files))


def _own_by_nobody(rng, world):
    """A few objects that the user may not read or write stay root's."""
    for path, node in world.items():
        if node.kind in (FILE, DIR) and path.count(b"/") and not path.startswith(b"lists") and rng.random() < 0.06:
            node.uid, node.gid = 0, 0
            node.mode = rng.choice([0o600, 0o644]) if node.kind == FILE else rng.choice([0o700, 0o755])


def draw(seed):
    """The scenario of a seed."""
    rng = random.Random("compat %d" % seed)
    unprivileged = not generate.IS_ROOT or rng.random() < 0.1
    chosen = _draw_options(rng, seed, not unprivileged)
    names = set(chosen)
    taste = generate.Taste(objects=rng.choice([6, 15, 30, 45]), unprivileged=unprivileged, follows=bool(names & FOLLOWING),
                           links="hard-links" in names or rng.random() < 0.3, merge_files=bool(names & MERGING),
                           large=bool(names & OF_CONTENTS) or rng.random() < 0.1)
    source = generate.tree(rng, taste)
    if rng.random() < 0.02:
        source = {}
    world = {b"src": generate.metadata(rng, D(), taste), b"outside": D(), b"outside/file": F(b"outside the tree"), b"lists": D(),
             b"rsh": REMOTE_SHELL, **below(b"src", source)}
    operands = _operands(rng, source, names)
    if any(path == b"src2" for _, path, _ in operands):
        world[b"src2"] = D()
        world.update(below(b"src2", generate.tree(rng, generate.Taste(**{**taste.__dict__, "objects": 8}))))
    destination = rng.choice(DESTINATIONS if len(operands) == 1 else [b"dst/", b"dst"])
    if rng.random() < (0.5 if "list-only" in names else 0.01):
        destination = None
    if destination is not None and destination.startswith((b"dst", b"./dst")):
        landing = generate.related(rng, _landing(world, operands), taste)
        if "hard-links" in names or rng.random() < 0.3:
            _relink(rng, landing, world)
        if destination == b"dst/renamed" and landing and rng.random() < 0.5:
            destination = b"dst/" + rng.choice(sorted(landing))
        world[b"dst"] = generate.metadata(rng, D(), taste) if rng.random() < 0.5 else D()
        world.update(below(b"dst", landing))
    setting = options.Setting(rng, world, {p for p in _landing(world, operands)} | set(source), source)
    setting.zero = "from0" in names
    units = [unit for name in chosen for unit in _units(rng, name, setting)]
    rng.shuffle(units) if rng.random() < 0.3 else None
    # rsync reads the lists in front of it as lines: a matter of order that nobody can mean.
    units.sort(key=lambda unit: unit.name != "from0")
    if unprivileged and generate.IS_ROOT:
        _own_by_nobody(rng, world)
    transport = random.Random("transport %d" % seed).choices([LOCAL, PUSH, PULL], [70, 15, 15])[0]
    if destination is None and transport == PUSH:
        transport = LOCAL
    return Scenario(world, units, [typed for typed, _, _ in operands], destination, setting.stdin, unprivileged, transport, seed)


def _units(rng, name, setting):
    option = options.BY_NAME[name]
    spelling = rng.choice(option.spellings)
    if option.value is None:
        return [Unit(name, spelling)] * (2 if name in ("filter-merge", "one-file-system") and rng.random() < 0.3 else 1)
    return [Unit(name, spelling, value) for value in option.value(setting)]
