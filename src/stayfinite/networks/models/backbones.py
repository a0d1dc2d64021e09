"""The networks of `keras.applications`, by name, as function or as model, and their preprocessing.

Imports nothing but Keras. A backbone ends in one vector an image.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any

import keras

Backbone = Any  # a name in `keras.applications`, a function like those there, or a keras.Model


def application(name: str) -> Callable[..., Any]:
    """The function of `keras.applications` with this name, such as `"ResNet50"`."""
    function = getattr(keras.applications, name, None)
    if not inspect.isfunction(function):
        names = [key for key in dir(keras.applications) if key[0].isupper()]
        raise ValueError(
            f"`backbone` must name a network of keras.applications, one of {names}. "
            f"Received: backbone={name!r}"
        )
    return function


def preprocess_input(backbone: Backbone = "ResNet50") -> Callable[..., Any]:
    """The `preprocess_input` that a backbone of `keras.applications` expects before it.

    Args:
        backbone: A name in `keras.applications`, such as `"ResNet50"`, or the function itself.

    Returns:
        A function of images with values from 0 to 255, which it may change in place.

    Raises:
        ValueError: If there is no such backbone, or it comes without preprocessing.

    Example:

    >>> prepare = stayfinite.models.preprocess_input("ResNet50")
    >>> images = prepare(images.astype("float32"))
    """
    function = application(backbone) if isinstance(backbone, str) else backbone
    # Each file of keras.applications holds its networks and the one preprocessing they share.
    module = sys.modules.get(getattr(function, "__module__", ""))
    prepare = getattr(module, "preprocess_input", None)
    if not callable(prepare):
        raise ValueError(
            "`backbone` must be a network of keras.applications, by name or as a function. "
            f"Received: backbone={backbone!r}"
        )
    found: Callable[..., Any] = prepare
    return found


def build_backbone(
    backbone: Backbone, input_shape: tuple[int, ...] | None, weights: str | None
) -> Any:
    """A model from images to one vector each."""
    if isinstance(backbone, keras.Model):
        return _checked(backbone)
    function = application(backbone) if isinstance(backbone, str) else backbone
    if not callable(function):
        raise ValueError(
            "`backbone` must be a name in keras.applications, a keras.Model, or a function that "
            f"builds one. Received: backbone={backbone!r}"
        )
    model = function(include_top=False, weights=weights, input_shape=input_shape, pooling="avg")
    if not isinstance(model, keras.Model):
        raise ValueError(f"`backbone` must build a keras.Model. Received: {type(model).__name__}")
    return _checked(model)


def _checked(model: Any) -> Any:
    """The model, if an embedding can be put on it."""
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise ValueError(
            "`backbone` must be a functional or a built sequential model, so that layers can be "
            f"put on its output. Received: {model.name!r} of type {type(model).__name__}"
        )
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError(
            "`backbone` must have one input and one output. Received: "
            f"{len(model.inputs)} inputs and {len(model.outputs)} outputs"
        )
    return model
