"""Reading formulas: is this an exponential, a sigmoid, a softmax, also when written by hand?

A reader looks through local variables, and remembers which operations and definitions it has used.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass

from stayfinite.repair.operation import Operation, recognise
from stayfinite.repair.rewrites.site import Site

_SMALL = 1e-3  # a constant up to this, added to something, is a guard and not part of the formula


@dataclass(frozen=True)
class Term:
    """An operand with its sign."""

    node: ast.expr
    is_negative: bool = False

    def negated(self) -> Term:
        """The same operand with the other sign."""
        return Term(self.node, not self.is_negative)


@dataclass(frozen=True)
class Softmax:
    """A softmax of `x`; `axis` is `None` where the user gave none, or meant all elements."""

    x: Term
    axis: ast.expr | None
    by_hand: bool


class Reader:
    """Reads one formula. A reader whose reading has failed is thrown away."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.used: set[ast.AST] = set()
        self.definitions: list[ast.Assign] = []

    def operation(self, node: ast.expr | None, name: str) -> Operation | None:
        """`node`, or what the local variable `node` holds, if that is the operation `name`."""
        if node is None:
            return None
        definition = self._site.locals.definition(node)
        value = node if definition is None else definition.value
        found = recognise(self._site.scope, value)
        if found is None or found.name != name:
            return None
        self.used.add(value)
        if definition is not None and definition not in self.definitions:
            self.definitions.append(definition)
        return found

    def argument(self, node: ast.expr | None, name: str) -> ast.expr | None:
        """The argument `x` of the function `name`."""
        found = self.operation(node, name)
        return None if found is None or not found.complete else found.arguments["x"]

    def exp(self, node: ast.expr | None) -> Term | None:
        """`t` for `exp(t)`."""
        x = self.argument(node, "exp")
        return None if x is None else term(x)

    def one_plus(self, node: ast.expr | None) -> ast.expr | None:
        """`a` for `1 + a` or `a + 1`."""
        found = self.operation(node, "add")
        if found is None:
            return None
        left, right = found.arguments["left"], found.arguments["right"]
        if self._site.number(left) == 1:
            return right
        return left if self._site.number(right) == 1 else None

    def one_minus(self, node: ast.expr | None) -> ast.expr | None:
        """`a` for `1 - a`."""
        found = self.operation(node, "subtract")
        if found is None or self._site.number(found.arguments["left"]) != 1:
            return None
        return found.arguments["right"]

    def unguarded(self, node: ast.expr) -> ast.expr:
        """`a` for `a + 1e-8`, `a + epsilon()`, `maximum(a, 1e-8)`, `clip(a, 1e-8, 1)`, or `a`."""
        value = self._site.locals.value(node)
        found = recognise(self._site.scope, value)
        if found is None or found.name not in ("add", "maximum", "clip"):
            return node
        if found.name == "clip":
            bound = found.arguments.get("minimum")
            return found.arguments["x"] if self._is_small(bound) else node
        left, right = found.arguments["left"], found.arguments.get("right")
        if self._is_small(right):
            return left
        return right if right is not None and self._is_small(left) else node

    def _is_small(self, node: ast.expr | None) -> bool:
        number = self._site.number(node)
        if number is not None:
            return 0 <= number <= _SMALL
        name = node.func if isinstance(node, ast.Call) else node
        return isinstance(name, ast.Attribute) and name.attr == "epsilon"

    def sigmoid(self, node: ast.expr) -> Term | None:
        """`t` for `sigmoid(t)`, `1 / (1 + exp(-t))` and `exp(t) / (1 + exp(t))`."""
        if (x := self.argument(node, "sigmoid")) is not None:
            return term(x)
        found = self.operation(node, "divide")
        if found is None:
            return None
        below = self.exp(self.one_plus(found.arguments.get("right")))
        above = found.arguments["left"]
        if below is None:
            return None
        if self._site.number(above) == 1:
            return below.negated()
        return below if self.same(self.exp(above), below) else None

    def softmax(self, node: ast.expr) -> Softmax | None:
        """A call of `softmax`, or `exp(x) / sum(exp(x), axis, keepdims=True)`."""
        call = self.operation(node, "softmax")
        if call is not None:
            axis = call.arguments.get("axis")
            return Softmax(term(call.arguments["x"]), axis, False) if call.complete else None
        found = self.operation(node, "divide")
        right = found.arguments.get("right") if found is not None else None
        if found is None or right is None:
            return None
        total = self.operation(self.unguarded(right), "sum")
        above = self.exp(found.arguments["left"])
        if total is None or above is None or not total.complete:
            return None
        if not self.same(self.exp(total.arguments["x"]), above):
            return None
        axis, keepdims = total.arguments.get("axis"), total.arguments.get("keepdims")
        keeps = isinstance(keepdims, ast.Constant) and keepdims.value is True
        # Without keepdims only a sum over everything, or over axis 0, divides what it should.
        fits = keeps or axis is None or self._site.number(axis) == 0
        return Softmax(above, axis, True) if fits else None

    def same(self, first: Term | None, second: Term | None) -> bool:
        """Whether two operands surely have the same value."""
        if first is None or second is None or first.is_negative != second.is_negative:
            return False
        if first.node is second.node:
            return True
        equal = ast.dump(first.node) == ast.dump(second.node)
        return equal and self._site.is_repeatable(first.node)


def term(node: ast.expr) -> Term:
    """An operand, with a leading minus as its sign."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return term(node.operand).negated()
    return Term(node)
