"""Whether the forward pass hides a non-finite value, and what hides it."""

from __future__ import annotations

import numpy as np

from stayfinite.trace.evidence import Evidence, as_float
from stayfinite.trace.trace import Op
from stayfinite.trace.upstream import depends_on

_MAX_STEPS = 8
_AT_A_TIME = 50
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
    if hider is None or hider.name != "where":
        return None
    # A mask is known from the data; a `where` on the error, as in Huber's loss, is none.
    if depends_on(evidence.trace, hider.operands[0], "weight"):
        return None
    backward = [op for op in evidence.trace.ops if op.phase == "backward"]
    for first in range(0, len(backward), _AT_A_TIME):
        some = backward[first : first + _AT_A_TIME]
        arrays = evidence.fetch([op.results[0] for op in some])
        for op in some:
            if not np.isfinite(as_float(arrays[op.results[0]])).all():
                return op
    return None


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
            elif consumer.name == "where" or (
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
