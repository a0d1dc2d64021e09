"""Whether a choice (`where`, `nan_to_num`) discards a non-finite value.

The result of a choice is finite, and its gradient may be NaN. `mask_products.py` is about masks
that a value is multiplied with.
"""

from __future__ import annotations

import numpy as np

from stayfinite.diagnose.evidence import Evidence
from stayfinite.graph.graph import Graph, Op
from stayfinite.graph.walk import consumers_of, depends_on, nearest_downstream, unwrapped
from stayfinite.incident import Phase
from stayfinite.numerics.functions import STRUCTURAL, Trait, row

# Ops that a discarded value is followed through, and ops summarised in one run.
_MAX_STEPS = 8
_PLANNED_OPS = 200
_FORWARD: tuple[Phase, ...] = ("forward",)


def chosen_away(evidence: Evidence, op: Op) -> bool:
    """Whether a `where` or `nan_to_num` of another expression discards the bad result of `op`.

    A clamp or a saturating function also discards an infinity, but is no mask: then the infinity
    itself is the cause.
    """
    by = discarded_by(evidence, op)
    return by is not None and row(by.name).has(Trait.CHOOSES) and not same_expression(by, op)


def absorbed(evidence: Evidence, op: Op) -> bool:
    """Whether a bounded function, such as `tanh`, makes a finite number of an infinity of `op`."""
    by = discarded_by(evidence, op)
    return by is not None and not row(by.name).has(Trait.CHOOSES)


def derivative_discarded(evidence: Evidence, op: Op, bad: np.ndarray) -> bool:
    """Whether a `where` takes its other branch for each element of the result of `op` in `bad`."""
    trace = evidence.trace
    value = op.results[0]
    shape = evidence.results_of(op).shape
    for choice in consumers_of(trace, [value], _FORWARD):
        if choice.name != "where" or len(choice.operands) != 3 or bad.shape != shape:
            continue
        condition, *branches = choice.operands
        chosen = np.asarray(evidence.values.loaded(condition)).astype(bool)
        taken = chosen if branches[0] == value else ~chosen
        if np.broadcast_shapes(taken.shape, shape) == shape and not (taken & bad).any():
            return True
    return False


def discarded_by(evidence: Evidence, op: Op) -> Op | None:
    """The forward op after `op` whose result is finite again; None where the loss is not."""
    if not evidence.loss_finite or op.phase != "forward":
        return None
    return _first_finite(evidence, list(op.results))


def is_unread(evidence: Evidence, op: Op) -> bool:
    """Whether nothing discards the bad result of a forward `op`: what reads it is bad, to the end.

    The loss of a turn inside a loop is often not a result of the loop.
    """
    trace, frontier = evidence.trace, list(op.results)
    outside = {trace.loss, *trace.gradients.values(), *trace.new_state.values()}
    planned = nearest_downstream(trace, frontier, None, max_steps=_MAX_STEPS, max_ops=_PLANNED_OPS)
    forward = [reader for reader in planned if reader.phase != "backward"]
    evidence.values.summarise(result for reader in forward for result in reader.results)
    for _ in range(_MAX_STEPS):
        if not outside.isdisjoint(frontier):
            return False
        readers = [r for r in consumers_of(trace, frontier) if r.phase != "backward"]
        frontier = [result for reader in readers for result in reader.results]
        if not frontier:
            return True
        if not evidence.values.is_summarised(frontier) or any(
            evidence.values.summary(value).is_finite for value in frontier
        ):
            return False
    return False


def same_expression(one: Op, other: Op) -> bool:
    """Whether both ops are inside the same expression of the user."""
    return one.span == other.span and one.stack == other.stack


def leaking_derivative(evidence: Evidence) -> Op | None:
    """Where a choice discards a bad array of the batch, the first derivative that is bad again.

    A finite loss shows that the bad elements are masked on purpose.
    """
    if evidence.leaf is None or not evidence.loss_finite:
        return None
    by = _first_finite(evidence, [evidence.leaf.value])
    if by is None or not row(by.name).has(Trait.CHOOSES):
        return None
    # A mask is computed from the data; a `where` on the error, as in Huber's loss, is no mask.
    if (
        by.name == "where"
        and depends_on(evidence.trace, by.operands[0], "weight")
        and not _tests_for_nan(evidence.trace, by.operands[0])
    ):
        return None
    backward = [op for op in evidence.trace.ops if op.phase == "backward"]
    evidence.values.summarise(_read_and_made(backward))
    first_bad: Op | None = None
    for op in backward:
        if evidence.values.summary(op.results[0]).is_finite:
            continue
        if any(
            evidence.values.summary(v).is_finite and _is_gradient(evidence.trace, v)
            for v in op.operands
        ):
            return op
        first_bad = first_bad or op
    return first_bad


def _is_gradient(trace: Graph, value: int) -> bool:
    """Whether it was computed from the loss; a derivative may recompute forward values."""
    made_by = trace.producer.get(value)
    return made_by is not None and made_by.phase == "backward"


def _tests_for_nan(trace: Graph, condition: int) -> bool:
    """Whether the condition is `isnan`, `isfinite` or `x != x`, of whatever value."""
    test = trace.producer.get(unwrapped(trace, condition, STRUCTURAL | {"logical_not"}))
    if test is None:
        return False
    if row(test.name).has(Trait.TESTS_FINITENESS):
        return True
    return test.name in ("equal", "not_equal") and test.operands[0] == test.operands[1]


def _first_finite(evidence: Evidence, values: list[int]) -> Op | None:
    """The first forward op downstream of bad `values` that discards what is bad in them."""
    frontier = values
    for step in range(_MAX_STEPS):
        readers = consumers_of(evidence.trace, frontier, _FORWARD)
        _summarise(evidence, readers, frontier, _MAX_STEPS - step)
        still_bad: list[int] = []
        for reader in readers:
            if not evidence.values.summary(reader.results[0]).is_finite:
                still_bad.extend(reader.results)
            elif _discards(evidence, reader):
                return reader
        if not still_bad:
            return None
        frontier = still_bad
    return None


def _summarise(evidence: Evidence, readers: list[Op], frontier: list[int], steps: int) -> None:
    """Summaries of `readers`; where one is missing, also of what comes after, in the same run."""
    if not evidence.values.is_summarised(_read_and_made(readers)):
        planned = nearest_downstream(
            evidence.trace, frontier, _FORWARD, max_steps=steps, max_ops=_PLANNED_OPS
        )
        evidence.values.summarise(_read_and_made(planned))


def _read_and_made(ops: list[Op]) -> list[int]:
    return [value for op in ops for value in (*op.operands, op.results[0])]


def _discards(evidence: Evidence, op: Op) -> bool:
    function = row(op.name)
    if function.has(Trait.CHOOSES):
        return True
    # `maximum(nan, 0)` is 0 in some compiled code, but is not written as a mask.
    return function.has(Trait.BOUNDED_AT_INFINITY) and not any(
        evidence.values.summary(value).has_nan for value in op.operands
    )
