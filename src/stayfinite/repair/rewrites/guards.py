"""Keeping the operands of a function where its value and its derivative are finite.

What has to be avoided is read from the row of the function: its domain, its pole, its singular
point, its growth. The engine has the exact forms; these are for code that it cannot read.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace

from stayfinite.numerics import functions
from stayfinite.numerics.functions import Growth, Interval, PoleKind
from stayfinite.repair.edit import Replacement
from stayfinite.repair.edit_facts import BoundAdded, BoundedPart, FormWritten, NewForm
from stayfinite.repair.operation import Operation, recognise
from stayfinite.repair.rewrites import lengths
from stayfinite.repair.rewrites.clamp import Clamp, assigned
from stayfinite.repair.rewrites.limits import ceiling, power_ceiling, power_floor
from stayfinite.repair.rewrites.site import Site, Template, spelled

DIVISION, LOGARITHM = "division-by-zero", "log-of-zero"
OVERFLOW, SINGULAR = "overflow", "singular-gradient"
# The kind of a rewrite that puts 1 in the place of a divisor, or base, of 0.
ONE_FOR_ZERO = "one for zero"
_MODEST = 20
_EXPONENTS = {"sqrt": 0.5, "rsqrt": -0.5}


def rewrites(site: Site, mechanism: str | None = None) -> Iterator[Template]:
    """The guards of one operation, best first; only those against `mechanism` if it is given."""
    operation = site.operation
    if operation is None or (mechanism is not None and mechanism not in _mechanisms(operation)):
        return
    if operation.name in lengths.RULES:
        yield from lengths.RULES[operation.name](site, operation)
    elif operation.name in ("divide", "reciprocal"):
        yield from _divide(site, operation)
    elif operation.name == "power":
        yield from _power(site, operation, mechanism)
    elif operation.name in ("prod", "cumprod"):
        yield from _product(site, operation)
    elif operation.name == "square":
        yield _inside(site, operation, power_ceiling(site.facts.dtype, 2.0))
    elif (limit := ceiling(site.facts.dtype, operation.name)) is not None:
        yield from _steep(site, operation, limit)
    else:
        yield from _domain(site, operation)


def _mechanisms(operation: Operation) -> set[str]:
    """What may go wrong with a function, by its row."""
    row = functions.row(operation.name)
    found = set()
    is_logarithm = row.pole is not None and row.pole.kind is PoleKind.LOGARITHM
    if row.pole is not None:
        found.add(LOGARITHM if is_logarithm else DIVISION)
    if (row.singular is not None or row.domain is not None) and not is_logarithm:
        found.add(SINGULAR)
    if operation.name in lengths.RULES:
        found.add(SINGULAR)
    elif row.growth is Growth.STEEP or operation.name == "square":
        found.add(OVERFLOW)
    return found


def at_least(site: Site, operation: Operation, operand: ast.expr, bound: str) -> list[Replacement]:
    """`operand` with every element at least `bound`.

    It replaces a smaller epsilon or bound of the user's, which was not enough. A count has no
    values between 0 and 1.
    """
    if site.facts.counts:
        bound = "1.0"
    if (literal := _small_lower_bound(site, operand, bound)) is not None:
        return [Replacement(*site.source.range_of(literal), bound)]
    inner = _without_small_constant(site, operand, bound)
    return Clamp(site, operation, operand, inner).at_least(bound)


def one_where_zero(site: Site, operand: ast.expr) -> list[Replacement]:
    """`operand` with every 0 made 1."""
    tested, again = site.twice(operand, "divisor")
    start, end = site.source.grouped_range(operand)
    return [Replacement(start, end, site.calls.one_where_zero(tested, again))]


def is_guarded(site: Site, operand: ast.expr) -> bool:
    """Whether the user already keeps `operand` away from 0, or it is a plain number."""
    if site.number(operand) is not None:
        return True
    operation = recognise(site.scope, operand)
    if operation is None or operation.name not in ("add", "maximum", "clip"):
        return False
    roles = ("minimum",) if operation.name == "clip" else ("x", "y")
    return any((site.number(operation.arguments.get(role)) or 0) > 0 for role in roles)


def _domain(site: Site, operation: Operation) -> Iterator[Template]:
    """Logarithms, roots and inverse functions: the operand inside the interval of the domain."""
    row = functions.row(operation.name)
    operand = operation.critical
    if not isinstance(row.domain, Interval) or operand is None:
        return
    low, high = int(row.domain.low), row.domain.high
    known, name = site.limits, spelled(operation)
    from_low = f"{low} + {known.margin}" if low else known.margin
    if high == 1:
        pieces = Clamp(site, operation, operand).between(from_low, f"1 - {known.margin}")
        between = BoundAdded(BoundedPart.ARGUMENT, name, low=str(low), high="1")
        yield site.rewrite("guard", between, pieces)
    elif low:
        pieces = Clamp(site, operation, operand).at_least(from_low)
        above = BoundAdded(BoundedPart.ARGUMENT, name, low=str(low))
        yield site.rewrite("guard", above, pieces)
    else:
        exponent = _EXPONENTS.get(operation.name)
        floors = [known.logarithm, known.lowest]
        if exponent is not None:
            floors = [power_floor(site.facts.dtype, exponent)]
        elif row.singular is not None:
            floors = [known.lowest]  # the value is finite at 0, so a bound need not move it
        for floor in dict.fromkeys(floors):
            above_zero = BoundAdded(BoundedPart.ARGUMENT, name, low="0")
            yield _floor(site, operation, operand, floor, above_zero)


def _floor(
    site: Site, operation: Operation, operand: ast.expr, floor: str, does: BoundAdded
) -> Template:
    return site.rewrite("guard", does, at_least(site, operation, operand, floor))


def _divide(site: Site, operation: Operation) -> Iterator[Template]:
    """The divisor above 0 where it has no sign, else 1 where it is 0."""
    divisor = operation.critical
    if divisor is None or site.number(divisor) is not None:
        return
    # A length or a deviation that is 0 has no derivative either: one guard inside is enough for
    # both.
    root = Site(site.source, site.locals.value(divisor), site.facts)
    if root.operation is not None and root.operation.name in ("sqrt", "norm", "std", "hypot"):
        for rewrite in rewrites(root):
            yield replace(rewrite, kind="root")
    if _has_no_sign(site):
        for floor in dict.fromkeys((site.limits.divisor, site.limits.lowest)):
            above_zero = BoundAdded(BoundedPart.DIVISOR, low="0")
            yield _floor(site, operation, divisor, floor, above_zero)
    pieces = one_where_zero(site, divisor)
    yield site.rewrite(ONE_FOR_ZERO, FormWritten(NewForm.ONE_AS_DIVISOR), pieces)


def _power(site: Site, operation: Operation, mechanism: str | None) -> Iterator[Template]:
    """The base of a call, of `x ** p` and of `x **= p`, by the sign and size of the exponent."""
    exponent, base = site.number(operation.arguments.get("y")), operation.arguments["x"]
    dtype, name = site.facts.dtype, spelled(operation)
    if exponent is not None and exponent > 1 and mechanism in (None, OVERFLOW):
        yield _inside(site, operation, power_ceiling(dtype, exponent))
    if exponent is not None and exponent < 0 and mechanism != OVERFLOW:
        if _has_no_sign(site) or exponent != int(exponent):
            yield _above_zero(site, operation, power_floor(dtype, exponent))
        pieces = one_where_zero(site, base)
        if isinstance(site.node, ast.AugAssign):
            text = site.text(base)
            pieces = assigned(site, site.calls.one_where_zero(text, text))
        yield site.rewrite(ONE_FOR_ZERO, FormWritten(NewForm.ONE_AS_BASE, name), pieces)
    is_root = exponent is None or 0 < exponent < 1
    if is_root and mechanism in (None, SINGULAR):
        floor = power_floor(dtype, 0.5 if exponent is None else exponent)
        yield _above_zero(site, operation, floor)
        if site.facts.minimum is not None and site.facts.minimum < 0:
            yield from _signed(site, operation, floor)


def _above_zero(site: Site, operation: Operation, floor: str) -> Template:
    base = operation.arguments["x"]
    if isinstance(site.node, ast.AugAssign):
        pieces = assigned(site, site.calls.at_least(site.text(base), floor))
    else:
        pieces = at_least(site, operation, base, floor)
    above_zero = BoundAdded(BoundedPart.BASE, spelled(operation), low="0")
    return site.rewrite("guard", above_zero, pieces)


def _signed(site: Site, operation: Operation, floor: str) -> Iterator[Template]:
    """The power of the size of its base, with the sign of it."""
    if isinstance(site.node, ast.AugAssign):
        return
    base = operation.arguments["x"]
    first, again = site.twice(base, "base")
    sign, size = site.calls("sign", first), site.calls.at_least(site.calls("abs", again), floor)
    (start, end), (left, right) = site.source.range_of(site.node), site.source.grouped_range(base)
    text = f"{sign} * {site.source.text[start:left]}{size}{site.source.text[right:end]}"
    pieces = [site.replace(site.node, text, is_atom=False)]
    yield site.rewrite("signed", FormWritten(NewForm.SIZE_AND_SIGN, spelled(operation)), pieces)


def _steep(site: Site, operation: Operation, limit: float) -> Iterator[Template]:
    """An exponential, or another function that leaves the range at an ordinary operand."""
    operand = operation.arguments["x"]
    if operation.name in ("sinh", "cosh"):
        yield _inside(site, operation, f"{limit}.0")
        return
    # The lower bound is for what is squared, or multiplied by something large, later on.
    for bound in (limit, _MODEST) if limit > _MODEST else (limit,):
        pieces = Clamp(site, operation, operand).at_most(f"{bound}.0")
        below = BoundAdded(BoundedPart.ARGUMENT, spelled(operation), high=str(bound))
        yield site.rewrite("clip", below, pieces)


def _inside(site: Site, operation: Operation, bound: str) -> Template:
    """The operand between `-bound` and `bound`."""
    operand = operation.arguments["x"]
    if isinstance(site.node, ast.AugAssign):
        pieces = assigned(site, site.calls("clip", site.text(operand), f"-{bound}", bound))
    else:
        pieces = Clamp(site, operation, operand).between(f"-{bound}", bound)
    part = BoundedPart.BASE if operation.name == "power" else BoundedPart.ARGUMENT
    size = bound.removesuffix(".0")
    between = BoundAdded(part, spelled(operation), low=f"-{size}", high=size)
    return site.rewrite("clip", between, pieces)


def _product(site: Site, operation: Operation) -> Iterator[Template]:
    """A product of many positive numbers, as a sum of logarithms that is kept in range."""
    limit = ceiling(site.facts.dtype, "exp")
    if site.facts.minimum is None or site.facts.minimum <= 0 or limit is None:
        return
    total = "cumsum" if operation.name == "cumprod" else "sum"
    axis = operation.arguments.get("axis")
    options = {} if axis is None else {"axis": site.text(axis)}
    logs = site.calls(total, site.calls("log", site.text(operation.arguments["x"])), **options)
    text = site.calls("exp", site.calls.at_most(logs, f"{limit}.0"))
    logarithms = FormWritten(NewForm.LOGARITHMS, spelled(operation))
    yield site.rewrite("logs", logarithms, [site.replace(operation.call, text)])


def _without_small_constant(site: Site, operand: ast.expr, bound: str) -> ast.expr:
    """`x` for `x + 1e-10`, if the constant is below `bound`."""
    operation = recognise(site.scope, operand)
    if operation is not None and operation.name == "add":
        left, right = operation.arguments["x"], operation.arguments["y"]
        for constant, rest in ((right, left), (left, right)):
            if _is_below(site, constant, bound):
                return rest
    return operand


def _small_lower_bound(site: Site, operand: ast.expr, bound: str) -> ast.expr | None:
    """The literal in `maximum(x, 1e-10)` or `clip(x, 1e-10, 1.0)`, if it is below `bound`."""
    operation = recognise(site.scope, operand)
    roles = {"maximum": ("x", "y"), "clip": ("minimum",)}
    for role in roles.get(operation.name, ()) if operation is not None else ():
        literal = operation.arguments.get(role) if operation is not None else None
        if literal is not None and _is_below(site, literal, bound):
            return literal
    return None


def _is_below(site: Site, literal: ast.expr, bound: str) -> bool:
    number = site.number(literal)
    return number is not None and not bound.startswith("-") and 0 <= number < float(bound)


def _has_no_sign(site: Site) -> bool:
    return site.facts.minimum is not None and site.facts.minimum >= 0
