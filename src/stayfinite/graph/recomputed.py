"""Ops of the backward pass that make a forward value again, as under `jax.checkpoint`."""

from __future__ import annotations

import numpy as np

from stayfinite.graph.graph import Graph, Op


def _of_one_expression(one: Op, other: Op) -> bool:
    """Whether two ops are of one expression, whose callers may not be known the second time."""
    return one.span == other.span and one.layer == other.layer


def recomputed_op(graph: Graph, op: Op) -> Op | None:
    """The forward op that an op of the backward pass makes again; None if it is none."""
    for other in graph.ops:
        if (
            other.phase in ("forward", "statistics")
            and other.name == op.name
            and _of_one_expression(other, op)
            and _computes_the_same(graph, op, other)
        ):
            return other
    return None


def _computes_the_same(graph: Graph, again: Op, first: Op) -> bool:
    """Whether two ops read the same, or what is computed in the same way of the same."""
    seen: set[tuple[int, int]] = set()
    pairs = [(again, first)]
    while pairs:
        one, other = pairs.pop()
        if (one.index, other.index) in seen:
            continue
        seen.add((one.index, other.index))
        if (
            one.name != other.name
            or len(one.operands) != len(other.operands)
            or not _of_one_expression(one, other)
        ):
            return False
        for value, original in zip(one.operands, other.operands, strict=True):
            if value == original or _same_constant(graph, value, original):
                continue
            makers = graph.producer.get(value), graph.producer.get(original)
            if makers[0] is None or makers[1] is None:
                return False
            if makers[0].results.index(value) != makers[1].results.index(original):
                return False
            pairs.append((makers[0], makers[1]))
    return True


def _same_constant(graph: Graph, value: int, original: int) -> bool:
    one, other = graph.constants.get(value), graph.constants.get(original)
    return one is not None and other is not None and np.array_equal(one, other)
