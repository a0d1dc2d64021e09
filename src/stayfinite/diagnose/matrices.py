"""Matrices that a factorization, an inverse or a determinant takes, and that are singular."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import numpy as np

from stayfinite.diagnose.evidence import Evidence
from stayfinite.diagnose.values import as_float
from stayfinite.graph.graph import Op
from stayfinite.graph.source import callee
from stayfinite.graph.walk import upstream
from stayfinite.numerics import dtypes

# Functions of PyTorch, JAX, TensorFlow and Keras by name: of a positive definite matrix, and of one
# that has an inverse.
_OF_POSITIVE = frozenset({"cho_factor", "cholesky", "cholesky_ex"})
_OF_REGULAR = frozenset(
    "inv inv_ex inverse log_matrix_determinant logdet matrix_inverse matrix_solve slogdet solve"
    " solve_ex".split()
)
# Ops of one such function.
_NEAR = 40
_LARGEST = 1024


@dataclass(frozen=True)
class FailingMatrices:
    """The matrices that a function at the root takes, in `value`.

    Args:
        value: Their number.
        function: What the user calls.
        is_positive: Whether they have to be positive definite, not only regular.
        singular: Which of them are singular in their dtype; one entry for each matrix.
        smallest: The smallest eigenvalue, or singular value, of the worst one.
        largest: The largest one of that matrix.
    """

    value: int
    function: str
    is_positive: bool
    singular: np.ndarray
    smallest: float
    largest: float


def failing_matrices(evidence: Evidence) -> FailingMatrices | None:
    """The matrices at the root, if one of them is singular as far as its dtype has digits."""
    op = evidence.op
    if op is None or op.phase == "backward" or op.span is None:
        return None
    called = callee(op.span)
    if called not in _OF_POSITIVE | _OF_REGULAR:
        return None
    value = _matrix(evidence, op)
    if value is None:
        return None
    is_positive = called in _OF_POSITIVE
    matrices = as_float(evidence.values.loaded(value)).astype(np.float64)
    size = matrices.shape[-1]
    if is_positive:
        found = np.linalg.eigvalsh((matrices + np.swapaxes(matrices, -1, -2)) / 2)
        smallest, largest = found[..., 0], np.abs(found).max(axis=-1)
    else:
        found = np.linalg.svd(matrices, compute_uv=False)
        smallest, largest = found[..., -1], found[..., 0]
    singular = smallest <= size * dtypes.spacing(evidence.dtype(value)) * largest
    if not singular.any():
        return None
    worst = np.unravel_index(np.argmin(smallest), smallest.shape)
    return FailingMatrices(
        value, called, is_positive, singular, float(smallest[worst]), float(largest[worst])
    )


def _matrix(evidence: Evidence, op: Op) -> int | None:
    """The finite square matrices that enter the user's call, of which `op` is a part."""
    near = [op, *islice(upstream(evidence.trace, op.operands[0]), _NEAR)]
    entering = [
        value
        for each in near
        if each.span == op.span
        for value in each.operands[:1]
        if (maker := evidence.trace.producer.get(value)) is None or maker.span != op.span
    ]
    for value in entering:
        known = evidence.trace.values[value]
        *_, rows, columns = (0, 1, *known.shape)
        is_float = known.dtype.startswith(("float", "bfloat"))
        if rows != columns or not is_float or not 0 < rows <= _LARGEST or len(known.shape) < 2:
            continue
        evidence.values.load([value])
        if not evidence.bad(value).any():
            return value
    return None
