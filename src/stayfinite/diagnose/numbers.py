"""Small numeric questions that several rules ask."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stayfinite.diagnose.evidence import Evidence, as_float
from stayfinite.graph.graph import Op

_LISTED = 6  # rows


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
