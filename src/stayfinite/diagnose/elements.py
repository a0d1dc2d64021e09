"""Which elements of an array, and so which samples, a condition holds for."""

from __future__ import annotations

import numpy as np

from stayfinite.diagnose.evidence import Evidence
from stayfinite.diagnose.facts.kind import Kind
from stayfinite.diagnose.values import as_float
from stayfinite.graph.graph import Op


def finite_operands(evidence: Evidence, op: Op) -> bool:
    """Whether every operand of `op` is finite."""
    return not any(bool(evidence.bad(value).any()) for value in op.operands)


def bad_elements(evidence: Evidence) -> np.ndarray:
    """Mask over the first result of the root op; needs `evidence.op`."""
    assert evidence.op is not None
    return evidence.bad(evidence.op.results[0])


def kind_of(array: np.ndarray) -> Kind:
    """`nan` if any element is, else `inf`, and `-inf` where every infinite one is negative."""
    return next(iter(kinds_of(array)), "inf")


def kinds_of(array: np.ndarray) -> tuple[Kind, ...]:
    """The kinds of non-finite elements that it has: `nan`, then `inf`, then `-inf`."""
    wide = as_float(array)
    has = (np.isnan(wide).any(), np.isposinf(wide).any(), np.isneginf(wide).any())
    kinds: tuple[Kind, ...] = ("nan", "inf", "-inf")
    return tuple(kind for kind, found in zip(kinds, has, strict=True) if found)


def samples_of(
    evidence: Evidence, op: Op, position: int, where: np.ndarray
) -> tuple[int, ...] | None:
    """Samples of the elements under `where`, by the axis of the operand or of the result."""
    for value in (op.operands[position], op.results[0]):
        if evidence.values[value].shape == where.shape:
            samples = evidence.samples(value, where)
            if samples:
                return samples
    return None


def samples_with(where: np.ndarray) -> tuple[int, ...]:
    """The entries of the first axis of a mask in which it is set anywhere."""
    return tuple(np.flatnonzero(where.reshape(len(where), -1).any(axis=1)).tolist())


def largest_magnitude(array: np.ndarray) -> float:
    """The largest magnitude in an array; 0 for an empty one, infinity if there is one."""
    return float(np.max(np.abs(as_float(array)), initial=0.0))
