"""What `bad-input` and `bad-target` have in common: an array of the batch is at fault."""

from __future__ import annotations

import numpy as np

from stayfinite.diagnose import class_numbers, numbers, patterns
from stayfinite.diagnose import missing_value_codes as sentinels
from stayfinite.diagnose.evidence import Evidence, as_float
from stayfinite.diagnose.finding import Finding
from stayfinite.graph.graph import Leaf

# A batch is absurd when its largest magnitude is both beyond anything a scaled or raw sensor
# value reaches, and far beyond all healthy batches before it.
_ABSURD = 1e15
_TIMES_HEALTHY = 1e6


def match(evidence: Evidence, *, cause: str, roles: tuple[str, ...], noun: str) -> Finding | None:
    """The batch array of one of `roles` that is at fault, if one is."""
    if evidence.leaf is not None:
        if evidence.leaf.role not in roles:
            return None
        return _bad(evidence, evidence.leaf, evidence.arrays[evidence.leaf.value], cause, noun)
    if evidence.op is None:
        return None
    return (
        _outside(evidence, cause, roles, noun)
        or _absurd(evidence, cause, roles, noun)
        or sentinels.match(evidence, cause, roles, noun)
        or class_numbers.match(evidence, cause, roles, noun)
    )


def _absurd(evidence: Evidence, cause: str, roles: tuple[str, ...], noun: str) -> Finding | None:
    assert evidence.op is not None
    for value in evidence.op.operands:
        for leaf in evidence.trace.leaves_of(value):
            if leaf.role in roles:
                array = evidence.fetch([leaf.value])[leaf.value]
                # Where NaN of the batch were to blame, the leaf itself would be the root.
                if np.isfinite(as_float(array)).all():
                    found = _bad(evidence, leaf, array, cause, noun)
                    if found is not None:
                        return found
    return None


def _bad(
    evidence: Evidence, leaf: Leaf, array: np.ndarray, cause: str, noun: str
) -> Finding | None:
    """What is non-finite in the array, or past all measure; in one sample there may be both."""
    wide = array.astype(np.float64) if array.dtype.kind != "f" else as_float(array)
    healthy = evidence.ranges.get(leaf.name)
    # In float16 the bound is inf, and no number is past it.
    with np.errstate(invalid="ignore", over="ignore"):
        large = np.abs(wide) > max(_ABSURD, _TIMES_HEALTHY * (healthy or 0.0))
    nonfinite = ~np.isfinite(wide)
    bad = nonfinite | large
    if not bad.any():
        return None
    samples = numbers.samples_with(bad) if bad.ndim else None
    kinds = _kinds(wide)
    if kinds:
        message, said = f"holds {kinds}", f"are {kinds}"
        if (large & ~nonfinite).any():
            said += " or absurdly large"
    else:
        top = numbers.short(float(np.abs(wide).max()))
        before = "" if healthy is None else f"; healthy batches reach {numbers.short(healthy)}"
        message, said = f"holds values up to {top}", f"are absurdly large{before}"
    pattern = patterns.suggested(array, bad)
    return Finding(
        cause=cause,
        message=f"{noun} `{leaf.name}` of the batch {message}",
        op=noun,
        detail=(
            f"{int(bad.sum())} of {bad.size} values of `{leaf.name}` {said}"
            f"{_features(bad)}{numbers.count(samples, evidence.trace.num_samples)}"
            + (f"; {pattern}" if pattern else "")
        ),
        samples=samples,
        remedy=_clean(leaf, samples),
        tensor=leaf.name,
        phase="data",
    )


def _outside(evidence: Evidence, cause: str, roles: tuple[str, ...], noun: str) -> Finding | None:
    op = evidence.op
    assert op is not None
    if op.name != "gather" or len(op.operands) < 2:
        return None
    leaves = evidence.trace.leaves_of(op.operands[1])
    if any(leaf.role in ("input", "target") and leaf.role not in roles for leaf in leaves):
        return None
    table = evidence.trace.values[op.operands[0]].shape
    for leaf in leaves:
        if leaf.role not in roles:
            continue
        array = evidence.fetch([leaf.value])[leaf.value]
        result_samples = evidence.samples(op.results[0], evidence.bad(op.results[0])) or ()
        samples = tuple(sample for sample in result_samples if array.ndim and sample < len(array))
        at_fault = np.ravel(array[list(samples)]) if samples else array[:0]
        others = np.delete(array, list(samples), axis=0) if array.ndim else array
        last = _last_index(table, at_fault, others)
        outside = at_fault[(at_fault < 0) | (at_fault > last)]
        shown = sorted({numbers.short(v) for v in outside})
        values = f" ({', '.join(shown[:4])})" if shown else ""
        pattern = patterns.of_indices(array, last)
        return Finding(
            cause=cause,
            message=f"{noun} `{leaf.name}` holds an index that does not exist{values}",
            op=noun,
            detail=(
                f"it looks up in a table of shape {table}; such an index gives nan"
                + numbers.count(samples, evidence.trace.num_samples)
                + (f"; {pattern}" if pattern else "")
            ),
            samples=samples or None,
            remedy=f"make every value of `{leaf.name}` an index from 0 to {last}",
            tensor=leaf.name,
            phase="data",
        )
    return None


def _last_index(table: tuple[int, ...], at_fault: np.ndarray, others: np.ndarray) -> int:
    """The last index that exists, by the axis of the table that the indices can be meant for."""
    highest = max((int(v) for v in np.ravel(others)), default=0)
    axes = [size for size in table if size > highest] or [max(table)]
    beyond = [int(v) for v in at_fault if v > highest and v >= min(axes)]
    if beyond:
        # What failed has to lie behind the end.
        return max([size for size in axes if size <= min(beyond)] or axes) - 1
    return min(axes) - 1


def _kinds(array: np.ndarray) -> str:
    kinds = [
        name for name, mask in (("nan", np.isnan(array)), ("inf", np.isinf(array))) if mask.any()
    ]
    return " and ".join(kinds)


def _features(bad: np.ndarray) -> str:
    """` (feature 2)` where exactly one column of a table is at fault."""
    if bad.ndim != 2:
        return ""
    columns = np.flatnonzero(bad.any(axis=0))
    return f" (feature {columns[0]})" if len(columns) == 1 and bad.shape[1] > 1 else ""


def _clean(leaf: Leaf, samples: tuple[int, ...] | None) -> str:
    which = f" ({numbers.samples_named(samples)})" if samples else ""
    return f"leave out or repair the bad samples of `{leaf.name}`{which} before training"
