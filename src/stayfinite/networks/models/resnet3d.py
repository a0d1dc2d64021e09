"""ResNet3D-18, 34, 50, 101 and 152 for video clips, with pre-activation.

Batch normalization and relu come before each convolution, so that the shortcut passes its input on
unchanged.

Sources: K. He, X. Zhang, S. Ren, J. Sun, "Identity Mappings in Deep Residual Networks", ECCV 2016;
K. Hara, H. Kataoka, Y. Satoh, "Can Spatiotemporal 3D CNNs Retrace the History of 2D CNNs and
ImageNet?", CVPR 2018.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
from keras import layers

from stayfinite.networks.models.weights_file import load_weights

Tensor = Any  # a KerasTensor

BASIC, BOTTLENECK = "basic", "bottleneck"
NUM_STAGES = 4
# Factor of the number of filters in the last convolution of a bottleneck.
EXPANSION = 4
POOLING = (None, "avg", "max")


def ResNet3D(
    block: str,
    repetitions: tuple[int, ...],
    *,
    include_top: bool = True,
    weights: str | Path | None = None,
    input_tensor: Tensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: str | None = None,
    classes: int = 400,
    classifier_activation: str | Callable[..., Any] | None = "auto",
    kernel_initializer: Any = "he_normal",
    l2: float = 1e-4,
    filters: int = 64,
    data_format: str | None = None,
    name: str = "resnet3d",
) -> Any:
    """Build a ResNet3D of any depth; `ResNet3D18` and others have a fixed block and depth.

    The network consists of stock Keras layers, so it loads in plain Keras.

    Args:
        block: `"basic"`, two convolutions of 3x3x3, or `"bottleneck"`, 1x1x1, 3x3x3 and 1x1x1.
        repetitions: The number of blocks in each of the four stages.
        include_top: Whether to end in pooling and a dense layer of `classes` units.
        weights: Path of a weights file of this network, or `None` for random weights.
        input_tensor: A Keras tensor to build on, instead of a new input.
        input_shape: Shape of one clip, `(frames, height, width, channels)`, or with the channels
            first for `data_format="channels_first"`. Frames, height and width may be `None`.
        pooling: Without the top: `None` for the feature maps of the last stage, `"avg"` or `"max"`
            for one vector per clip.
        classes: Number of units of the top.
        classifier_activation: Activation of the top: `"auto"` for softmax, or sigmoid with a single
            unit; `None` for logits.
        kernel_initializer: Initializer of every kernel, including the top.
        l2: Factor of the L2 penalty on every kernel, including the top; 0 for none.
        filters: Number of filters of the stem and of the first stage. Each further stage has twice
            as many as the stage before.
        data_format: `"channels_last"` or `"channels_first"`; by default the setting of Keras.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from `(batch, *input_shape)` to `(batch, classes)`, in float32
        also under a half precision policy.

    Raises:
        ValueError: If an option is none of the above, if the weights do not fit, or if the backend
            cannot convolve with the channels first on this device.
    """
    data_format = data_format or keras.config.image_data_format()
    _check(block, repetitions, pooling, classes, classifier_activation, l2, filters, data_format)
    inputs = _inputs(input_tensor, input_shape, data_format)
    build = _Builder(data_format, kernel_initializer, l2)
    x = build.body(inputs, block, repetitions, filters)
    if include_top:
        x = build.top(x, classes, classifier_activation)
    elif pooling is not None:
        x = build.pooled(x, pooling)
    source = [inputs] if input_tensor is None else keras.utils.get_source_inputs(input_tensor)
    # With a list of one input, every call would need a list of one.
    model = keras.Model(source[0] if len(source) == 1 else source, x, name=name)
    if weights is not None:
        load_weights(
            model,
            weights,
            "must be None or the path of a weights file; there are no weights to download for a "
            "ResNet3D.",
        )
    return model


def ResNet3D18(input_shape: Any = None, classes: int = 400, **options: Any) -> Any:
    """Build a ResNet3D with 18 layers with kernels. The options are those of `ResNet3D`.

    Example:

    >>> model = stayfinite.models.ResNet3D18((16, 112, 112, 3), classes=10)
    >>> model.count_params()
    33219850
    """
    return _of_depth(18, BASIC, (2, 2, 2, 2), input_shape, classes, options)


def ResNet3D34(input_shape: Any = None, classes: int = 400, **options: Any) -> Any:
    """Build a ResNet3D with 34 layers with kernels. The options are those of `ResNet3D`."""
    return _of_depth(34, BASIC, (3, 4, 6, 3), input_shape, classes, options)


def ResNet3D50(input_shape: Any = None, classes: int = 400, **options: Any) -> Any:
    """Build a ResNet3D with 50 layers with kernels. The options are those of `ResNet3D`."""
    return _of_depth(50, BOTTLENECK, (3, 4, 6, 3), input_shape, classes, options)


def ResNet3D101(input_shape: Any = None, classes: int = 400, **options: Any) -> Any:
    """Build a ResNet3D with 101 layers with kernels. The options are those of `ResNet3D`."""
    return _of_depth(101, BOTTLENECK, (3, 4, 23, 3), input_shape, classes, options)


def ResNet3D152(input_shape: Any = None, classes: int = 400, **options: Any) -> Any:
    """Build a ResNet3D with 152 layers with kernels. The options are those of `ResNet3D`."""
    return _of_depth(152, BOTTLENECK, (3, 8, 36, 3), input_shape, classes, options)


def _of_depth(
    depth: int,
    block: str,
    repetitions: tuple[int, ...],
    input_shape: Any,
    classes: int,
    options: dict[str, Any],
) -> Any:
    options.setdefault("name", f"resnet3d{depth}")
    return ResNet3D(block, repetitions, input_shape=input_shape, classes=classes, **options)


class _Builder:
    """Builds the parts of a network with one initializer, penalty and data format."""

    def __init__(self, data_format: str, kernel_initializer: Any, l2: float) -> None:
        self._channel_axis = 1 if data_format == "channels_first" else -1
        kernel = {
            "kernel_initializer": kernel_initializer,
            "kernel_regularizer": keras.regularizers.L2(l2) if l2 else None,
        }
        self._conv = functools.partial(layers.Conv3D, data_format=data_format, **kernel)
        self._dense = functools.partial(layers.Dense, dtype="float32", **kernel)
        self._max_pooling = functools.partial(layers.MaxPooling3D, data_format=data_format)
        self._global = {
            "avg": functools.partial(layers.GlobalAveragePooling3D, data_format=data_format),
            "max": functools.partial(layers.GlobalMaxPooling3D, data_format=data_format),
        }

    def body(self, x: Tensor, block: str, repetitions: tuple[int, ...], filters: int) -> Tensor:
        """Build stem and stages, up to the last activation."""
        x = self._conv(filters, 7, strides=2, padding="same", name="conv1_conv")(x)
        x = self._activated(x, "conv1")
        x = self._max_pooling(3, strides=2, padding="same", name="pool1")(x)
        residual = self._basic if block == BASIC else self._bottleneck
        for stage, count in enumerate(repetitions):
            for number in range(count):
                name = f"conv{stage + 2}_block{number + 1}"
                strides = 2 if stage and not number else 1
                # The input of the first block is already activated by the stem.
                before = x if stage == number == 0 else self._activated(x, f"{name}_1")
                change = residual(before, filters * 2**stage, strides, name)
                shortcut = self._shortcut(x, change, strides, name)
                x = layers.Add(name=f"{name}_add")([shortcut, change])
        return self._activated(x, "post")

    def _basic(self, x: Tensor, filters: int, strides: int, name: str) -> Tensor:
        x = self._conv(filters, 3, strides=strides, padding="same", name=f"{name}_1_conv")(x)
        x = self._activated(x, f"{name}_2")
        return self._conv(filters, 3, padding="same", name=f"{name}_2_conv")(x)

    def _bottleneck(self, x: Tensor, filters: int, strides: int, name: str) -> Tensor:
        x = self._conv(filters, 1, strides=strides, name=f"{name}_1_conv")(x)
        x = self._activated(x, f"{name}_2")
        x = self._conv(filters, 3, padding="same", name=f"{name}_2_conv")(x)
        x = self._activated(x, f"{name}_3")
        return self._conv(EXPANSION * filters, 1, name=f"{name}_3_conv")(x)

    def _shortcut(self, x: Tensor, change: Tensor, strides: int, name: str) -> Tensor:
        filters = change.shape[self._channel_axis]
        if strides == 1 and x.shape[self._channel_axis] == filters:
            return x
        return self._conv(filters, 1, strides=strides, name=f"{name}_0_conv")(x)

    def _activated(self, x: Tensor, name: str) -> Tensor:
        x = layers.BatchNormalization(axis=self._channel_axis, name=f"{name}_bn")(x)
        return layers.Activation("relu", name=f"{name}_relu")(x)

    def pooled(self, x: Tensor, pooling: str) -> Tensor:
        """Pool to one vector per clip."""
        return self._global[pooling](name=f"{pooling}_pool")(x)

    def top(self, x: Tensor, classes: int, activation: Any) -> Tensor:
        """Build the class probabilities, or logits."""
        if activation == "auto":
            activation = "softmax" if classes > 1 else "sigmoid"
        # In float32 also under half precision, for the range of a probability.
        return self._dense(classes, activation=activation, name="predictions")(
            self.pooled(x, "avg")
        )


def _check(
    block: str,
    repetitions: tuple[int, ...],
    pooling: str | None,
    classes: int,
    activation: Any,
    l2: float,
    filters: int,
    data_format: str,
) -> None:
    if block not in (BASIC, BOTTLENECK):
        raise ValueError(f"`block` must be {BASIC!r} or {BOTTLENECK!r}. Received: block={block!r}")
    if len(repetitions) != NUM_STAGES or min(repetitions) < 1:
        raise ValueError(
            f"`repetitions` must hold {NUM_STAGES} numbers of blocks, each at least 1. "
            f"Received: repetitions={repetitions}"
        )
    if pooling not in POOLING:
        raise ValueError(f"`pooling` must be one of {POOLING}. Received: pooling={pooling!r}")
    if not isinstance(classes, int) or classes < 1:
        raise ValueError(f"`classes` must be at least 1. Received: classes={classes!r}")
    if classes == 1 and activation == "softmax":
        raise ValueError(
            "`classifier_activation` must not be 'softmax' for a single class, whose probability "
            "would always be 1; 'auto' takes 'sigmoid'. Received: classes=1"
        )
    if not (math.isfinite(l2) and l2 >= 0):
        raise ValueError(f"`l2` must be a finite number, 0 or more. Received: l2={l2!r}")
    if not isinstance(filters, int) or filters < 1:
        raise ValueError(f"`filters` must be at least 1. Received: filters={filters!r}")
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(
            "`data_format` must be 'channels_last' or 'channels_first'. "
            f"Received: data_format={data_format!r}"
        )


def _inputs(input_tensor: Any, input_shape: Any, data_format: str) -> Tensor:
    if input_tensor is not None:
        if not keras.utils.is_keras_tensor(input_tensor) or len(input_tensor.shape) != 5:
            raise ValueError(
                "`input_tensor` must be a Keras tensor of clips, with 5 axes. "
                f"Received: input_tensor={input_tensor!r}"
            )
        return input_tensor
    if input_shape is None:
        input_shape = (16, 112, 112, 3)
        if data_format == "channels_first":
            input_shape = (3, 16, 112, 112)
    channels = input_shape[0 if data_format == "channels_first" else -1]
    if len(input_shape) != 4 or not channels:
        axes = "(channels, frames, height, width)"
        if data_format == "channels_last":
            axes = "(frames, height, width, channels)"
        raise ValueError(
            f"`input_shape` must be {axes}, of which all but the channels may be None. "
            f"Received: input_shape={input_shape}"
        )
    return keras.Input(tuple(input_shape), name="clip")
