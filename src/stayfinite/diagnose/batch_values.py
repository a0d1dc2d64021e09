"""Whether an array of the batch is at fault: `bad-input` and `bad-target`.

Four checks, in this order: non-finite or absurdly large values, an index outside its table, a
number in place of a missing value, a label that is no class.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from stayfinite.diagnose.elements import bad_elements, kinds_of, samples_with
from stayfinite.diagnose.evidence import Evidence
from stayfinite.diagnose.facts.inputs import (
    BadValues,
    MissingClass,
    MissingIndex,
    MissingValueCode,
)
from stayfinite.diagnose.value_patterns import pattern_of_indices, pattern_of_values
from stayfinite.diagnose.values import as_float
from stayfinite.graph.graph import Leaf, Op, Role
from stayfinite.graph.walk import upstream
from stayfinite.numerics.dtypes import widened

# A batch is absurd when its largest magnitude is both beyond anything a scaled or raw sensor
# value reaches, and far beyond all healthy batches before it.
_ABSURD = 1e15
_TIMES_HEALTHY = 1e6
# Samples from which the usual sign of an array can be seen.
_FEWEST_SAMPLES = 4
# Values upstream of the root that are searched for a one-hot code.
_NEAREST = 60
_VALUES_NAMED = 4


@dataclass(frozen=True)
class BatchFault:
    """An array of the batch that is at fault, in which samples, and why."""

    leaf: Leaf
    samples: tuple[int, ...] | None
    facts: BadValues | MissingIndex | MissingValueCode | MissingClass


Asked = tuple[Role, ...]


def fault_in(evidence: Evidence, roles: Asked) -> BatchFault | None:
    """What is wrong with a batch array of one of `roles`, if one is at fault."""
    if evidence.leaf is not None:
        if evidence.leaf.role not in roles:
            return None
        return _bad_values(evidence, evidence.leaf)
    op = evidence.op
    if op is None:
        return None
    evidence.values.load(leaf.value for leaf in _near_leaves(evidence, op, roles))
    return (
        _missing_index(evidence, op, roles)
        or _absurd(evidence, op, roles)
        or _missing_value_code(evidence, op, roles)
        or _missing_class(evidence, op, roles)
    )


def _near_leaves(evidence: Evidence, op: Op, roles: Asked) -> Iterator[Leaf]:
    for value in op.operands:
        for leaf in evidence.trace.leaves_of(value):
            if leaf.role in roles:
                yield leaf


def _absurd(evidence: Evidence, op: Op, roles: Asked) -> BatchFault | None:
    for leaf in _near_leaves(evidence, op, roles):
        # If NaN of the batch were the cause, the leaf itself would be the root.
        if not evidence.bad(leaf.value).any():
            found = _bad_values(evidence, leaf)
            if found is not None:
                return found
    return None


def _bad_values(evidence: Evidence, leaf: Leaf) -> BatchFault | None:
    """What is non-finite in the array, or absurdly large; in one sample there may be both."""
    array = evidence.values[leaf.value]
    wide = widened(array) if array.dtype.kind != "f" else as_float(array)
    healthy = evidence.ranges.get(leaf.name)
    # In float16 the bound is inf, and no number is past it.
    with np.errstate(invalid="ignore", over="ignore"):
        large = np.abs(wide) > max(_ABSURD, _TIMES_HEALTHY * (healthy or 0.0))
    nonfinite = ~np.isfinite(wide)
    bad = nonfinite | large
    if not bad.any():
        return None
    facts = BadValues(
        kinds=kinds_of(wide),
        has_large=bool((large & ~nonfinite).any()),
        largest=float(np.abs(wide).max()),
        healthy=healthy,
        num_bad=int(bad.sum()),
        size=bad.size,
        feature=_only_feature(bad),
        pattern=pattern_of_values(array, bad),
    )
    has_samples = bad.ndim > 0 and evidence.trace.num_samples is not None
    return BatchFault(leaf, samples_with(bad) if has_samples else None, facts)


def _only_feature(bad: np.ndarray) -> int | None:
    """The column that has all the bad elements of a table of several."""
    if bad.ndim != 2 or bad.shape[1] < 2:
        return None
    columns = np.flatnonzero(bad.any(axis=0))
    return int(columns[0]) if len(columns) == 1 else None


def _missing_index(evidence: Evidence, op: Op, roles: Asked) -> BatchFault | None:
    if op.name != "gather" or len(op.operands) < 2:
        return None
    if evidence.bad(op.operands[0]).any():
        return None  # the table holds what was read
    leaves = evidence.trace.leaves_of(op.operands[1])
    if any(leaf.role in ("input", "target") and leaf.role not in roles for leaf in leaves):
        return None
    table = evidence.trace.values[op.operands[0]].shape
    for leaf in leaves:
        if leaf.role not in roles:
            continue
        array = evidence.values[leaf.value]
        in_result = evidence.samples(op.results[0], bad_elements(evidence)) or ()
        samples = tuple(sample for sample in in_result if array.ndim and sample < len(array))
        at_fault = np.ravel(array[list(samples)]) if samples else array[:0]
        others = np.delete(array, list(samples), axis=0) if array.ndim else array
        last = _last_index(table, at_fault, others)
        outside = _named(at_fault[(at_fault < 0) | (at_fault > last)])
        facts = MissingIndex(outside, table, last, pattern_of_indices(array, last))
        return BatchFault(leaf, samples or None, facts)
    return None


def _last_index(table: tuple[int, ...], at_fault: np.ndarray, others: np.ndarray) -> int:
    """The last index that exists, by the axis of the table that the indices select from."""
    highest = max((int(v) for v in np.ravel(others)), default=0)
    axes = [size for size in table if size > highest] or [max(table)]
    beyond = [int(v) for v in at_fault if v > highest and v >= min(axes)]
    if beyond:
        # The bad elements must be those past the end.
        return max([size for size in axes if size <= min(beyond)] or axes) - 1
    return min(axes) - 1


def _missing_value_code(evidence: Evidence, op: Op, roles: Asked) -> BatchFault | None:
    """The root failed on targets alone, just where they are negative and all others are not.

    Inputs are not checked: negative values are usual there.
    """
    if op.phase != "forward" or "target" not in roles:
        return None
    for value in op.operands:
        leaves = evidence.trace.leaves_of(value)
        if len(leaves) != 1 or leaves[0].role != "target":
            continue
        samples = evidence.samples(op.results[0], bad_elements(evidence))
        array = as_float(evidence.values[leaves[0].value])
        if not samples or array.ndim == 0 or len(array) < len(samples) + _FEWEST_SAMPLES:
            continue
        at_fault = np.zeros(len(array), bool)
        at_fault[list(samples)] = True
        lowest, others_from = float(array[at_fault].min()), float(array[~at_fault].min())
        if others_from < 0 or lowest >= 0:
            continue
        return BatchFault(leaves[0], samples, MissingValueCode(lowest, others_from, op.name))
    return None


def _missing_class(evidence: Evidence, op: Op, roles: Asked) -> BatchFault | None:
    """The root failed just in the samples whose one-hot code has no 1, as that of the label -1."""
    if op.phase != "forward" or evidence.loss_finite:
        return None
    samples = evidence.samples(op.results[0], bad_elements(evidence))
    if not samples:
        return None
    codes = [
        (value, leaf)
        for value, leaf in _made_of_labels(evidence, op, roles)
        if _samples_without_class(evidence, value, leaf) == tuple(samples)
    ]
    evidence.values.load(value for value, _ in codes)
    for value, leaf in codes:
        labels = as_float(evidence.values[leaf.value])
        num_classes = evidence.trace.values[value].shape[-1]
        outside = (labels < 0) | (labels >= num_classes)
        code = as_float(evidence.values[value])
        if code.size != labels.size * num_classes or not np.isin(code, (0.0, 1.0)).all():
            continue
        if not np.array_equal(code.reshape(-1, num_classes).sum(axis=-1) == 0, outside.ravel()):
            continue
        pattern = pattern_of_indices(evidence.values[leaf.value], num_classes - 1)
        facts = MissingClass(_named(labels[outside]), num_classes, op.name, pattern)
        return BatchFault(leaf, samples, facts)
    return None


def _samples_without_class(evidence: Evidence, code: int, leaf: Leaf) -> tuple[int, ...]:
    """The samples of `leaf` that hold a label for which a one-hot `code` has no place."""
    labels = as_float(evidence.values[leaf.value])
    if not labels.ndim:
        return ()
    return samples_with((labels < 0) | (labels >= evidence.trace.values[code].shape[-1]))


def _made_of_labels(evidence: Evidence, op: Op, roles: Asked) -> list[tuple[int, Leaf]]:
    """Values upstream of the root that were made of one batch array alone, nearest first."""
    trace = evidence.trace
    found: dict[int, Leaf] = {}
    for operand in op.operands:
        for made_by in upstream(trace, operand, max_ops=_NEAREST):
            for value in made_by.results:
                shape = trace.values[value].shape
                if len(shape) < 2 or shape[-1] < 2:
                    continue
                leaves = trace.leaves_of(value)
                if len({leaf.value for leaf in leaves}) == 1 and leaves[0].role in roles:
                    found[value] = leaves[0]
    return list(found.items())


def _named(values: np.ndarray) -> tuple[float, ...]:
    """A few of the different values, in order."""
    return tuple(float(value) for value in np.unique(values)[:_VALUES_NAMED])
