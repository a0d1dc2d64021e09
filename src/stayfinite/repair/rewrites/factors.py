"""The logarithm of a product that leaves the range of its dtype: the sum of the logarithms.

`log(4 * math.pi * d ** 2)` -> `math.log(4 * math.pi) + 2 * log(d)`. The product may begin in a
local variable.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from stayfinite.repair.emit import CannotSpellError, Emitter
from stayfinite.repair.operation import recognise
from stayfinite.repair.rewrites.algebra import Reader
from stayfinite.repair.rewrites.islands import is_written_out
from stayfinite.repair.rewrites.site import Site, Template
from stayfinite.repair.rewrites.stable import formulas_around

_LOGARITHMS = ("log", "log10", "log2")
_CONSTANTS = ("math.pi", "math.e", "numpy.pi", "numpy.e")
_POWERS = {"square": 2.0, "sqrt": 0.5, "reciprocal": -1.0, "rsqrt": -0.5}


class _Factor(NamedTuple):
    node: ast.expr
    exponent: float


def rewrites(site: Site) -> Iterator[Template]:
    """The sum in the place of the nearest logarithm of a product that the expression is in."""
    for root in formulas_around(site):
        for name in _LOGARITHMS:
            reader, emit = Reader(site), site.emitter()
            x = reader.argument(root, name)
            if x is None:
                continue
            factors = list(_factors(site, reader, x, 1.0))
            if factors == [_Factor(x, 1.0)] or site.node not in reader.used:
                continue
            try:
                text = _sum(site, emit, name, factors)
            except CannotSpellError:
                continue
            around = site.source.parents.get(root)
            if isinstance(around, ast.BinOp) and len(factors) > 1:
                text = f"({text})"
            piece = site.replace(root, text, is_atom=False)
            description = f"add up the `{name}` of each factor instead of multiplying them"
            imports, definitions = tuple(emit.imports), tuple(reader.definitions)
            yield Template("factors", description, (piece,), imports, root, definitions)
            return


def _factors(site: Site, reader: Reader, node: ast.expr, exponent: float) -> Iterator[_Factor]:
    parts = _parts(site, node)
    if not parts:
        yield _Factor(node, exponent)
        return
    operation = recognise(site.scope, site.locals.value(node))
    if operation is not None:
        reader.operation(node, operation.name)  # which notes that it was read
    for part, power in parts:
        yield from _factors(site, reader, part, exponent * power)


def _parts(site: Site, node: ast.expr) -> list[_Factor]:
    """What `node` is the product of, each to a power; nothing where it is none."""
    found = recognise(site.scope, site.locals.value(node))
    if found is None or _is_number(site, node):
        return []
    left, right = found.arguments.get("left"), found.arguments.get("right")
    if left is not None and right is not None:
        if found.name in ("multiply", "divide"):
            return [_Factor(left, 1.0), _Factor(right, 1.0 if found.name == "multiply" else -1.0)]
        power = site.number(right) if found.name == "power" else None
        return [_Factor(left, power)] if power else []
    x = found.arguments.get("x")
    return [_Factor(x, _POWERS[found.name])] if x is not None and found.name in _POWERS else []


def _is_number(site: Site, node: ast.expr) -> bool:
    """Whether it is written out, as `4 * np.pi` is: no library asks for a tensor of it."""
    if site.scope.path(node) in _CONSTANTS:
        return True
    if isinstance(node, ast.BinOp):
        return _is_number(site, node.left) and _is_number(site, node.right)
    return is_written_out(node)


def _sum(site: Site, emit: Emitter, name: str, factors: list[_Factor]) -> str:
    text = ""
    for node, exponent in factors:
        if _is_number(site, node):
            if "import math" not in emit.imports and site.scope.path_of_name("math") != "math":
                emit.imports.append("import math")
            term = f"math.{name}({site.text(node)})"
        else:
            term = emit.call(name, site.text(node))
        times = "" if abs(exponent) == 1 else f"{abs(exponent):g} * "
        sign = "-" if exponent < 0 else "+" if text else ""
        text += f" {sign} {times}{term}" if text else f"{sign}{times}{term}"
    return text
