"""X"""

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
    """Labels of shape `(batch,)`, from that shape or `(batch, 1)`.

    Raises:
        ValueError: If the shape is neither.
    """
    labels = as_tensor(labels)
    shape = tuple(labels.shape)
    if len(shape) not in (1, 2) or (len(shape) == 2 and shape[1] not in (1, None)):
        raise ValueError(
            "`y_true` must hold one class number a row, as shape (batch,) or (batch, 1); for "
            f"one-hot rows take their argmax. Received: y_true.shape={shape}"
        )
    return ops.reshape(labels, (-1,))


def check_embeddings(embeddings: Tensor) -> None:
    """Raise `ValueError` unless there is one vector a row."""
    shape = tuple(embeddings.shape)
    if len(shape) != 2:
        raise ValueError(
            "`y_pred` must hold one embedding a row, as shape (batch, dim). "
            f"Received: y_pred.shape={shape}"
        )


def pair_distances(embeddings: Tensor, distance: str) -> Tensor:
    """Distance of each row to each, `(batch, batch)`, from embeddings `(batch, dim)`.

    From the differences of all pairs, which take the memory of `batch ** 2 * dim` numbers. The
    product of the embeddings with themselves would take less, but there equal rows are not 0 apart,
    and the gradient of a short distance is rounding error.
    """
    measure = DISTANCES[distance]
    rows = measure(ops.expand_dims(embeddings, 1), ops.expand_dims(embeddings, 0))
    return ops.squeeze(rows, axis=-1)


def pair_masks(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Which pairs are two rows of one class, and which are of two classes: bool `(batch, batch)`.

    A row with itself is neither.
    """
    same = ops.equal(ops.expand_dims(labels, 1), ops.expand_dims(labels, 0))
    place = ops.arange(ops.shape(labels)[0], dtype="int32")
    other = ops.not_equal(ops.expand_dims(place, 1), ops.expand_dims(place, 0))
    return ops.logical_and(same, other), ops.logical_not(same)


class MinedTripletLoss(TripletOptions):
    """What the losses share that mine: masks, the mean over anchors, NaN."""

    def __call__(self, y_true: Tensor, y_pred: Tensor, sample_weight: Any = None) -> Tensor:
        """The losses of the anchors, reduced.

        A mean is over those rows that are anchors, not over all. The weight of a row is that of its
        loss as an anchor; as a positive or negative of others it counts in full.
        """
        labels = _numbered(flat_labels(y_true), self.dtype)
        weights = self._anchor_weights(labels)
        if sample_weight is not None:
            given = ops.convert_to_tensor(sample_weight, dtype=self.dtype)
            weights = weights * ops.reshape(given, (-1,))
        return super().__call__(labels, y_pred, sample_weight=weights)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """One loss a row, `(batch,)`; 0 for a row that is no anchor.

        NaN for all of them if an embedding or a label is not finite: every anchor is compared with
        every row, and a maximum or a mask may drop a NaN.
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
        raise NotImplementedError

    def _losses(self, difference: Tensor) -> Tensor:
        return summable(margin_rows(difference, self.margin, self.margin_size))

    def _anchor_weights(self, labels: Tensor) -> Tensor:
        """1 for an anchor and else 0; for a mean scaled to the sum `batch`, which Keras divides by.

        All 1 if there is no anchor. The rows are all 0 then, or all NaN, and a NaN must stay one.
        """
        is_anchor = ops.cast(_anchors(*pair_masks(labels)), self.dtype)
        num_anchors = ops.sum(is_anchor)
        weights = is_anchor
        if self.reduction in ("sum_over_batch_size", "mean"):
            weights = is_anchor * ops.sum(ops.ones_like(is_anchor)) / ops.maximum(num_anchors, 1)
        return ops.where(num_anchors > 0, weights, ops.ones_like(weights))


@keras.saving.register_keras_serializable(package="stayfinite")
class BatchHardTripletLoss(MinedTripletLoss):
    """For each row of a batch its farthest positive against its nearest negative.

    Each row is an anchor if the batch has another row of its class and one of another class. Its
    positive is the farthest of its class, its negative the nearest of all others. Give it batches
    of some classes with some images each, such as `stayfinite.data.ClassBatches`. The mean is over
    the anchors; a batch without any has the loss 0.

    Finite in value and gradient at every finite input, on every backend, also where rows are equal
    or zero. Takes the memory of `batch ** 2 * dim` numbers, several times over.

    Source: A. Hermans, L. Beyer, B. Leibe, "In Defense of the Triplet Loss for Person
    Re-Identification", 2017.

    Args:
        distance: `"euclidean"`, `"squared_euclidean"` or `"cosine"`.
        margin: `"hinge"` or `"softplus"`; see `stayfinite.losses.triplet_loss`.
        margin_size: For `"hinge"`, how much farther than the positive the negative should be. A
            loss that stays at this number tells of a collapse: all embeddings are equal.
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
    """For each pair of a class the nearest negative that is farther than the positive.

    Where no negative is farther, the farthest of them is taken, as in TensorFlow Addons; so a
    collapse, where all distances are 0, has the loss `margin_size` and not 0. The loss of an anchor
    is the mean over its positives. Else as `BatchHardTripletLoss`; takes the memory of
    `batch ** 2 * max(batch, dim)` numbers, several times over.

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
    """For each label the first row that has it: large labels would be rounded into one another.

    NaN stays NaN.
    """
    same = ops.equal(ops.expand_dims(labels, 1), ops.expand_dims(labels, 0))
    first = ops.argmax(ops.cast(same, "int32"), axis=1)
    return ops.cast(first, dtype) + 0.0 * ops.cast(labels, dtype)


def _anchors(positive: Tensor, negative: Tensor) -> Tensor:
    return ops.logical_and(ops.any(positive, axis=1), ops.any(negative, axis=1))


def _largest(distances: Tensor, mask: Tensor) -> Tensor:
    """The largest of each row where the mask is set; below every distance where it nowhere is."""
    return ops.max(ops.where(mask, distances, -1.0), axis=-1)


def _smallest(distances: Tensor, mask: Tensor) -> Tensor:
    """The smallest along the last axis where the mask is set; without any the largest number."""
    largest = ops.full_like(distances, float(float_range(distances).max))
    return ops.min(ops.where(mask, distances, largest), axis=-1)
