"""The models that a hand-written loop trains, found by their variables."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import keras

from stayfinite.frameworks.keras import private as keras_private


def models_of(is_wanted: Callable[[Any], bool]) -> list[Any]:
    """The outermost models that hold a variable which is wanted, the largest first.

    A model is left out if others before it hold all of its variables that are wanted.
    """
    models = _living(keras.Model)
    models.sort(key=lambda model: len(model.variables), reverse=True)
    chosen: list[Any] = []
    inside: set[int] = set()
    taken: set[int] = set()
    for model in models:
        wanted = {id(v) for v in model.variables if is_wanted(v)}
        if id(model) in inside or wanted <= taken:
            continue
        taken |= wanted
        chosen.append(model)
        inside |= {id(layer) for layer in keras_private.flatten_layers(model)}
    return chosen


def metric_variables() -> list[Any]:
    """The variables of every metric of the program."""
    return [v for metric in _living(keras.metrics.Metric) for v in metric.variables]


def layer_variables() -> list[Any]:
    """The variables of every layer of the program, without those of metrics."""
    return [v for layer in _living(keras.Layer) for v in layer.variables]


def _living(kind: type) -> list[Any]:
    # Not isinstance: it asks proxies for their class, which may run code of the user.
    return [thing for thing in gc.get_objects() if issubclass(type(thing), kind)]
