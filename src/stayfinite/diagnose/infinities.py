"""Infinities that were written on purpose, and the op at which they became a NaN.

A mask has -inf for the scores that a softmax must ignore, and the logarithm of 0 is -inf in
log-space models by design. Such a value is a fault only if the next ops make NaN of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import numpy as np

from stayfinite.diagnose.elements import bad_elements
from stayfinite.diagnose.evidence import Evidence
from stayfinite.diagnose.values import as_float
from stayfinite.graph.graph import Op
from stayfinite.graph.walk import consumers_of, depends_on, nearest_downstream, unwrapped, upstream
from stayfinite.incident import Phase
from stayfinite.numerics.dtypes import HALF
from stayfinite.numerics.functions import STRUCTURAL, PoleKind, Trait, row

# Ops that an infinity is followed through, ops summarised in one run, and the limit of both.
_MAX_STEPS = 16
_PLANNED_STEPS = 8
_PLANNED_OPS = 200
_MAX_CONSUMERS = 40
# How near to the division the exponentials of a softmax are.
_NEAR = 10
# The ops that a stable logsumexp may consist of.
_REDUCTION = 40


def is_written(evidence: Evidence) -> bool:
    """Whether the root only passes on an infinity that is written in the code or in the batch."""
    op, leaf = evidence.op, evidence.leaf
    if leaf is not None:
        array = as_float(evidence.values[leaf.value])
        bad = array[~np.isfinite(array)]
        return leaf.role in ("input", "target", "sample_weight") and bool(np.isneginf(bad).all())
    if op is None or op.phase == "backward":
        return False
    constants = [v for v in op.operands if v in evidence.trace.constants]
    written = any(bool(evidence.bad(v).any()) for v in constants)
    return (written and not is_scaled_by_infinity(evidence, op)) or not op.operands


def may_be_intended(evidence: Evidence) -> bool:
    """Whether later ops may accept the infinity at the root on purpose."""
    op = evidence.op
    if op is None or op.phase == "backward" or is_written(evidence):
        return is_written(evidence)
    pole = row(op.name).pole
    if pole is not None and pole.kind is PoleKind.LOGARITHM:
        return True
    # The sum of two masks of the lowest number: no weight is upstream of it.
    result = as_float(evidence.results_of(op))
    only_masks = bool(np.isneginf(result[~np.isfinite(result)]).all())
    return only_masks and not depends_on(evidence.trace, op.results[0], "weight")


def is_scaled_by_infinity(evidence: Evidence, op: Op) -> bool:
    """Whether the op multiplies numbers of the step, none of them 0, with an infinity.

    That is no mask, while ones of some shape times an infinity are the values of a mask.
    """
    if op.name not in ("multiply", "divide") or len(op.operands) != 2:
        return False
    computed = [value for value in op.operands if evidence.trace.leaves_of(value)]
    arrays = [as_float(evidence.values[value]) for value in computed]
    return bool(arrays) and all(np.isfinite(n).all() and (n != 0).all() for n in arrays)


def first_nan(evidence: Evidence) -> Op | None:
    """The first op downstream of the root that made NaN out of numbers and infinities.

    None where the root holds NaN itself, or where no NaN is near.
    """
    op, leaf = evidence.op, evidence.leaf
    start = op.results[0] if op is not None else leaf.value if leaf is not None else None
    if start is None or np.isnan(as_float(evidence.values[start])).any():
        return None
    # The derivative of the first op may be nearer than the op that failed before it.
    return _first_nan(evidence, start, ("forward",)) or _first_nan(evidence, start, None)


def _first_nan(evidence: Evidence, start: int, phases: tuple[Phase, ...] | None) -> Op | None:
    values = evidence.values
    frontier = [start]
    for _ in range(_MAX_STEPS):
        readers = consumers_of(evidence.trace, frontier, phases)
        if not readers or len(readers) > _MAX_CONSUMERS:
            return None
        if not values.is_summarised(reader.results[0] for reader in readers):
            planned = nearest_downstream(
                evidence.trace, frontier, phases, max_steps=_PLANNED_STEPS, max_ops=_PLANNED_OPS
            )
            values.summarise(op.results[0] for op in planned)
        frontier = []
        for reader in sorted(readers, key=lambda op: op.index):
            found = values.summary(reader.results[0])
            if found.has_nan:
                return reader
            if not found.is_finite:
                frontier.append(reader.results[0])
        if not frontier:
            return None
    return None


# --- Rows of scores that are all -inf ---


@dataclass(frozen=True)
class MaskedRow:
    """A row of the scores of a softmax or logsumexp, in `value`, that is masked as a whole.

    `by_range`: the mask is finite in float32, and -inf in its half-precision dtype only.
    """

    value: int
    function: str
    samples: tuple[int, ...] | None
    by_range: bool


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
    return MaskedRow(
        value,
        (evidence.primal or op).name,
        samples or evidence.samples(op.results[0], bad_elements(evidence)),
        by_range=evidence.dtype(value) in HALF and evidence.finite_wider(),
    )


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
    both = np.isneginf(left) & np.isneginf(right)
    if not both.any() or both.shape != left.shape:
        return None
    # A mean is -inf for one score that is, a maximum for a row of them.
    if (np.isneginf(right) & ~np.isneginf(left)).any():
        return None
    source = unwrapped(evidence.trace, scores, STRUCTURAL)
    own = any(
        source in (unwrapped(evidence.trace, value, STRUCTURAL) for value in made_by.operands)
        for made_by in islice(upstream(evidence.trace, subtracted), _REDUCTION)
    )
    return (scores, both) if own else None


def _of_exponentials(evidence: Evidence, op: Op) -> tuple[int, np.ndarray] | None:
    """A sum of exponentials that is 0: of scores that are all -inf, or all masked by a product."""
    divisor = op.operands[row(op.name).critical]
    if not (as_float(evidence.values[divisor]) == 0).any():
        return None
    near = list(islice(upstream(evidence.trace, divisor), _NEAR))
    exponentials = [o for o in near if o.name == "exp"]
    if not exponentials or not any(o.name == "sum" for o in near):
        return None
    numerator = _masked_numerator(evidence, op)
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


def _masked_numerator(evidence: Evidence, op: Op) -> int | None:
    """`exp(x) * mask / sum(exp(x) * mask)`: the summand is the numerator, and is a product."""
    if op.name != "divide":
        return None
    numerator = unwrapped(evidence.trace, op.operands[0], STRUCTURAL)
    made_by = evidence.trace.producer.get(numerator)
    return numerator if made_by is not None and made_by.name in ("multiply", "where") else None


def _masked_rows(evidence: Evidence, value: int) -> tuple[int, np.ndarray] | None:
    array = as_float(evidence.values.loaded(value))
    masked = np.isneginf(array)
    for axis in range(array.ndim - 1, -1, -1):
        whole = masked.all(axis=axis, keepdims=True)
        if array.shape[axis] and whole.any():
            return value, np.broadcast_to(whole, array.shape)
    return None
