"""Networks for embeddings: a backbone, the embedding of images on it, and its triplets."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from stayfinite.networks.losses.distances import l2_normalize
from stayfinite.networks.losses.triplet import triplet_loss
from stayfinite.networks.models.efficientnet_lite import EfficientNetLite0

# A name of `OWN` or in `keras.applications`, a function like those there, or a keras.Model.
Backbone = Any
OWN = {"EfficientNetLite0": EfficientNetLite0}


def application(name: str) -> Callable[..., Any]:
    """Return the function with this name, such as `"ResNet50"`, of `keras.applications` or `OWN`.

    Raises:
        ValueError: If there is none.
    """
    if name in OWN:
        return OWN[name]
    function = getattr(keras.applications, name, None)
    if not inspect.isfunction(function):
        names = [*OWN, *(key for key in dir(keras.applications) if key[0].isupper())]
        raise ValueError(
            f"`backbone` must name a network, one of {names}. Received: backbone={name!r}"
        )
    return function


def preprocess_input(backbone: Backbone = "ResNet50") -> Callable[..., Any]:
    """Return the `preprocess_input` that belongs to a backbone.

    Args:
        backbone: `"EfficientNetLite0"`, a name in `keras.applications`, such as `"ResNet50"`, or
            the function itself.

    Returns:
        A function of images with values from 0 to 255, which it may change in place.

    Raises:
        ValueError: If there is no such backbone, or it has no preprocessing.

    Example:

    >>> prepare = stayfinite.models.preprocess_input("ResNet50")
    >>> images = prepare(images.astype("float32"))
    """
    function = application(backbone) if isinstance(backbone, str) else backbone
    # The module of a network has the preprocessing too.
    module = sys.modules.get(getattr(function, "__module__", ""))
    prepare = getattr(module, "preprocess_input", None)
    if not callable(prepare):
        raise ValueError(
            "`backbone` must be EfficientNetLite0 or a network of keras.applications, by name or "
            "as a function. "
            f"Received: backbone={backbone!r}"
        )
    found: Callable[..., Any] = prepare
    return found


def build_backbone(
    backbone: Backbone, input_shape: tuple[int, ...] | None, weights: str | None
) -> Any:
    """Build a model from images to vectors, or check the one that is given.

    Raises:
        ValueError: If no embedding can be built on it.
    """
    if isinstance(backbone, keras.Model):
        return _checked(backbone)
    function = application(backbone) if isinstance(backbone, str) else backbone
    if not callable(function):
        raise ValueError(
            "`backbone` must be the name of a network, a keras.Model, or a function that builds "
            f"one. Received: backbone={backbone!r}"
        )
    model = function(include_top=False, weights=weights, input_shape=input_shape, pooling="avg")
    if not isinstance(model, keras.Model):
        raise ValueError(f"`backbone` must build a keras.Model. Received: {type(model).__name__}")
    return _checked(model)


def _checked(model: Any) -> Any:
    """Return the model if layers can be added to it; otherwise raise a `ValueError`."""
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise ValueError(
            "`backbone` must be a functional or a built sequential model, so that layers can be "
            f"added to its output. Received: {model.name!r} of type {type(model).__name__}"
        )
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError(
            "`backbone` must have one input and one output. Received: "
            f"{len(model.inputs)} inputs and {len(model.outputs)} outputs"
        )
    return model


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
    """Build an embedding of images on `EfficientNetLite0` or any network of `keras.applications`.

    The vectors have length 1, as in FaceNet. The normalization consists of stock Keras operations
    and has finite values and gradients, also at a zero vector. The model is saved as any functional
    model and loads in plain Keras without stayfinite.

    The images need the preprocessing of the backbone, `stayfinite.models.preprocess_input`.

    Source: F. Schroff, D. Kalenichenko, J. Philbin, "FaceNet: A Unified Embedding for Face
    Recognition and Clustering", CVPR 2015.

    Args:
        backbone: `"EfficientNetLite0"` or a name in `keras.applications`, such as `"ResNet50"`; a
            function with the same arguments; or a functional `keras.Model`, whose layers are
            shared, not copied.
        input_shape: Shape of one image, such as `(224, 224, 3)`; for a model as backbone, `None`.
        embedding_dim: Length of the vectors.
        weights: `"imagenet"`, the path of a weights file, or `None` for random weights. Ignored for
            a model as backbone, which keeps its weights.
        activation: Activation of the last layer. `None` is recommended: with `"relu"` all elements
            can be 0, and two images of one class can have exactly the same vector.
        normalize: Whether to scale the vectors to length 1.
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
    x = network.outputs[0]
    if len(x.shape) == 4:
        x = keras.layers.GlobalAveragePooling2D(name="embedding_pool")(x)
    # In float32, as for a softmax, because half precision has no range for a length.
    x = keras.layers.Dense(
        embedding_dim, activation=activation, name="embedding_dense", dtype="float32"
    )(x)
    return keras.Model(network.inputs[0], l2_normalize(x) if normalize else x, name=name)


def TripletNetwork(
    embedding: Any,
    *,
    distance: str = "euclidean",
    margin: str = "hinge",
    margin_size: float = 1.0,
    name: str = "triplet_network",
) -> Any:
    """Build a network from anchor, positive and negative images to the triplet loss of each.

    The output is the loss of every triplet, so that `sample_weight` works and a bad triplet can be
    identified. The loss is not negative, so its mean is the stock loss `"mean_absolute_error"`
    against targets of 0, and the compiled network also loads in plain Keras:

        network.compile(optimizer="adam", loss="mean_absolute_error")
        network.fit([anchors, positives, negatives], np.zeros(len(anchors)))

    All images pass the embedding in one batch, so that BatchNormalization has the same statistics
    for anchor, positive and negative.

    Source: F. Schroff, D. Kalenichenko, J. Philbin, "FaceNet: A Unified Embedding for Face
    Recognition and Clustering", CVPR 2015.

    Args:
        embedding: A `keras.Model` from one image to one vector, such as an `EmbeddingNetwork`.
        distance: `"euclidean"`, `"squared_euclidean"` or `"cosine"`.
        margin: `"hinge"` or `"softplus"`; see `stayfinite.losses.triplet_loss`.
        margin_size: For `"hinge"`, how much farther than the positive the negative should be.
        name: Name of the model.

    Returns:
        A functional `keras.Model` with the inputs `anchor`, `positive` and `negative` and an output
        of shape `(batch, 1)`. The embedding is one of its layers, not a copy.

    Raises:
        ValueError: If an option is none of those above, or the output of the embedding is not one
            vector for each image.

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
            "`embedding` must return one vector per image, of shape (batch, dim). "
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
