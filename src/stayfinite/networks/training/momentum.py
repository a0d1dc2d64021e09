"""The momentum of moving statistics in a training from random weights."""

from __future__ import annotations

from typing import Any

import keras

_MOMENTUM = 0.9


def lower_momentum(model: Any) -> None:
    """Limit the momentum of moving statistics, so that they follow within tens of steps.

    Random weights change fast. With a momentum of 0.99 or 0.999, the statistics are those of the
    network a hundred or a thousand steps earlier, and its predictions in inference are useless.
    """
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = min(layer.momentum, _MOMENTUM)
