"""Checks and normalization of the embeddings and labels of a whole data set, in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from stayfinite.networks.losses.distances import DISTANCES

# The sum of the squares of such numbers is in the range of float64.
LARGEST = 1e140


def check_distance(distance: str) -> None:
    """Raise a `ValueError` unless `distance` is the name of a distance."""
    if distance not in DISTANCES:
        raise ValueError(
            f"`distance` must be one of {sorted(DISTANCES)}. Received: distance={distance!r}"
        )


def checked(embeddings: Any, labels: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return embeddings as float64 of shape `(images, dim)`, and labels of shape `(images,)`.

    Raises:
        ValueError: If a shape does not fit, or an embedding or label is not finite.
    """
    vectors, classes = np.asarray(embeddings, "float64"), np.asarray(labels)
    if classes.ndim == 2 and classes.shape[1] == 1:
        classes = classes[:, 0]
    if vectors.ndim != 2 or classes.shape != vectors.shape[:1]:
        raise ValueError(
            "`embeddings` must have the shape (images, dim) and `labels` (images,). Received: "
            f"embeddings of shape {vectors.shape}, labels of shape {classes.shape}"
        )
    bad = np.flatnonzero(~(np.abs(vectors) <= LARGEST).all(axis=1))
    if len(bad):
        raise ValueError(
            f"`embeddings` must be finite and below {LARGEST:g}. Received: {len(bad)} of "
            f"{len(vectors)} embeddings that are not, the first at index {bad[0]}"
        )
    if classes.dtype.kind == "f" and not np.isfinite(classes).all():
        raise ValueError("`labels` must be class numbers. Received: NaN or infinity among them")
    return vectors, classes


def rounding(embeddings: Any) -> float:
    """Return the tolerance of a number of size 1 in this dtype: 8 units in the last place.

    The vectors of two images that a network does not distinguish differ by up to this much.
    """
    dtype = np.asarray(embeddings).dtype
    return 8 * float(np.finfo(dtype if dtype.kind == "f" else "float64").eps)


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Scale vectors to length 1; a zero vector stays zero, at a right angle to all others."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1.0)
