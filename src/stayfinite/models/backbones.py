"""The pre-trained networks of `keras.applications`, by name."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

import keras


def build(
    name: str, *, input_shape: tuple[int, ...], weights: str | None, **options: Any
) -> keras.Model:
    """`keras.applications.NAME` without its top, its features averaged over the image.

    Args:
        name: Such as `"ResNet50"`.
        input_shape: `(height, width, channels)`.
        weights: `"imagenet"`, the path of a weights file, or None for random weights.
        options: Further arguments of the function of that name.

    Raises:
        ValueError: If `keras.applications` has no such network.
    """
    constructor = _constructor(name)
    model: keras.Model = constructor(
        include_top=False, pooling="avg", input_shape=input_shape, weights=weights, **options
    )
    return model


def preprocess_input(backbone: str) -> Callable[..., Any]:
    """The function that makes images from 0 to 255 into what a backbone was trained on.

    Args:
        backbone: Name of a network of `keras.applications`, such as `"ResNet50"`.

    Returns:
        Its `preprocess_input`: an array of shape `(batch, height, width, 3)` to one like it.

    Raises:
        ValueError: If `keras.applications` has no such network.

    Example:

    >>> images = stayfinite.models.preprocess_input("ResNet50")(images)
    """
    constructor = _constructor(backbone)
    for module in _modules():
        if getattr(module, backbone, None) is constructor:
            function: Callable[..., Any] = module.preprocess_input
            return function
    raise ValueError(f"keras.applications has no `preprocess_input` for {backbone!r}")


def _constructor(name: str) -> Callable[..., Any]:
    found: Callable[..., Any] | None = getattr(keras.applications, name, None)
    if found is None or inspect.ismodule(found):
        names = [n for n in dir(keras.applications) if n[0].isupper()]
        close = difflib.get_close_matches(str(name), names, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"expected one of {names}"
        raise ValueError(f"`backbone` is no network of keras.applications: {name!r}; {hint}")
    return found


def _modules() -> list[ModuleType]:
    values = [getattr(keras.applications, name) for name in dir(keras.applications)]
    return [v for v in values if inspect.ismodule(v) and hasattr(v, "preprocess_input")]
