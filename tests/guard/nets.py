"""Small networks and data, and the whole state of a model as arrays."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers

ROWS = 48
BATCH = 8


def images() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(ROWS, 8, 8, 1)).astype("float32"), rng.integers(0, 3, ROWS)


def table() -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).normal(size=(ROWS, 5)).astype("float32")
    return x, x.sum(axis=1)


def series() -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).normal(size=(ROWS, 3, 2)).astype("float32")
    return x, x[:, -1, 0]


def conv_net(optimizer: Any = None, **compile_options: Any) -> keras.Model:
    """Convolution, moving statistics and dropout: weights, statistics and random seeds."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, 3),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Dropout(0.3),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = optimizer or keras.optimizers.SGD(0.05, momentum=0.9)
    model.compile(optimizer, loss=loss, **compile_options)
    return model


def mlp(optimizer: Any = None, **compile_options: Any) -> keras.Model:
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((5,)),
            layers.Dense(8, "relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.2, seed=0),  # PyTorch draws an unseeded one globally
            layers.Dense(1),
        ]
    )
    model.compile(optimizer or keras.optimizers.Adam(1e-2), loss="mse", **compile_options)
    return model


def recurrent(optimizer: Any = None, **compile_options: Any) -> keras.Model:
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((3, 2)), layers.LSTM(6, recurrent_dropout=0.2), layers.Dense(1)]
    )
    model.compile(optimizer or keras.optimizers.RMSprop(1e-2), loss="mae", **compile_options)
    return model


def state_of(model: keras.Model) -> list[np.ndarray]:
    """Weights, moving statistics, random seeds and optimizer variables, copied."""
    variables = [*model.trainable_variables, *model.non_trainable_variables]
    variables += model.optimizer.variables
    return [np.array(keras.ops.convert_to_numpy(v.value)) for v in variables]


def assert_bit_equal(found: list[np.ndarray], expected: list[np.ndarray]) -> None:
    pairs = list(zip(found, expected, strict=True))
    assert [one.shape for one, _ in pairs] == [other.shape for _, other in pairs]
    assert [n for n, (one, other) in enumerate(pairs) if one.tobytes() != other.tobytes()] == []
