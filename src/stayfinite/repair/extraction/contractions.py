"""Small products of matrices and sums by `einsum`, as sums of products."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from stayfinite.repair.extraction.formulas import Arguments, Formulas, node_of
from stayfinite.repair.extraction.pairing import put_in_order
from stayfinite.repair.extraction.run import Run
from stayfinite.repair.extraction.shapes import CannotReadError
from stayfinite.repair.extraction.values import Call, Pending
from stayfinite.repair.formula import Node

# Products that are summed, for the whole batch. A larger contraction is a leaf of the formula:
# exact arithmetic takes microseconds for each product.
MOST_PRODUCTS = 1024
_NAMES = frozenset("bmm einsum matmul mm".split())
_LIBRARIES = ("jax", "keras", "tensorflow", "torch")


@dataclass(frozen=True)
class Contraction:
    """A product of two matrices, or a sum by an equation of `einsum`."""

    operands: list[object]
    equation: str | None = None


def contraction_of(called: object, positional: Sequence[object]) -> Contraction | None:
    """What a call multiplies and sums; None for any other call."""
    name = getattr(called, "__name__", "")
    module = getattr(called, "__module__", None) or "torch"
    if name not in _NAMES or module.partition(".")[0] not in _LIBRARIES:
        return None
    if name == "einsum":
        equation, *operands = positional or (None,)
        if not isinstance(equation, str) or not operands:
            return None
        return Contraction(operands, equation)
    return Contraction(list(positional)) if len(positional) == 2 else None


def contracted(run: Run, call: Call, found: Contraction) -> object:
    """The node of a small contraction; a leaf for any other."""
    run.is_pure(call)
    evaluation = run.recorded.evaluation(run.stack(call.expression))

    def product(formulas: Formulas, nodes: Sequence[Node]) -> Node:
        if found.equation is None:
            return matmul(formulas, dict(zip("xy", nodes, strict=True)))
        return _by_equation(formulas, found.equation, nodes)

    if evaluation is not None and run.leaves.needs_order(found.operands):
        # `einsum` may exchange its operands.
        number = len(found.operands)
        evaluation = put_in_order(evaluation, number, product, run.recorded.arrays)
    run.leaves.match(found.operands, evaluation)
    try:
        made = product(run.formulas, [_known(run, operand) for operand in found.operands])
    except CannotReadError:
        return run.unknown_result(call, evaluation, *call.arguments)
    return run.recorded_as(made, evaluation)


def _known(run: Run, value: object) -> Node:
    if isinstance(value, Pending) and value.tensor is None:
        raise CannotReadError("an operand of which no array is known")
    node = run.leaves.operand(value, "x")
    if node is None:
        raise CannotReadError("an operand that is no tensor")
    return node


def matmul(f: Formulas, arguments: Arguments) -> Node:
    """The product of two matrices, or of two arrays of matrices.

    Raises:
        CannotReadError: an operand has fewer than two axes, or the product is large.
    """
    x, y = node_of(arguments, "x"), node_of(arguments, "y")
    ranks = f.rank(x), f.rank(y)
    if min(ranks) < 2:
        raise CannotReadError("a product with a vector")
    left = f.make("expand_dims", x, axis=(ranks[0],))
    right = f.make("expand_dims", y, axis=(ranks[1] - 2,))
    return _summed(f, [left, right], (max(ranks) - 1,))


def _by_equation(f: Formulas, equation: str, operands: Sequence[Node]) -> Node:
    read, arrow, result = equation.replace(" ", "").partition("->")
    labels = read.split(",")
    if not arrow or "." in read or len(labels) != len(operands):
        raise CannotReadError("an equation of another form")
    if any(len(set(each)) != len(each) for each in (*labels, result)):
        raise CannotReadError("a label that is repeated")
    order = [*result, *dict.fromkeys(c for each in labels for c in each if c not in result)]
    parts = [_aligned(f, x, each, order) for x, each in zip(operands, labels, strict=True)]
    return _summed(f, parts, tuple(range(len(result), len(order))))


def _aligned(f: Formulas, x: Node, labels: str, order: Sequence[str]) -> Node:
    """An operand with the axes of `order`."""
    if f.rank(x) != len(labels):
        raise CannotReadError("an equation for other operands")
    axes = tuple(labels.index(c) for c in order if c in labels)
    if axes != tuple(range(len(labels))):
        x = f.make("transpose", x, axes=axes)
    missing = tuple(position for position, c in enumerate(order) if c not in labels)
    return f.make("expand_dims", x, axis=missing) if missing else x


def _summed(f: Formulas, factors: Sequence[Node], axes: tuple[int, ...]) -> Node:
    product = functools.reduce(lambda a, b: f.make("multiply", a, b), factors)
    if math.prod(f.shape(product) or ()) > MOST_PRODUCTS:
        raise CannotReadError("a large contraction")
    if not f.contracts:
        f.has_contraction = True
        raise CannotReadError("a contraction that is left as a leaf")
    return f.make("sum", product, axis=axes, keepdims=False) if axes else product
