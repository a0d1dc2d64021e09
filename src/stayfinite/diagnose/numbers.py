"""Small numeric questions that several rules ask."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stayfinite.trace.evidence import Evidence, as_float
from stayfinite.trace.trace import Op

_LARGEST = {"float16": 65504.0, "bfloat16": 3.3895e38, "float32": 3.4028e38, "float64": 1.7977e308}
_SMALLEST = {"float16": 5.96e-8, "bfloat16": 1.1755e-38, "float32": 1.1755e-38, "float64": 2.2e-308}

_LISTED = 6  # rows


def largest(dtype: str) -> float:
    """The largest finite number of a dtype."""
    return _LARGEST.get(dtype, _LARGEST["float32"])


def smallest(dtype: str) -> float:
    """The smallest positive number that is not flushed to 0: subnormal ones are, but in float16."""
    return _SMALLEST.get(dtype, _SMALLEST["float32"])


def rounded(array: np.ndarray, dtype: str) -> np.ndarray:
    """`array` in the floating-point type `dtype`; as it is where NumPy knows no such type."""
    try:
        with np.errstate(over="ignore"):
            return array.astype(np.dtype(dtype))
    except TypeError:  # bfloat16, in a process that has not loaded `ml_dtypes`
        return array


def short(number: float) -> str:
    """A number as a reader wants it: `0`, `1e-12`, `88.9`."""
    return f"{float(number):.4g}"


def count(rows: tuple[int, ...] | None, num_rows: int | None) -> str:
    """` for 2 of 32 rows`, or nothing where the rows are not known."""
    if not rows or num_rows is None:
        return ""
    return f" for {len(rows)} of {num_rows} rows"


def finite_operands(evidence: Evidence, op: Op) -> bool:
    """Whether every operand of `op` is finite."""
    return all(bool(np.isfinite(as_float(evidence.arrays[v])).all()) for v in op.operands)


def bad_elements(evidence: Evidence) -> np.ndarray:
    """Mask over the first result of the root op; needs `evidence.op`."""
    assert evidence.op is not None
    return evidence.bad(evidence.op.results[0])


def rows_of(evidence: Evidence, op: Op, position: int, where: np.ndarray) -> tuple[int, ...] | None:
    """Rows of the elements under `where`, by the axis of the operand or of the result."""
    for value in (op.operands[position], op.results[0]):
        if evidence.arrays[value].shape == where.shape:
            rows = evidence.rows(value, where)
            if rows:
                return rows
    return None


def rows_with(where: np.ndarray) -> tuple[int, ...]:
    """The rows of a mask, its first axis, in which it is set anywhere."""
    return tuple(np.flatnonzero(where.reshape(len(where), -1).any(axis=1)).tolist())


def rows_named(rows: Sequence[int]) -> str:
    """`row 3`, or `rows 1, 2, 5`, of which not too many are listed."""
    shown = ", ".join(map(str, rows[:_LISTED]))
    more = f" and {len(rows) - _LISTED} more" if len(rows) > _LISTED else ""
    return f"{'row' if len(rows) == 1 else 'rows'} {shown}{more}"
