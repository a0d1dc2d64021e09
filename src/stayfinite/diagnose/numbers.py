"""Small numeric questions that several rules ask."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stayfinite.diagnose.evidence import Evidence, as_float
from stayfinite.graph.graph import Op

_LISTED = 6  # samples


def short(number: float) -> str:
    """A number as a reader wants it: `0`, `1e-12`, `88.9`."""
    return f"{float(number):.4g}"


def count(samples: tuple[int, ...] | None, num_samples: int | None) -> str:
    """` for 2 of 32 samples`, or nothing where the samples are not known."""
    if not samples or num_samples is None:
        return ""
    return f" for {len(samples)} of {num_samples} samples"


def finite_operands(evidence: Evidence, op: Op) -> bool:
    """Whether every operand of `op` is finite."""
    return all(bool(np.isfinite(as_float(evidence.arrays[v])).all()) for v in op.operands)


def bad_elements(evidence: Evidence) -> np.ndarray:
    """Mask over the first result of the root op; needs `evidence.op`."""
    assert evidence.op is not None
    return evidence.bad(evidence.op.results[0])


def samples_of(
    evidence: Evidence, op: Op, position: int, where: np.ndarray
) -> tuple[int, ...] | None:
    """Samples of the elements under `where`, by the axis of the operand or of the result."""
    for value in (op.operands[position], op.results[0]):
        if evidence.arrays[value].shape == where.shape:
            samples = evidence.samples(value, where)
            if samples:
                return samples
    return None


def samples_with(where: np.ndarray) -> tuple[int, ...]:
    """The rows of a mask, its first axis, in which it is set anywhere."""
    return tuple(np.flatnonzero(where.reshape(len(where), -1).any(axis=1)).tolist())


def samples_named(samples: Sequence[int]) -> str:
    """`sample 3`, or `samples 1, 2, 5`, of which not too many are listed."""
    shown = ", ".join(map(str, samples[:_LISTED]))
    more = f" and {len(samples) - _LISTED} more" if len(samples) > _LISTED else ""
    return f"{'sample' if len(samples) == 1 else 'samples'} {shown}{more}"
