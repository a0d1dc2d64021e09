"""The triplet loss: an image is nearer to another of its own class than to one of any other class.

Sources: F. Schroff, D. Kalenichenko, J. Philbin, "FaceNet: A Unified Embedding for Face Recognition
and Clustering", CVPR 2015 (hinge); A. Hermans, L. Beyer, B. Leibe, "In Defense of the Triplet Loss
for Person Re-Identification", 2017 (softplus, there called soft margin).
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from stayfinite.networks.losses.distances import DISTANCES, Tensor, float_range

MARGINS = ("hinge", "softplus")


def check_triplet_options(distance: str, margin: str, margin_size: float) -> None:
    """Raise `ValueError`, saying what was expected, unless `triplet_loss` knows these options."""
    if distance not in DISTANCES:
        raise ValueError(
            f"`distance` must be one of {sorted(DISTANCES)}. Received: distance={distance!r}"
        )
    if margin not in MARGINS:
        raise ValueError(f"`margin` must be one of {sorted(MARGINS)}. Received: margin={margin!r}")
    if not (math.isfinite(margin_size) and margin_size >= 0):
        raise ValueError(
            f"`margin_size` must be a finite number, 0 or more. Received: margin_size={margin_size}"
        )


def triplet_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance: str = "euclidean",
    margin: str = "hinge",
    margin_size: float = 1.0,
) -> Tensor:
    """How much nearer the negative is than it should be, for each row of three embeddings.

    Finite in value and in gradient at every finite input, on every backend: at identical rows, at
    rows of zeros, and at lengths whose squares leave the range of the dtype. Works on symbolic
    tensors too, where it adds stock Keras operations to a functional model.

    Args:
        anchor: Embeddings of shape `(..., dim)`. Half precision is computed in float32.
        positive: Embeddings of the same shape, each of the class of its anchor.
        negative: Embeddings of the same shape, each of another class than its anchor.
        distance: `"euclidean"`, `"squared_euclidean"` or `"cosine"`.
        margin: `"hinge"` for `max(0, positive_distance - negative_distance + margin_size)`, or
            `"softplus"` for `log(1 + exp(positive_distance - negative_distance))`.
        margin_size: How much farther than the positive the negative should be; for `"hinge"` only.
            On the unit sphere no euclidean distance exceeds 2 (1.42 if no entry is negative): with
            a margin beyond that, the loss pulls for ever and ends in a collapse.

    Returns:
        Tensor of shape `(..., 1)`, float32 or float64.

    Raises:
        ValueError: If an option is none of those above.

    Example:

    >>> anchor, positive, negative = [[1.0, 0.0]], [[1.0, 0.0]], [[0.0, 1.0]]
    >>> stayfinite.losses.triplet_loss(anchor, positive, negative, margin_size=2.0)
    Array([[0.58578646]], dtype=float32)
    """
    check_triplet_options(distance, margin, margin_size)
    measure = DISTANCES[distance]
    difference = measure(anchor, positive) - measure(anchor, negative)
    return margin_rows(difference, margin, margin_size)


def margin_rows(difference: Tensor, margin: str, margin_size: float) -> Tensor:
    """The loss from how much farther the positive is than the negative; see `triplet_loss`."""
    if margin == "softplus":
        # Not log(1 + exp(x)) as written: that overflows from x = 89 on in float32.
        return ops.softplus(difference)
    return ops.relu(difference + margin_size)


def summable(rows: Tensor) -> Tensor:
    """Losses of rows, none so large that the sum of 2 ** 24 such rows leaves the range.

    Keras sums the rows before it divides by their number.
    """
    return ops.clip(rows, 0.0, float(float_range(rows).max) / 2**24)


class TripletOptions(keras.losses.Loss):
    """The options that all triplet losses have, and their configuration."""

    default_name: str

    def __init__(
        self,
        distance: str = "euclidean",
        margin: str = "hinge",
        margin_size: float = 1.0,
        reduction: str = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = "float32",
    ) -> None:
        check_triplet_options(distance, margin, margin_size)
        super().__init__(name=name or self.default_name, reduction=reduction, dtype=dtype)
        if self.dtype not in ("float32", "float64"):
            raise ValueError(f"`dtype` must be float32 or float64. Received: dtype={dtype!r}")
        self.distance = distance
        self.margin = margin
        self.margin_size = float(margin_size)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        config: dict[str, Any] = super().get_config()
        return {
            **config,
            "distance": self.distance,
            "margin": self.margin,
            "margin_size": self.margin_size,
            "dtype": self.dtype,
        }


@keras.saving.register_keras_serializable(package="stayfinite")
class TripletLoss(TripletOptions):
    """`triplet_loss` for a model whose output holds the three embeddings of each triplet.

    The three lie along the axis before the last, in the order anchor, positive, negative; targets
    are ignored. For a model that computes the loss itself see `stayfinite.models.TripletNetwork`.

    Args:
        distance: `"euclidean"`, `"squared_euclidean"` or `"cosine"`.
        margin: `"hinge"` or `"softplus"`.
        margin_size: For `"hinge"`, how much farther than the positive the negative should be.
        reduction: As in `keras.losses.Loss`.
        name: Optional name of the loss.
        dtype: `"float32"` or `"float64"`; half precision has no range for a sum over a batch.

    Call arguments:
        y_true: Ignored; any array with one row a triplet, such as zeros.
        y_pred: Embeddings of shape `(batch, 3, dim)`.

    Raises:
        ValueError: If an option or a shape is none of those above.

    Example:

    >>> loss = stayfinite.losses.TripletLoss(distance="cosine", margin_size=0.2)
    >>> model.compile(optimizer="adam", loss=loss)
    """

    default_name = "triplet_loss"

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """One loss a row, from embeddings of shape `(batch, 3, dim)`."""
        shape = tuple(y_pred.shape)
        if len(shape) < 3 or shape[-2] != 3:
            raise ValueError(
                "`y_pred` must hold anchor, positive and negative along its second axis, as shape "
                f"(batch, 3, dim). Received: y_pred.shape={shape}"
            )
        rows = triplet_loss(
            y_pred[..., 0, :],
            y_pred[..., 1, :],
            y_pred[..., 2, :],
            distance=self.distance,
            margin=self.margin,
            margin_size=self.margin_size,
        )
        return ops.squeeze(summable(rows), axis=-1)
