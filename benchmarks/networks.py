"""The networks that are measured, compiled, each with fixed data of its own.

`siamese` and `resnet3d` are of the size that people train; `mlp` has steps so short that whatever
is added to them shows. `heavy_model` computes little with 381 MB of weights, `heavy_batch` little
with batches of 503 MB.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers

import stayfinite

SEED = 7


@dataclass(frozen=True)
class Network:
    """How to build one, and the shapes of its data; `num_steps` are those of one timed block."""

    build: Callable[[], Any]
    data: Callable[[int], tuple[Any, Any]]
    batch_size: int
    num_steps: int
    num_blocks: int

    def arrays(self, num_steps: int) -> tuple[Any, Any]:
        """Inputs and targets for this many steps, the same ones in every process."""
        return self.data(num_steps * self.batch_size)


def siamese() -> Any:
    """A ResNet50 on triplets; all is frozen but BatchNormalization and the embedding's end."""
    embedding = stayfinite.models.EmbeddingNetwork(
        "ResNet50", (112, 112, 3), 128, weights=None, activation="relu"
    )
    stayfinite.freeze(embedding, keep=(layers.BatchNormalization, layers.Dense))
    network = stayfinite.models.TripletNetwork(embedding)
    # The output is the loss of each row, never negative, so this is its mean.
    network.compile(keras.optimizers.Adam(1e-4), loss="mean_absolute_error")
    return network


def resnet3d() -> Any:
    """A ResNet3D-18 with pre-activation on clips of 16 frames."""
    network = stayfinite.models.ResNet3D18((16, 112, 112, 3), 10)
    network.compile(keras.optimizers.Adam(1e-4), loss="categorical_crossentropy")
    return network


def mlp() -> Any:
    """Three small dense layers."""
    network = keras.Sequential(
        [
            keras.Input((64,)),
            layers.Dense(64, activation="relu"),
            layers.Dense(64, activation="relu"),
            layers.Dense(64),
        ]
    )
    network.compile(keras.optimizers.Adam(1e-4), loss="mean_squared_error")
    return network


def heavy_model() -> Any:
    """Five dense layers of 4,360: 95 million weights, and as many of two slots of Adam."""
    network = keras.Sequential(
        [keras.Input((_WIDTH,)), *(layers.Dense(_WIDTH, activation="relu") for _ in range(5))]
    )
    network.compile(keras.optimizers.Adam(1e-4), loss="mean_squared_error")
    return network


def heavy_batch() -> Any:
    """The mean color of images, and a dense layer."""
    network = keras.Sequential(
        [keras.Input((512, 512, 3)), layers.GlobalAveragePooling2D(), layers.Dense(4)]
    )
    network.compile(keras.optimizers.SGD(1e-4), loss="mean_squared_error")
    return network


_WIDTH = 4360


def _triplets(num_rows: int) -> tuple[Any, Any]:
    random = np.random.default_rng(SEED)
    images = [random.normal(size=(num_rows, 112, 112, 3)).astype("float32") for _ in range(3)]
    return images, np.zeros(num_rows, "float32")


def _clips(num_rows: int) -> tuple[Any, Any]:
    random = np.random.default_rng(SEED)
    clips = random.normal(size=(num_rows, 16, 112, 112, 3)).astype("float32")
    return clips, np.eye(10, dtype="float32")[random.integers(10, size=num_rows)]


def _vectors(num_rows: int) -> tuple[Any, Any]:
    random = np.random.default_rng(SEED)
    return tuple(random.normal(size=(num_rows, 64)).astype("float32") for _ in range(2))


def _wide_vectors(num_rows: int) -> tuple[Any, Any]:
    random = np.random.default_rng(SEED)
    return tuple(random.normal(size=(num_rows, _WIDTH)).astype("float32") for _ in range(2))


def _images(num_rows: int) -> tuple[Any, Any]:
    return np.full((num_rows, 512, 512, 3), 0.5, "float32"), np.zeros((num_rows, 4), "float32")


NETWORKS = {
    "siamese": Network(siamese, _triplets, batch_size=4, num_steps=5, num_blocks=10),
    "resnet3d": Network(resnet3d, _clips, batch_size=2, num_steps=3, num_blocks=8),
    "heavy_model": Network(heavy_model, _wide_vectors, batch_size=8, num_steps=20, num_blocks=6),
    "heavy_batch": Network(heavy_batch, _images, batch_size=160, num_steps=4, num_blocks=6),
    "mlp": Network(mlp, _vectors, batch_size=32, num_steps=100, num_blocks=40),
}
