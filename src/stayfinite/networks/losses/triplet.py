"""The triplet loss: an image should be nearer to an image of its class than to any other image.

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
    """Raise a `ValueError` unless the options are valid for `triplet_loss`."""
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
    """Compute the triplet loss of each triplet of embeddings.

    Value and gradient are finite at every finite input on every backend: for equal embeddings, for
    zero vectors, and for lengths whose squares leave the range of the dtype. On symbolic tensors,
    stock Keras operations are added to a functional model.

    Args:
        anchor: Embeddings of shape `(..., dim)`. Half precision is computed in float32.
        positive: Embeddings of the same shape, each of the class of its anchor.
        negative: Embeddings of the same shape, each of another class than its anchor.
        distance: `"euclidean"`, `"squared_euclidean"` or `"cosine"`.
        margin: `"hinge"` for `max(0, positive_distance - negative_distance + margin_size)`, or
            `"softplus"` for `log(1 + exp(positive_distance - negative_distance))`.
        margin_size: How much farther than the positive the negative should be; for `"hinge"` only.
            On the unit sphere no euclidean distance exceeds 2 (1.42 if no element is negative). A
            larger margin cannot be reached, and training ends in a collapse.

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
    """Compute the loss from `positive_distance - negative_distance`, as in `triplet_loss`."""
    if margin == "softplus":
        # log(1 + exp(x)) as written overflows from x = 89 on in float32.
        return ops.softplus(difference)
    return ops.relu(difference + margin_size)


def summable(rows: Tensor) -> Tensor:
    """Limit losses so that the sum of 2 ** 24 of them stays in the range of the dtype.

    Keras sums the losses before it divides by their number.
    """
    return ops.clip(rows, 0.0, float(float_range(rows).max) / 2**24)


class TripletOptions(keras.losses.Loss):
    """Base of the triplet losses: their options and configuration."""

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
        """Return the arguments of the constructor."""
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

    They lie along the axis before the last, in the order anchor, positive, negative. Targets are
    ignored. For a model that computes the loss itself, see `stayfinite.models.TripletNetwork`.

    Args:
        distance: `"euclidean"`, `"squared_euclidean"` or `"cosine"`.
        margin: `"hinge"` or `"softplus"`.
        margin_size: For `"hinge"`, how much farther than the positive the negative should be.
        reduction: As in `keras.losses.Loss`.
        name: Optional name of the loss.
        dtype: `"float32"` or `"float64"`; half precision cannot hold a sum over a batch.

    Call arguments:
        y_true: Ignored; any array with one element for each triplet, such as zeros.
        y_pred: Embeddings of shape `(batch, 3, dim)`.

    Raises:
        ValueError: If an option or a shape is none of those above.

    Example:

    >>> loss = stayfinite.losses.TripletLoss(distance="cosine", margin_size=0.2)
    >>> model.compile(optimizer="adam", loss=loss)
    """

    default_name = "triplet_loss"

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return one loss for each triplet, from embeddings of shape `(batch, 3, dim)`."""
        shape = tuple(y_pred.shape)
        if len(shape) < 3 or shape[-2] != 3:
            raise ValueError(
                "`y_pred` must have anchor, positive and negative along its second axis, as shape "
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
