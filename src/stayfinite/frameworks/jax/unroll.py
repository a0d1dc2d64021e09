"""Recurrent layers unrolled while a step is traced.

A `scan` is one op whose inside no question reaches. Unrolled, each time step has ops of its own,
with lines, layers and samples. The values are the same: a loop over the same cell.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras

from stayfinite.frameworks.keras import private as keras_private

# Beyond this the program grows past what an explanation may cost; the loop then stays a loop.
MAX_TIME_STEPS = 100


@contextlib.contextmanager
def unrolled(model: Any, num_time_steps: int | None) -> Iterator[None]:
    """Every `keras.layers.RNN` of `model` unrolls inside the block, if the sequence is short.

    Args:
        model: The model that will be traced.
        num_time_steps: The longest sequence axis of the batch, or None where there is none.
    """
    layers = [
        layer
        for layer in keras_private.flatten_layers(model)
        if isinstance(layer, keras.layers.RNN) and not layer.unroll
    ]
    if num_time_steps is None or num_time_steps > MAX_TIME_STEPS:
        layers = []
    for layer in layers:
        layer.unroll = True
    try:
        yield
    finally:
        for layer in layers:
            layer.unroll = False
