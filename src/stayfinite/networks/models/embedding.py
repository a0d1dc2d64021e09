"""A network that gives images of one class vectors that lie near one another."""

from __future__ import annotations

from typing import Any

import keras

from stayfinite.networks.losses.norms import l2_normalize
from stayfinite.networks.models.backbones import Backbone, build_backbone


def EmbeddingNetwork(
    backbone: Backbone = "ResNet50",
    input_shape: tuple[int, ...] | None = None,
    embedding_dim: int = 128,
    *,
    weights: str | None = "imagenet",
    activation: str | None = None,
    normalize: bool = True,
    name: str = "embedding",
) -> Any:
    """An embedding of images on top of any network of `keras.applications`.

    The vectors have length 1, as in FaceNet. The normalisation is made of stock Keras operations
    and is sound in value and gradient, also at a row of zeros: the model is saved as any functional
    model, and loads in plain Keras without stayfinite.

    Images go through the `preprocess_input` of the backbone first; see
    `stayfinite.models.preprocess_input`.

    Source: F. Schroff, D. Kalenichenko, J. Philbin, "FaceNet: A Unified Embedding for Face
    Recognition and Clustering", CVPR 2015.

    Args:
        backbone: A name in `keras.applications`, such as `"ResNet50"`; a function with the same
            arguments; or a functional `keras.Model`, whose layers are then shared, not copied.
        input_shape: Shape of one image, such as `(224, 224, 3)`; for a model as backbone, `None`.
        embedding_dim: Length of the vectors.
        weights: `"imagenet"`, the path of a weights file, or `None` for random weights. For a model
            as backbone its own weights are kept, whatever this says.
        activation: Of the last layer. `None` is best: with `"relu"` all entries can be 0, and two
            images of one class soon have exactly the same vector.
        normalize: Whether to bring the vectors to length 1.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from `(batch, *input_shape)` to `(batch, embedding_dim)`, in
        float32 also under a half precision policy.

    Raises:
        ValueError: If the backbone is none of these, or the shape does not fit it.

    Example:

    >>> embedding = stayfinite.models.EmbeddingNetwork("ResNet50", (64, 64, 3), weights=None)
    >>> embedding.output_shape
    (None, 128)
    """
    if embedding_dim < 1:
        raise ValueError(
            f"`embedding_dim` must be at least 1. Received: embedding_dim={embedding_dim}"
        )
    if isinstance(backbone, keras.Model) and input_shape is not None:
        raise ValueError(
            "`input_shape` must be None if `backbone` is a model, which has its own. "
            f"Received: input_shape={input_shape}"
        )
    network = build_backbone(backbone, input_shape, weights)
    x = network.output
    if len(x.shape) == 4:
        x = keras.layers.GlobalAveragePooling2D(name="embedding_pool")(x)
    # Half precision has too short a range for a length; as for a softmax, the end is in float32.
    x = keras.layers.Dense(
        embedding_dim, activation=activation, name="embedding_dense", dtype="float32"
    )(x)
    return keras.Model(network.input, l2_normalize(x) if normalize else x, name=name)
