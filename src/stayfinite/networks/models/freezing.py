"""Freezing a pre-trained network but for the layers that must follow the new data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras

Layer = Any
Keep = type | tuple[type, ...] | Callable[[Layer], bool]


def freeze(model: Layer, keep: Keep = keras.layers.BatchNormalization) -> list[str]:
    """Stop the training of every layer of a model, nested models too, but for the layers to keep.

    A kept layer is made trainable, with everything inside it. Compile the model after this, not
    before: a compiled model goes on with what was trainable then.

    Args:
        model: A Keras model, built or not.
        keep: The layers that stay trainable: a layer class, a tuple of classes, or a function that
            takes a layer and returns whether to keep it. `()` keeps none. By default
            `BatchNormalization`, whose statistics follow the new data only while it is trainable.

    Returns:
        The names of the layers kept, in the order of the model.

    Raises:
        ValueError: If `model` is no layer or model, if `keep` is none of the above, or if no layer
            of the model is one to keep.

    Example:

    >>> network = keras.applications.ResNet50(weights="imagenet")
    >>> stayfinite.freeze(network)[:2]
    ['conv1_bn', 'conv2_block1_0_bn']
    """
    if not isinstance(model, keras.Layer):
        raise ValueError(f"`model` must be a Keras model or layer. Received: model={model!r}")
    is_kept = _predicate(keep)
    # All on first: a container that is off hides the kept layers inside it from the optimizer.
    model.trainable = True
    kept = _freeze_children(model, is_kept)
    if not kept and keep != ():
        raise ValueError(
            f"No layer of {model.name!r} is one to keep, so nothing would be left to train; "
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
    """Freeze what is in `parent` and not kept, its own variables too; the names of the kept."""
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
    """The layers directly inside a layer: of a model, a wrapper or a layer of the user's own."""
    # Keras has no public name for the layers inside a layer that is no model.
    yield from parent._flatten_layers(include_self=False, recursive=False)
