"""Freezing of a pre-trained network, except layers that adapt to the new data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras

Layer = Any
Keep = type | tuple[type, ...] | Callable[[Layer], bool]


def freeze(model: Layer, keep: Keep = keras.layers.BatchNormalization) -> list[str]:
    """Make every layer of a model not trainable, except the layers to keep.

    Layers of nested models are included. A kept layer is made trainable with everything inside it.
    Compile the model after this call, because a compiled model keeps the trainable variables that
    it was compiled with.

    Args:
        model: A Keras model, built or not.
        keep: The layers that stay trainable: a layer class, a tuple of classes, or a function that
            takes a layer and returns whether to keep it. `()` keeps none. The default is
            `BatchNormalization`, whose statistics follow the data only while it is trainable.

    Returns:
        The names of the kept layers, in the order of the model.

    Raises:
        ValueError: If `model` is not a layer or model, if `keep` is none of the above, or if the
            model has no layer to keep.

    Example:

    >>> network = keras.applications.ResNet50(weights=None)
    >>> stayfinite.freeze(network)[:2]
    ['conv1_bn', 'conv2_block1_1_bn']
    """
    if not isinstance(model, keras.Layer):
        raise ValueError(f"`model` must be a Keras model or layer. Received: model={model!r}")
    is_kept = _predicate(keep)
    # First all trainable: a container that is not hides the kept layers inside it.
    model.trainable = True
    kept = _freeze_children(model, is_kept)
    if not kept and keep != ():
        raise ValueError(
            f"`keep` must match a layer of {model.name!r}, otherwise nothing is left to train; "
            f"pass `keep=()` to freeze every layer. Received: keep={keep!r}"
        )
    return kept


def _predicate(keep: Keep) -> Callable[[Layer], bool]:
    if isinstance(keep, type) or (
        isinstance(keep, tuple) and all(isinstance(kind, type) for kind in keep)
    ):
        kinds = keep
        return lambda layer: isinstance(layer, kinds)
    if callable(keep):
        return keep
    raise ValueError(
        "`keep` must be a layer class, a tuple of layer classes, or a function of a layer. "
        f"Received: keep={keep!r}"
    )


def _freeze_children(parent: Layer, is_kept: Callable[[Layer], bool]) -> list[str]:
    """Freeze the layers in `parent` and its own variables; return the names of kept layers."""
    kept: list[str] = []
    inside: set[int] = set()
    for layer in _children(parent):
        inside.update(id(variable) for variable in layer.weights)
        if is_kept(layer):
            kept.append(layer.name)
            continue
        kept_within = _freeze_children(layer, is_kept)
        kept += kept_within
        if not kept_within:
            layer.trainable = False
    for variable in parent.weights:
        if id(variable) not in inside:
            variable.trainable = False
    return kept


def _children(parent: Layer) -> Iterator[Layer]:
    """Yield the layers directly inside a layer: of a model, a wrapper or a user's layer."""
    # Only models have `layers`, but its getter takes any layer.
    yield from keras.Model.layers.fget(parent)
