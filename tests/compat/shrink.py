"""Makes a scenario smaller while its difference remains: fewer options, operands and objects."""

import os

import model
from scenario import LOCAL


def _kind(line):
    """What sort of difference a line tells; the object's name may change while the run shrinks."""
    head, _, rest = line.partition(": ")
    return head, rest.rpartition(": ")[2][:12] if head in ("tree", "touched") else ""


def _pieces(items):
    """Sublists to leave out, large ones first."""
    size = max(1, len(items) // 2)
    while True:
        for start in range(0, len(items), size):
            yield set(items[start:start + size])
        if size == 1:
            return
        size //= 2


def shrink(scenario, differences_of, say=lambda text: None):
    """The smallest scenario found that still differs in the same sort of way. `differences_of(scenario)`: the differences in words."""
    wanted = {_kind(line) for line in differences_of(scenario)}

    def still(candidate):
        return bool(wanted & {_kind(line) for line in differences_of(candidate)})

    def less(current, items, without):
        changed = True
        while changed and items(current):
            changed = False
            for piece in _pieces(items(current)):
                candidate = without(current, piece)
                if still(candidate):
                    current, changed = candidate, True
                    break
        return current

    if scenario.transport != LOCAL and still(scenario.but(transport=LOCAL)):
        scenario = scenario.but(transport=LOCAL)
    if scenario.unprivileged and still(scenario.but(unprivileged=False)):
        scenario = scenario.but(unprivileged=False)
    scenario = less(scenario, lambda s: range(len(s.units)), lambda s, gone: s.but(units=_without(s.units, gone)))
    say("%d options left" % len(scenario.units))
    if len(scenario.operands) > 1:
        scenario = less(scenario, lambda s: range(1, len(s.operands)), lambda s, gone: s.but(operands=_without(s.operands, gone)))
    # An operand that is missing differs in ways of its own.
    named = {os.path.normpath(operand) for operand in scenario.operands}
    scenario = less(scenario, lambda s: sorted(path for path in s.world if path not in named), _without_objects)
    say("%d objects left" % len(scenario.world))
    for path in sorted(scenario.world):
        node = scenario.world[path]
        plain = model.Node(node.kind, data=node.data, pieces=node.pieces, size=node.size, target=node.target, rdev=node.rdev)
        for candidate in (plain, node.but(xattrs={}), node.but(uid=None, gid=None), node.but(mode=plain.mode)):
            smaller = scenario.but(world={**scenario.world, path: candidate})
            if repr(candidate) != repr(scenario.world[path]) and still(smaller):
                scenario = smaller
                break
    return scenario


def _without(items, gone):
    return [item for number, item in enumerate(items) if number not in gone]


def _without_objects(scenario, gone):
    """Without these objects, and without what lies below them."""
    world = {p: n for p, n in scenario.world.items() if not any(p == g or p.startswith(g + b"/") for g in gone)}
    return scenario.but(world=world)
