"""Embeddings and labels of a whole set, checked, in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from stayfinite.networks.losses.distances import DISTANCES

# Their squares, summed over any dim, are still in the range of float64.
LARGEST = 1e140


def check_distance(distance: str) -> None:
    """Raise `ValueError`, saying what was expected, unless it names a distance."""
    if distance not in DISTANCES:
        raise ValueError(
            f"`distance` must be one of {sorted(DISTANCES)}. Received: distance={distance!r}"
        )


def checked(embeddings: Any, labels: Any) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings as float64 `(rows, dim)`, and labels `(rows,)`.

    Raises:
        ValueError: If a shape does not fit, or an embedding or label is not finite.
    """
    vectors, classes = np.asarray(embeddings, "float64"), np.asarray(labels)
    if classes.ndim == 2 and classes.shape[1] == 1:
        classes = classes[:, 0]
    if vectors.ndim != 2 or classes.shape != vectors.shape[:1]:
        raise ValueError(
            "`embeddings` must have the shape (rows, dim) and `labels` (rows,). Received: "
            f"embeddings of shape {vectors.shape}, labels of shape {classes.shape}"
        )
    bad = np.flatnonzero(~(np.abs(vectors) <= LARGEST).all(axis=1))
    if len(bad):
        raise ValueError(
            f"`embeddings` must be finite and below {LARGEST:g}. Received: {len(bad)} of "
            f"{len(vectors)} rows that are not, the first is row {bad[0]}"
        )
    if classes.dtype.kind == "f" and not np.isfinite(classes).all():
        raise ValueError("`labels` must be class numbers. Received: NaN or infinity among them")
    return vectors, classes


def rounding(embeddings: Any) -> float:
    """What the numbers of this dtype may be off by, for a number of size 1: 8 of its last digit.

    Two images that a network cannot tell apart have vectors that differ by as much.
    """
    dtype = np.asarray(embeddings).dtype
    return 8 * float(np.finfo(dtype if dtype.kind == "f" else "float64").eps)


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Rows of length 1; a row of zeros stays one, at a right angle to all others."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1.0)
