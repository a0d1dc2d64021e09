"""Whether the forward pass hides a non-finite value, and what hides it."""

from __future__ import annotations

import numpy as np

from stayfinite.diagnose.booleans import FINITENESS
from stayfinite.diagnose.evidence import Evidence, as_float
from stayfinite.graph.graph import Graph, Op
from stayfinite.graph.walk import STRUCTURAL, depends_on, unwrapped

_MAX_STEPS = 8
_AT_A_TIME = 50
CHOICES = {"where", "nan_to_num"}
# `maximum(nan, 0)` is 0 in some compiled code, but nobody meant to mask with it: only an infinity
# is thrown away by these.
_HIDES_INFINITY = {"minimum", "maximum", "clip", "exp", "sigmoid", "tanh", "divide", "rsqrt"}


def hidden_by(evidence: Evidence, op: Op) -> Op | None:
    """The forward op after `op` whose result is finite again; None where the loss shows it."""
    if not evidence.loss_finite or op.phase != "forward":
        return None
    return _hider(evidence, list(op.results))


def leaking_op(evidence: Evidence) -> Op | None:
    """Where a bad array of the batch is thrown away by a `where`, the first derivative that leaks.

    A loss that is finite all the same shows that the bad elements were meant to be left out.
    """
    if evidence.leaf is None or not evidence.loss_finite:
        return None
    hider = _hider(evidence, [evidence.leaf.value])
    if hider is None or hider.name not in CHOICES:
        return None
    # A mask is known from the data; a `where` on the error, as in Huber's loss, is none.
    if (
        hider.name == "where"
        and depends_on(evidence.trace, hider.operands[0], "weight")
        and not _asks_for_nan(evidence.trace, hider.operands[0])
    ):
        return None
    backward = [op for op in evidence.trace.ops if op.phase == "backward"]
    first_bad: Op | None = None
    for first in range(0, len(backward), _AT_A_TIME):
        some = backward[first : first + _AT_A_TIME]
        arrays = evidence.fetch([v for op in some for v in (*op.operands, op.results[0])])
        finite = {
            value: bool(np.isfinite(as_float(array)).all()) for value, array in arrays.items()
        }
        for op in some:
            if finite[op.results[0]]:
                continue
            if any(finite[v] and _is_gradient(evidence.trace, v) for v in op.operands):
                return op
            first_bad = first_bad or op
    return first_bad


def _is_gradient(trace: Graph, value: int) -> bool:
    """Whether it came down from the loss; a derivative may compute forward values once more."""
    made_by = trace.producer.get(value)
    return made_by is not None and made_by.phase == "backward"


def _asks_for_nan(trace: Graph, condition: int) -> bool:
    """Whether the condition is `isnan`, `isfinite` or `x != x`, whatever that is asked of."""
    asked = trace.producer.get(unwrapped(trace, condition, STRUCTURAL | {"logical_not", "not"}))
    if asked is None:
        return False
    if asked.name in FINITENESS:
        return True
    return asked.name in ("equal", "not_equal") and asked.operands[0] == asked.operands[1]


def _hider(evidence: Evidence, values: list[int]) -> Op | None:
    frontier = values
    for _ in range(_MAX_STEPS):
        consumers = {
            consumer.index: consumer
            for value in frontier
            for consumer in evidence.trace.consumers.get(value, [])
            if consumer.phase == "forward"
        }
        arrays = evidence.fetch([c.results[0] for c in consumers.values()])
        still_bad: list[int] = []
        for consumer in consumers.values():
            if not np.isfinite(as_float(arrays[consumer.results[0]])).all():
                still_bad.extend(consumer.results)
            elif consumer.name in CHOICES or (
                consumer.name in _HIDES_INFINITY and not _has_nan(evidence, consumer)
            ):
                return consumer
        if not still_bad:
            return None
        frontier = still_bad
    return None


def same_expression(one: Op, other: Op) -> bool:
    """Whether both ops are inside one and the same expression of the user."""
    return one.span == other.span and one.stack == other.stack


def _has_nan(evidence: Evidence, op: Op) -> bool:
    arrays = evidence.fetch(op.operands)
    return any(bool(np.isnan(as_float(array)).any()) for array in arrays.values())
