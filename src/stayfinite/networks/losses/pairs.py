"""All pairs of a batch: how far apart they are, and whether they are of one class."""

from __future__ import annotations

from keras import ops

from stayfinite.networks.losses.distances import DISTANCES
from stayfinite.networks.losses.norms import Tensor, as_tensor


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
