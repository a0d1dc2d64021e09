"""Triplet losses that select their triplets in a batch of embeddings and labels.

Sources: A. Hermans, L. Beyer, B. Leibe, "In Defense of the Triplet Loss for Person
Re-Identification", 2017 (batch hard); F. Schroff, D. Kalenichenko, J. Philbin, "FaceNet: A Unified
Embedding for Face Recognition and Clustering", CVPR 2015 (semi-hard).
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from stayfinite.networks.losses.distances import (
    DISTANCES,
    Tensor,
    as_tensor,
    at_least_float32,
    float_range,
)
from stayfinite.networks.losses.triplet import TripletOptions, margin_rows, summable


def flat_labels(labels: Tensor) -> Tensor:
    """Reshape labels of shape `(batch,)` or `(batch, 1)` to `(batch,)`.

    Raises:
        ValueError: If the shape is another.
    """
    labels = as_tensor(labels)
    shape = tuple(labels.shape)
    if len(shape) not in (1, 2) or (len(shape) == 2 and shape[1] not in (1, None)):
        raise ValueError(
            "`y_true` must have one class number for each sample, as shape (batch,) or (batch, 1); "
            f"for one-hot labels pass their argmax. Received: y_true.shape={shape}"
        )
    return ops.reshape(labels, (-1,))


def check_embeddings(embeddings: Tensor) -> None:
    """Raise a `ValueError` unless the shape is `(batch, dim)`."""
    shape = tuple(embeddings.shape)
    if len(shape) != 2:
        raise ValueError(
            "`y_pred` must have one embedding for each sample, as shape (batch, dim). "
            f"Received: y_pred.shape={shape}"
        )


def pair_distances(embeddings: Tensor, distance: str) -> Tensor:
    """Compute the distances of all pairs, `(batch, batch)`, from embeddings `(batch, dim)`.

    The differences of all pairs take the memory of `batch ** 2 * dim` numbers. A matrix product
    would take less, but gives equal embeddings a distance above 0, and short distances a gradient
    that consists of rounding errors.
    """
    measure = DISTANCES[distance]
    rows = measure(ops.expand_dims(embeddings, 1), ops.expand_dims(embeddings, 0))
    return ops.squeeze(rows, axis=-1)


def pair_masks(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return which pairs are of one class, and which of two classes, as bool `(batch, batch)`.

    The pair of a sample with itself is in neither mask.
    """
    same = ops.equal(ops.expand_dims(labels, 1), ops.expand_dims(labels, 0))
    place = ops.arange(ops.shape(labels)[0], dtype="int32")
    other = ops.not_equal(ops.expand_dims(place, 1), ops.expand_dims(place, 0))
    return ops.logical_and(same, other), ops.logical_not(same)


class MinedTripletLoss(TripletOptions):
    """Base of the losses with mining: masks, the mean over anchors, propagation of NaN."""

    def __call__(self, y_true: Tensor, y_pred: Tensor, sample_weight: Any = None) -> Tensor:
        """Reduce the losses of the anchors.

        A mean is over the samples that are anchors. The weight of a sample applies to its loss as
        an anchor, not to its use as a positive or negative of others.
        """
        labels = _numbered(flat_labels(y_true), self.dtype)
        weights = self._anchor_weights(labels)
        if sample_weight is not None:
            given = ops.convert_to_tensor(sample_weight, dtype=self.dtype)
            weights = weights * ops.reshape(given, (-1,))
        return super().__call__(labels, y_pred, sample_weight=weights)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return one loss for each sample, `(batch,)`; 0 for a sample that is not an anchor.

        All losses are NaN if an embedding or a label is non-finite. Every anchor is compared with
        every sample, and a maximum or a mask could discard the NaN.
        """
        check_embeddings(y_pred)
        embeddings, labels = at_least_float32(y_pred), flat_labels(y_true)
        positive, negative = pair_masks(labels)
        rows = self._rows(pair_distances(embeddings, self.distance), positive, negative)
        zero_or_nan = ops.sum(0.0 * embeddings) + ops.cast(
            ops.sum(0.0 * at_least_float32(labels)), embeddings.dtype
        )
        return ops.where(_anchors(positive, negative), rows, 0.0) + zero_or_nan

    def _rows(self, distances: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        """Return one loss for each anchor, `(batch,)`, from distances and masks of all pairs."""
        raise NotImplementedError

    def _losses(self, difference: Tensor) -> Tensor:
        return summable(margin_rows(difference, self.margin, self.margin_size))

    def _anchor_weights(self, labels: Tensor) -> Tensor:
        """Return 1 for an anchor and 0 otherwise, for a mean scaled to the sum `batch`.

        Keras divides by `batch`. Without an anchor all weights are 1: the losses are then all 0, or
        all NaN, and NaN must not be multiplied away.
        """
        is_anchor = ops.cast(_anchors(*pair_masks(labels)), self.dtype)
        num_anchors = ops.sum(is_anchor)
        weights = is_anchor
        if self.reduction in ("sum_over_batch_size", "mean"):
            weights = is_anchor * ops.sum(ops.ones_like(is_anchor)) / ops.maximum(num_anchors, 1)
        return ops.where(num_anchors > 0, weights, ops.ones_like(weights))


@keras.saving.register_keras_serializable(package="stayfinite")
class BatchHardTripletLoss(MinedTripletLoss):
    """Triplet loss of each sample with its farthest positive and its nearest negative.

    A sample is an anchor if the batch has another sample of its class and one of another class. The
    batches need several classes with several images each, such as those of
    `stayfinite.data.ClassBatches`. The mean is over the anchors; without an anchor the loss is 0.

    Value and gradient are finite at every finite input on every backend, also for equal embeddings
    and zero vectors. The loss takes the memory of several times `batch ** 2 * dim` numbers.

    Source: A. Hermans, L. Beyer, B. Leibe, "In Defense of the Triplet Loss for Person
    Re-Identification", 2017.

    Args:
        distance: `"euclidean"`, `"squared_euclidean"` or `"cosine"`.
        margin: `"hinge"` or `"softplus"`; see `stayfinite.losses.triplet_loss`.
        margin_size: For `"hinge"`, how much farther than the positive the negative should be. A
            loss that stays at this number indicates a collapse: all embeddings are equal.
        reduction: As in `keras.losses.Loss`.
        name: Optional name of the loss.
        dtype: `"float32"` or `"float64"`.

    Call arguments:
        y_true: Class numbers of shape `(batch,)` or `(batch, 1)`.
        y_pred: Embeddings of shape `(batch, dim)`.

    Raises:
        ValueError: If an option or a shape is none of those above.

    Example:

    >>> loss = stayfinite.losses.BatchHardTripletLoss(margin_size=0.2)
    >>> embedding.compile(optimizer="adam", loss=loss)
    >>> embedding.fit(stayfinite.data.ClassBatches("images", size=64))
    """

    default_name = "batch_hard_triplet_loss"

    def _rows(self, distances: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        farthest = _largest(distances, positive)
        nearest = _smallest(distances, negative)
        return self._losses(farthest - nearest)


@keras.saving.register_keras_serializable(package="stayfinite")
class SemiHardTripletLoss(MinedTripletLoss):
    """Triplet loss of each pair of a class with the nearest negative beyond the positive.

    Where no negative is farther than the positive, the farthest negative is used, as in TensorFlow
    Addons. A collapse, where all distances are 0, then has the loss `margin_size`. The loss of an
    anchor is the mean over its positives. Otherwise as `BatchHardTripletLoss`, with the memory of
    several times `batch ** 2 * max(batch, dim)` numbers.

    Source: F. Schroff, D. Kalenichenko, J. Philbin, "FaceNet: A Unified Embedding for Face
    Recognition and Clustering", CVPR 2015.

    Args:
        distance: `"euclidean"`, `"squared_euclidean"` (that of the source) or `"cosine"`.
        margin: `"hinge"` or `"softplus"`; see `stayfinite.losses.triplet_loss`.
        margin_size: For `"hinge"`, how much farther than the positive the negative should be.
        reduction: As in `keras.losses.Loss`.
        name: Optional name of the loss.
        dtype: `"float32"` or `"float64"`.

    Call arguments:
        y_true: Class numbers of shape `(batch,)` or `(batch, 1)`.
        y_pred: Embeddings of shape `(batch, dim)`.

    Raises:
        ValueError: If an option or a shape is none of those above.

    Example:

    >>> loss = stayfinite.losses.SemiHardTripletLoss("squared_euclidean", margin_size=0.2)
    >>> embedding.compile(optimizer="adam", loss=loss)
    """

    default_name = "semi_hard_triplet_loss"

    def _rows(self, distances: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        # Axes: anchor, positive, negative.
        near, far = ops.expand_dims(distances, 2), ops.expand_dims(distances, 1)
        is_farther = ops.logical_and(ops.expand_dims(negative, 1), far > near)
        farthest = ops.expand_dims(_largest(distances, negative), 1)
        chosen = ops.where(ops.any(is_farther, axis=2), _smallest(far, is_farther), farthest)
        pairs = self._losses(distances - chosen)
        total = ops.sum(ops.where(positive, pairs, 0.0), axis=1)
        num_positives = ops.sum(ops.cast(positive, pairs.dtype), axis=1)
        return total / ops.maximum(num_positives, 1)


def _numbered(labels: Tensor, dtype: str) -> Tensor:
    """Replace each label by the index of its first sample; a NaN stays NaN.

    Casting large labels to the dtype of the loss could make different ones equal.
    """
    same = ops.equal(ops.expand_dims(labels, 1), ops.expand_dims(labels, 0))
    first = ops.argmax(ops.cast(same, "int32"), axis=1)
    return ops.cast(first, dtype) + 0.0 * ops.cast(labels, dtype)


def _anchors(positive: Tensor, negative: Tensor) -> Tensor:
    return ops.logical_and(ops.any(positive, axis=1), ops.any(negative, axis=1))


def _largest(distances: Tensor, mask: Tensor) -> Tensor:
    """Return the largest distance of each row under the mask; -1 for a row without one."""
    return ops.max(ops.where(mask, distances, -1.0), axis=-1)


def _smallest(distances: Tensor, mask: Tensor) -> Tensor:
    """Return the smallest distance along the last axis under the mask.

    The largest number of the dtype where the mask is empty.
    """
    largest = ops.full_like(distances, float(float_range(distances).max))
    return ops.min(ops.where(mask, distances, largest), axis=-1)
