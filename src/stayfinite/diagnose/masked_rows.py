"""Rows of scores that are masked as a whole: all are -inf, so a softmax of them is NaN."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from stayfinite.diagnose.elements import bad_elements
from stayfinite.diagnose.evidence import Evidence
from stayfinite.diagnose.values import as_float, is_minus_infinity
from stayfinite.graph.graph import Op
from stayfinite.graph.source import callee
from stayfinite.graph.walk import unwrapped, upstream
from stayfinite.numerics.dtypes import HALF
from stayfinite.numerics.functions import STRUCTURAL, Trait, canonical, row

# How near to the division the exponentials of a softmax are.
_NEAR = 10
# The ops that a stable logsumexp may consist of.
_REDUCTION = 40
# What is subtracted to centre values, which is no part of a softmax.
_MEANS = {"mean", "sum"}
# How many ops before a NaN are searched for a reduction, and how many of those are looked at.
_SEARCHED = 400
_CANDIDATES = 20


@dataclass(frozen=True)
class MaskedRow:
    """A row of the scores of a softmax or logsumexp, in `value`, that is masked as a whole.

    `by_range`: the mask is finite in float32, and -inf in its half-precision dtype only.
    `by_product`: the scores are finite, and all their exponentials are multiplied by 0.
    """

    value: int
    function: str
    samples: tuple[int, ...] | None
    by_range: bool
    by_product: bool


def fully_masked_row(evidence: Evidence) -> MaskedRow | None:
    """The op at fault is part of a softmax or logsumexp, and a whole row of its scores is -inf."""
    op = evidence.op
    scores = None if op is None else _scores(evidence, op)
    if op is None or scores is None:
        return None
    value, masked = scores
    samples = None
    if masked.shape == evidence.trace.values[value].shape:
        samples = evidence.samples(value, masked)
    by_product = bool(masked.any() and not is_minus_infinity(evidence.values[value]).any())
    function = _function(evidence.primal or op)
    if function == "log" and not by_product:
        function = "logsumexp"
    return MaskedRow(
        value,
        function,
        samples or evidence.samples(op.results[0], bad_elements(evidence)),
        by_range=evidence.dtype(value) in HALF and evidence.finite_wider(),
        by_product=by_product,
    )


def _function(op: Op) -> str:
    """The softmax that the user calls, where `op` is a part of it; else the op."""
    called = None if op.span is None else callee(op.span)
    is_whole = called is not None and row(called).has(Trait.SOFTMAX)
    return canonical(called) if called is not None and is_whole else op.name


def reductions_before(evidence: Evidence) -> Iterator[Op]:
    """Yield the ops before the op at fault that may reduce a row to an infinity, first to last."""
    op = evidence.op
    if op is None:
        return
    near = [
        before
        for value in op.operands
        for before in upstream(evidence.trace, value, max_ops=_SEARCHED)
        if before.phase == "forward"
        and (row(before.name).has(Trait.SOFTMAX) or before.name == "log")
    ]
    near = sorted({b.index: b for b in near}.values(), key=lambda b: b.index)
    evidence.values.summarise(before.results[0] for before in near)
    infinite = (b for b in near if not evidence.values.summary(b.results[0]).is_finite)
    yield from islice(infinite, _CANDIDATES)


def _scores(evidence: Evidence, op: Op) -> tuple[int, np.ndarray] | None:
    """The value that holds the scores, and the mask of its rows that are -inf."""
    if row(op.name).has(Trait.SOFTMAX) and op.operands:
        return _masked_rows(evidence, op.operands[0])
    if op.name == "subtract" and len(op.operands) == 2:
        return _minus_maximum(evidence, op)
    if op.name in ("divide", "log"):
        return _of_exponentials(evidence, op)
    return None


def _minus_maximum(evidence: Evidence, op: Op) -> tuple[int, np.ndarray] | None:
    """Scores less their own maximum, or logsumexp, both of which are -inf."""
    scores, subtracted = op.operands
    left, right = (as_float(evidence.operand(op, position)) for position in (0, 1))
    both = is_minus_infinity(left) & is_minus_infinity(right)
    if not both.any() or both.shape != left.shape:
        return None
    # A mean is -inf for one score that is, a maximum for a row of them.
    if (is_minus_infinity(right) & ~is_minus_infinity(left)).any():
        return None
    source = unwrapped(evidence.trace, scores, STRUCTURAL)
    own = any(
        source in (unwrapped(evidence.trace, value, STRUCTURAL) for value in made_by.operands)
        for made_by in islice(upstream(evidence.trace, subtracted), _REDUCTION)
        if made_by.name not in _MEANS
    )
    return (scores, both) if own else None


def _of_exponentials(evidence: Evidence, op: Op) -> tuple[int, np.ndarray] | None:
    """A sum of exponentials that is 0: of scores that are all -inf, or all masked by a product."""
    divisor = op.operands[row(op.name).critical]
    if not (as_float(evidence.values[divisor]) == 0).any():
        return None
    near = list(islice(upstream(evidence.trace, divisor), _NEAR))
    exponentials = [o for o in near if o.name == "exp"]
    totals = [o for o in near if o.name == "sum"]
    if not exponentials or not totals:
        return None
    numerator = _masked_numerator(evidence, op, totals)
    scores = [exponential.operands[0] for exponential in exponentials]
    evidence.values.load([*scores, *([] if numerator is None else [numerator])])
    for value in scores:
        found = _masked_rows(evidence, value)
        if found is not None:
            return found
    if numerator is None:
        return None
    mask = as_float(evidence.values[numerator]) == 0
    return (numerator, mask) if mask.any() else None


def _masked_numerator(evidence: Evidence, op: Op, totals: list[Op]) -> int | None:
    """`exp(x) * mask / sum(exp(x) * mask)`: the summand is the numerator, and is a product."""
    if op.name != "divide":
        return None
    numerator = unwrapped(evidence.trace, op.operands[0], STRUCTURAL)
    summands = [unwrapped(evidence.trace, total.operands[0], STRUCTURAL) for total in totals]
    if numerator not in summands:
        return None  # as the labels of an entropy, which its derivative divides by what is 0
    made_by = evidence.trace.producer.get(numerator)
    if made_by is None or made_by.name not in ("multiply", "where"):
        return None
    if made_by.name == "multiply" and not _is_masked(evidence, made_by):
        return None
    return numerator


def _is_masked(evidence: Evidence, product: Op) -> bool:
    """A factor that holds a 0 is no exponential: those are 0 where they leave the dtype."""
    evidence.values.load(product.operands)
    return any(
        (as_float(evidence.values[factor]) == 0).any()
        and not any(o.name == "exp" for o in islice(upstream(evidence.trace, factor), _NEAR))
        for factor in product.operands
    )


def _masked_rows(evidence: Evidence, value: int) -> tuple[int, np.ndarray] | None:
    array = as_float(evidence.values.loaded(value))
    masked = is_minus_infinity(array)
    for axis in range(array.ndim - 1, -1, -1):
        whole = masked.all(axis=axis, keepdims=True)
        if array.shape[axis] and whole.any():
            return value, np.broadcast_to(whole, array.shape)
    return None
