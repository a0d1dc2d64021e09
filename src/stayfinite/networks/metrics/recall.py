"""Recall at k: the share of images with an image of their class among their k nearest neighbours.

Of images at the same distance, up to rounding, those of other classes count as nearer. An embedding
that gives every image the same vector therefore has recall 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from stayfinite.networks.losses.distances import Tensor, float_range, l2_norm
from stayfinite.networks.losses.mining import (
    check_embeddings,
    flat_labels,
    pair_distances,
    pair_masks,
)
from stayfinite.networks.metrics.embeddings import check_distance, checked, rounding, unit_rows

# Size of a block of distances. A few blocks are in memory at a time.
BLOCK = 2**22
# Distances in a batch that differ by less, for embeddings of length 1, are equal up to rounding.
TIED = 1e-6


@keras.saving.register_keras_serializable(package="stayfinite")
class RecallAtK(keras.metrics.Metric):
    """Share of samples with a sample of their class among their `k` nearest others in the batch.

    Samples without another of their class in the batch are not counted. Neighbours come from the
    batch only, so the value depends on the batch size and is above `recall_at_k` of the whole set;
    it is 1 if `k` exceeds the number of samples of other classes. Ties and NaN count as a miss.

    The metric takes the memory of several times `batch ** 2 * dim` numbers.

    Args:
        k: Number of neighbours.
        distance: `"cosine"`, `"euclidean"` or `"squared_euclidean"`.
        name: Optional name; by default `"recall_at_<k>"`.
        dtype: As for `keras.metrics.Metric`.

    Call arguments:
        y_true: Class numbers of shape `(batch,)` or `(batch, 1)`.
        y_pred: Embeddings of shape `(batch, dim)`.
        sample_weight: Weight of each sample as the query.

    Raises:
        ValueError: If an argument or a shape is none of those above.

    Example:

    >>> embedding.compile(
    ...     optimizer="adam",
    ...     loss=stayfinite.losses.BatchHardTripletLoss(),
    ...     metrics=[stayfinite.metrics.RecallAtK(1)],
    ... )
    """

    def __init__(
        self, k: int = 1, distance: str = "cosine", name: str | None = None, dtype: Any = None
    ) -> None:
        _check_k(k)
        check_distance(distance)
        super().__init__(name=name or f"recall_at_{k}", dtype=dtype)
        self.k = int(k)
        self.distance = distance
        self.total = self.add_variable(shape=(), initializer="zeros", name="total")
        self.count = self.add_variable(shape=(), initializer="zeros", name="count")

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Any = None) -> None:
        """Add the samples of a batch to the counts."""
        y_pred = ops.stop_gradient(ops.convert_to_tensor(y_pred))
        check_embeddings(y_pred)
        positive, negative = pair_masks(flat_labels(y_true))
        is_angle = self.distance == "cosine"
        # Squared distances have the same order.
        distances = pair_distances(y_pred, "cosine" if is_angle else "euclidean")
        tied = TIED * (1.0 if is_angle else l2_norm(y_pred))
        beyond = ops.full_like(distances, float(float_range(distances).max))
        nearest = ops.min(ops.where(positive, distances, beyond), axis=1, keepdims=True)
        # `distances <= nearest + tied` would be false for NaN.
        is_nearer = ops.logical_and(negative, ops.logical_not(distances > nearest + tied))
        is_hit = ops.sum(ops.cast(is_nearer, "int32"), axis=1) < self.k
        weights = ops.cast(ops.any(positive, axis=1), self.dtype)
        if sample_weight is not None:
            given = ops.convert_to_tensor(sample_weight, dtype=self.dtype)
            weights = weights * ops.reshape(given, (-1,))
        self.total.assign_add(ops.sum(weights * ops.cast(is_hit, self.dtype)))
        self.count.assign_add(ops.sum(weights))

    def result(self) -> Tensor:
        """Return the recall over all batches since the last reset; 0 before the first sample."""
        return ops.divide_no_nan(self.total, self.count)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        config: dict[str, Any] = super().get_config()
        return {**config, "k": self.k, "distance": self.distance}


def recall_at_k(
    embeddings: Any, labels: Any, ks: Sequence[int] = (1, 5), distance: str = "cosine"
) -> dict[int, float]:
    """Compute the share of images with an image of their class among their k nearest others.

    The only image of a class is not counted, but is a neighbour of others. Ties count as a miss.

    Args:
        embeddings: Vectors of shape `(images, dim)`.
        labels: Their classes, of shape `(images,)` or `(images, 1)`.
        ks: Numbers of neighbours.
        distance: `"cosine"`, `"euclidean"` or `"squared_euclidean"`.

    Returns:
        The recall for each of `ks`.

    Raises:
        ValueError: If an embedding is non-finite, a shape does not fit, or no class has two images.

    Example:

    >>> stayfinite.metrics.recall_at_k([[0.0, 1.0], [0.1, 1.0], [1.0, 0.0]], [0, 0, 1], ks=(1,))
    {1: 1.0}
    """
    for k in ks:
        _check_k(k)
    check_distance(distance)
    vectors, classes = checked(embeddings, labels)
    tied = rounding(embeddings)
    if distance == "cosine":
        ranks = _num_nearer(unit_rows(vectors), classes, tied, by_angle=True)
    else:
        # The rounding error of a vector grows with its length.
        tied = tied * np.linalg.norm(vectors, axis=1, keepdims=True)
        centred = vectors - vectors.mean(axis=0)
        unit = np.abs(centred).max(initial=0.0) or 1.0
        ranks = _num_nearer(centred / unit, classes, tied / unit, by_angle=False)
    if not len(ranks):
        raise ValueError(
            "`labels` must have a class with at least two images. Received: "
            f"{len(classes)} images of {len(np.unique(classes))} classes"
        )
    return {int(k): float((ranks < k).mean()) for k in ks}


def _num_nearer(
    vectors: np.ndarray, classes: np.ndarray, tied: float | np.ndarray, by_angle: bool
) -> np.ndarray:
    """Count the images of other classes that are as near as the nearest of the own class.

    One count for each image with another of its class. `tied` is the tolerance of a distance, one
    number or one for each image.
    """
    squares = np.square(vectors).sum(axis=1)
    tied = np.broadcast_to(tied, (len(vectors), 1))
    every = np.arange(len(vectors))
    size = max(1, BLOCK // max(1, len(vectors)))
    found = [np.zeros(0, "int64")]
    for begin in range(0, len(vectors), size):
        rows = every[begin : begin + size]
        far = -(vectors[rows] @ vectors.T)
        if not by_angle:
            # The matrix product rounds short distances: 1e-7 of the largest distance counts as 0.
            far = np.sqrt(np.maximum(squares[rows, None] + squares + 2 * far, 1e-14))
        same = classes[rows, None] == classes
        positive = same & (rows[:, None] != every)
        nearest = np.where(positive, far, np.inf).min(axis=1, keepdims=True)
        num_nearer = ((far <= nearest + tied[rows]) & ~same).sum(axis=1)
        found.append(num_nearer[positive.any(axis=1)])
    return np.concatenate(found)


def _check_k(k: int) -> None:
    if not isinstance(k, int | np.integer) or k < 1:
        raise ValueError(f"`k` must be a whole number, 1 or more. Received: k={k!r}")
