"""A siamese network that is trained on triplets: its output is the loss."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from stayfinite.networks.losses.triplet import triplet_loss


def TripletNetwork(
    embedding: Any,
    *,
    distance: str = "euclidean",
    margin: str = "hinge",
    margin_size: float = 1.0,
    name: str = "triplet_network",
) -> Any:
    """A network from anchor, positive and negative images to the triplet loss of each row.

    The loss of every row is put out, not their mean: so `sample_weight` works, and a bad row can be
    told from the others. It is never negative, so the stock loss `"mean_absolute_error"` against
    targets of 0 is its mean, and the compiled network, too, loads in plain Keras:

        network.compile(optimizer="adam", loss="mean_absolute_error")
        network.fit([anchors, positives, negatives], np.zeros(len(anchors)))

    The three images of all rows go through the embedding in one batch, so that BatchNormalization
    sees the same statistics for anchor, positive and negative.

    Source: F. Schroff, D. Kalenichenko, J. Philbin, "FaceNet: A Unified Embedding for Face
    Recognition and Clustering", CVPR 2015.

    Args:
        embedding: A `keras.Model` from one image to one vector, such as `EmbeddingNetwork` gives.
        distance: `"euclidean"`, `"squared_euclidean"` or `"cosine"`.
        margin: `"hinge"` or `"softplus"`; see `stayfinite.losses.triplet_loss`.
        margin_size: For `"hinge"`, how much farther than the positive the negative should be.
        name: Name of the model.

    Returns:
        A functional `keras.Model` with the inputs `anchor`, `positive` and `negative` and an output
        of shape `(batch, 1)`. The embedding is one of its layers, and shared with it.

    Raises:
        ValueError: If an option is none of those above, or the embedding has not one vector an
            image.

    Example:

    >>> embedding = stayfinite.models.EmbeddingNetwork("ResNet50", (64, 64, 3), weights=None)
    >>> network = stayfinite.models.TripletNetwork(embedding, margin_size=0.5)
    >>> [tensor.name for tensor in network.inputs]
    ['anchor', 'positive', 'negative']
    """
    if not isinstance(embedding, keras.Model):
        raise ValueError(f"`embedding` must be a keras.Model. Received: embedding={embedding!r}")
    shape = embedding.output_shape
    if not isinstance(shape, tuple) or len(shape) != 2:
        raise ValueError(
            "`embedding` must give one vector an image, of shape (batch, dim). "
            f"Received: embedding.output_shape={shape}"
        )
    images = [
        keras.Input(embedding.input_shape[1:], dtype=embedding.inputs[0].dtype, name=part)
        for part in ("anchor", "positive", "negative")
    ]
    vectors = embedding(keras.layers.Concatenate(axis=0, name="one_batch")(images))
    anchor, positive, negative = ops.split(vectors, 3, axis=0)
    rows = triplet_loss(
        anchor, positive, negative, distance=distance, margin=margin, margin_size=margin_size
    )
    return keras.Model(images, rows, name=name)
