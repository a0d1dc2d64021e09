"""Homogeneous formulas computed on operands of size 1.

If `f(s x) = s^k f(x)` for every s > 0, then f(x) is `m^k f(x / m)` with m the largest |x|: nothing
on the way overflows or underflows. One rule for hypot, norms of any order, cosines, correlations,
complex division and ratios of powers. The result does not depend on m, so no gradient flows to it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from stayfinite.repair.engine import build
from stayfinite.repair.engine.build import is_number, number, real
from stayfinite.repair.engine.context import Context
from stayfinite.repair.engine.evaluate import BadFormula
from stayfinite.repair.engine.problem import Assumption
from stayfinite.repair.formula import LeafRole, Node, node, walk

ZERO, ONE = real(0.0), real(1.0)
# The degree of the result is that of the first operand, or a multiple of it.
MULTIPLES = {
    **dict.fromkeys(build.MOVES_FIRST, 1.0),
    "negative": 1.0, "abs": 1.0, "relu": 1.0, "square": 2.0, "sqrt": 0.5, "rsqrt": -0.5,
    "reciprocal": -1.0, "sum": 1.0, "mean": 1.0, "max": 1.0, "min": 1.0, "norm": 1.0, "std": 1.0,
    "var": 2.0, "cumsum": 1.0,
}  # fmt: skip
EQUAL = frozenset("add subtract maximum minimum hypot stack concatenate".split())
COMPARED = frozenset("equal not_equal greater greater_equal less less_equal".split())
REDUCING = frozenset("sum mean max min norm std var prod".split())
HOMOGENEOUS = {*MULTIPLES, *EQUAL, *COMPARED, "multiply", "divide", "power", "where", "prod"}
MOST_INPUTS = 4


def proposals(context: Context, root: Node) -> Iterator[tuple[Node, str, tuple[Assumption, ...]]]:
    """Scaled forms of every maximal homogeneous sub-formula that has a wrong part."""
    for target in _targets(context, root):
        for inputs in _input_sets(context, target):
            for groups in _groupings(inputs):
                for guarded in (False, True):
                    try:
                        found = scaled(context, target, groups, guarded)
                    except BadFormula:
                        continue
                    if found is not None:
                        yield build.substituted(root, {target: found}), "scaling", ()


def degree(
    context: Context, target: Node, inputs: frozenset[Node], swapped: dict[Node, Node] | None = None
) -> Node | None:
    """The degree of `target` in `inputs` as a formula, or None if it is not homogeneous.

    With `swapped`, a constant that is added to something of another degree gets that degree; it is
    noted there: the addition and the degree that its constant needs.
    """
    known: dict[Node, Node | None] = {}
    for x in walk(target):
        known[x] = ONE if x in inputs else _degree(context, x, known, swapped)
    return known[target]


def _degree(
    context: Context,
    x: Node,
    known: dict[Node, Node | None],
    swapped: dict[Node, Node] | None,
) -> Node | None:
    parts = [known[operand] for operand in x.operands]
    if any(part is None for part in parts):
        return None
    degrees = [part for part in parts if part is not None]
    if all(part is ZERO for part in degrees):
        return ZERO
    if x.op in MULTIPLES:
        return build.multiply(real(MULTIPLES[x.op]), degrees[0])
    match x.op:
        case "multiply":
            return build.add(*degrees)
        case "divide":
            return ZERO if degrees[0] is degrees[1] else build.subtract(*degrees)
        case "power":
            exponent = build.value(x.operands[1])
            times = x.operands[1] if exponent is None else real(exponent)
            return build.multiply(times, degrees[0]) if degrees[1] is ZERO else None
        case "prod":
            inner, outer = context.shape(x.operands[0]), context.shape(x)
            count = 1
            for axis in range(len(inner)):
                axes = x.attribute("axis")
                assert isinstance(axes, tuple)
                count *= inner[axis] if axis in axes else 1
            return build.multiply(real(float(count)), degrees[0]) if outer is not None else None
        case "where":
            return degrees[1] if degrees[0] is ZERO and degrees[1] is degrees[2] else None
    if x.op in EQUAL or x.op in COMPARED:
        return _equal(x, degrees, swapped)
    return None


def _equal(x: Node, degrees: list[Node], swapped: dict[Node, Node] | None) -> Node | None:
    want = next(part for part in degrees if part is not ZERO)
    for operand, found in zip(x.operands, degrees, strict=True):
        if found is want or is_number(operand, 0.0):
            continue
        if found is not ZERO or swapped is None or build.value(operand) is None:
            return None
        swapped[x] = want
    return ZERO if x.op in COMPARED else want


def scaled(
    context: Context, target: Node, groups: tuple[tuple[Node, ...], ...], guarded: bool
) -> Node | None:
    """`target` with the inputs of each group divided by a common size."""
    mapping: dict[Node, Node] = {}
    outer: list[tuple[Node, Node]] = []
    sums: dict[Node, Node] = {}  # additions whose constant is divided by a power of the size
    for group in groups:
        inputs = frozenset(group)
        found = degree(context, target, inputs)
        swapped: dict[Node, Node] = {}
        if found is None:
            found = degree(context, target, inputs, swapped)
        if found is None or (swapped and len(groups) > 1):
            return None
        axes = _axes(target, inputs)
        size = _size(context, group, axes)
        if size is None:
            return None
        if swapped:
            size = node("maximum", size, ONE)
        elif guarded:
            size = node("where", node("greater", size, ZERO), size, ONE)
        size = node("stop_gradient", size)
        for x in group:
            mapping[x] = build.divide(x, size)
        for x, needed in swapped.items():
            sums[x] = _power(size, needed)
        if found is not ZERO:
            outer.append((_fitted(context, size, target, axes), found))
    inner = _replaced(target, mapping, sums)
    for size, power in outer:
        value = number(power)
        if value is not None and value < 0:
            inner = build.divide(inner, _power(size, real(-value)))
        else:
            inner = build.multiply(_power(size, power), inner)
    return inner


def _replaced(target: Node, mapping: dict[Node, Node], sums: dict[Node, Node]) -> Node:
    done = dict(mapping)
    for x in walk(target):
        if x in done:
            continue
        operands = [done[operand] for operand in x.operands]
        if x in sums:
            operands = [
                build.divide(o, sums[x]) if build.value(o) is not None else o for o in operands
            ]
        done[x] = build.rebuilt(x, tuple(operands))
    return done[target]


def _power(x: Node, exponent: Node) -> Node:
    return build.power(x, exponent)


def _targets(context: Context, root: Node) -> list[Node]:
    """Maximal sub-formulas made of homogeneous operations, with something wrong in them."""
    inside: set[Node] = set()
    found = []
    for x in reversed(list(walk(root))):
        if x.op in HOMOGENEOUS and x not in inside and context.bad_below(x):
            found.append(x)
            stack = [x]
            while stack:
                current = stack.pop()
                for operand in current.operands:
                    if operand.op in HOMOGENEOUS and operand not in inside:
                        inside.add(operand)
                        stack.append(operand)
    # Parts of a target are targets of their own where the whole is not homogeneous.
    parts = [x for x in walk(root) if x in inside and context.bad_below(x)]
    return [*found, *reversed(parts)][:12]


def _input_sets(context: Context, target: Node) -> list[tuple[Node, ...]]:
    """The operands to scale: where the homogeneous operations end, or the last healthy values."""
    ends: list[Node] = []
    frontier: list[Node] = []
    seen: set[Node] = set()
    stack = [target]
    while stack:
        current = stack.pop()
        # The others are an exponent, or positions.
        is_first = current.op == "power" or current.op in build.MOVES_FIRST
        operands = current.operands[:1] if is_first else current.operands
        for x in operands:
            if x.op not in HOMOGENEOUS and _scalable(x) and x not in ends:
                ends.append(x)
            healthy = not context.bad(x) and (context.bad(current) or current is target)
            if healthy and _scalable(x) and x not in frontier:
                frontier.append(x)
            if x.op in HOMOGENEOUS and x not in seen:
                seen.add(x)
                stack.append(x)
    sets = [tuple(s) for s in (ends, frontier) if 0 < len(s) <= MOST_INPUTS]
    return list(dict.fromkeys(sets))


def _scalable(x: Node) -> bool:
    if x.op == "leaf":
        return x.attribute("role") in (LeafRole.VARIABLE, LeafRole.DATA)
    return x.op != "constant" and x.op not in COMPARED


def _groupings(inputs: tuple[Node, ...]) -> Iterator[tuple[tuple[Node, ...], ...]]:
    """All with one size, each with its own, and smaller sets."""
    yield (inputs,)
    if len(inputs) > 1:
        yield tuple((x,) for x in inputs)
        for count in range(1, len(inputs)):
            for part in itertools.combinations(inputs, count):
                yield (part,)
        if len(inputs) == 4:
            a, b, c, d = inputs
            yield from (((a, b), (c, d)), ((a, c), (b, d)), ((a, d), (b, c)))


def _axes(target: Node, inputs: frozenset[Node]) -> tuple[int, ...]:
    """The axes along which elements of the inputs meet."""
    found: set[int] = set()
    for x in walk(target):
        if x.op in REDUCING and build.uses(x.operands[0], inputs):
            axes = x.attribute("axis")
            assert isinstance(axes, tuple)
            found.update(axes)
    return tuple(sorted(found))


def _size(context: Context, group: tuple[Node, ...], axes: tuple[int, ...]) -> Node | None:
    """The largest |x| over the axes, kept, and over the group."""
    found: Node | None = None
    for x in group:
        size = build.absolute(x) if not context.signs.non_negative(x) else x
        rank = len(context.shape(x))
        inner = tuple(axis for axis in axes if axis < rank)
        if inner:
            size = build.reduced("max", size, inner, True)
        found = size if found is None else node("maximum", found, size)
    return found


def _fitted(context: Context, size: Node, target: Node, axes: tuple[int, ...]) -> Node:
    """`size` in the shape in which it multiplies `target`."""
    have, want = context.shape(size), context.shape(target)
    if len(have) > len(want) and axes:
        inner = tuple(axis for axis in axes if axis < len(have))
        return node("squeeze", size, axis=inner)
    return size
