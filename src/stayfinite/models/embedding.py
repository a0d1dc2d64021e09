"""An embedding network: a backbone, a dense layer, and rows of length 1."""

from __future__ import annotations

from typing import Any

import keras

from stayfinite.losses.norms import l2_normalize
from stayfinite.models import backbones

Backbone = Any  # a name, a Keras model (Keras has no types) or a function


def EmbeddingNetwork(  # as keras.applications names what it builds
    backbone: Backbone = "ResNet50",
    *,
    input_shape: tuple[int, int, int] = (224, 224, 3),
    embedding_dim: int = 128,
    activation: str | None = None,
    weights: str | None = "imagenet",
    name: str = "embedding",
) -> keras.Model:
    """Images to vectors of length 1, on any backbone.

    The normalisation is `stayfinite.losses.l2_normalize`, in stock Keras operations: a saved
    network loads in plain Keras, and its gradient is finite at a row of zeros as well.

    A relu before the normalisation leaves only the part of the sphere without negative entries,
    where no distance exceeds 1.42, and can leave a row of zeros; so there is none by default.

    Args:
        backbone: Name of a network of `keras.applications`; or a Keras model from images to
            features of shape `(batch, dim)` or `(batch, height, width, dim)`; or a function from
            a symbolic image tensor to such features.
        input_shape: `(height, width, channels)`. Ignored for a model, which has its own.
        embedding_dim: Entries of an embedding.
        activation: Activation of the dense layer, or None.
        weights: For a name: `"imagenet"`, the path of a weights file, or None for random ones.
        name: Name of the network.

    Returns:
        A functional model from `(batch, *input_shape)` to `(batch, embedding_dim)`.

    Raises:
        ValueError: If `backbone` is none of those above, or its features have another rank.

    Reference:
        F. Schroff, D. Kalenichenko, J. Philbin, "FaceNet", CVPR 2015.

    Example:

    >>> network = stayfinite.models.EmbeddingNetwork("ResNet50", weights=None)
    >>> network.output_shape
    (None, 128)
    """
    inputs, features = _features(backbone, input_shape, weights)
    if len(features.shape) == 4:
        features = keras.layers.GlobalAveragePooling2D(name="average")(features)
    if len(features.shape) != 2:
        raise ValueError(
            "`backbone` must give features of shape (batch, dim) or (batch, height, width, dim). "
            f"Received: shape={tuple(features.shape)}"
        )
    outputs = keras.layers.Dense(embedding_dim, activation=activation, name="model_out")(features)
    return keras.Model(inputs, l2_normalize(outputs), name=name)


def _features(
    backbone: Backbone, input_shape: tuple[int, int, int], weights: str | None
) -> tuple[Any, Any]:
    if isinstance(backbone, str):
        network = backbones.build(backbone, input_shape=input_shape, weights=weights)
        return network.input, network.output
    if isinstance(backbone, keras.Model):
        inputs = keras.Input(backbone.input_shape[1:])
        return inputs, backbone(inputs)
    if callable(backbone):
        inputs = keras.Input(input_shape)
        return inputs, backbone(inputs)
    raise ValueError(
        "`backbone` must be a name of keras.applications, a Keras model or a function. "
        f"Received: backbone={backbone!r}"
    )
