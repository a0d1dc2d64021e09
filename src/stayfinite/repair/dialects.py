"""The modules of the numerical libraries, and the lines that import them.

A *home* is a module under its usual public name.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_HOMES = [
    (re.compile(pattern + r"\Z"), home)
    for pattern, home in (
        (r"(.*\.)?(tf_)?keras(\.\w+)*\.ops(\.\w+)*", "keras.ops"),
        (r"(.*\.)?(tf_)?keras(\.\w+)*\.backend", "keras.backend"),
        (r"(.*\.)?(tf_)?keras(\.\w+)*\.activations(\.\w+)*", "keras.activations"),
        (r"jax\.numpy", "jax.numpy"),
        (r"jax\.numpy\.linalg", "jax.numpy.linalg"),
        (r"jax\.nn", "jax.nn"),
        (r"jax\.lax", "jax.lax"),
        (r"jax\.scipy\.special", "jax.scipy.special"),
        (r"tensorflow(\._api\.v\d)?(\.compat\.v\d)?", "tensorflow"),
        (r"tensorflow(\._api\.v\d)?(\.compat\.v\d)?\.math", "tensorflow.math"),
        (r"tensorflow(\._api\.v\d)?(\.compat\.v\d)?\.nn", "tensorflow.nn"),
        (r"tensorflow(\._api\.v\d)?(\.compat\.v\d)?\.linalg", "tensorflow.linalg"),
        (r"torch", "torch"),
        (r"torch\.linalg", "torch.linalg"),
        (r"torch\.nn\.functional", "torch.nn.functional"),
        (r"torch\.special", "torch.special"),
    )
]


def home_of(module: str) -> str | None:
    """The home of a module name, also of an internal one (`keras.src.ops.numpy`)."""
    return next((home for pattern, home in _HOMES if pattern.match(module)), None)


def family(home: str) -> str:
    """The library a home belongs to: `"keras"`, `"jax"`, `"tensorflow"` or `"torch"`."""
    return home.partition(".")[0]


# Where submodules are found below a name that the user has imported.
SUBMODULES: dict[str, tuple[str, ...]] = {
    "keras": ("ops",),
    "jax": ("numpy", "nn", "lax", "scipy.special"),
    "tensorflow": ("math", "nn", "linalg"),
    "torch": ("nn.functional", "special"),
}


class ImportLine(NamedTuple):
    """A line we may add, the name it binds, the prefix to use then, and that prefix's home."""

    line: str
    name: str
    prefix: str
    home: str


IMPORTS: dict[str, tuple[ImportLine, ...]] = {
    "keras": (
        ImportLine("from keras import ops", "ops", "ops", "keras.ops"),
        ImportLine("import keras", "keras", "keras.ops", "keras.ops"),
        ImportLine("from keras import ops as keras_ops", "keras_ops", "keras_ops", "keras.ops"),
    ),
    "jax": (
        ImportLine("import jax.numpy as jnp", "jnp", "jnp", "jax.numpy"),
        ImportLine("import jax", "jax", "jax.numpy", "jax.numpy"),
        ImportLine("import jax", "jax", "jax.nn", "jax.nn"),
        ImportLine("from jax import nn as jax_nn", "jax_nn", "jax_nn", "jax.nn"),
        ImportLine("from jax import lax", "lax", "lax", "jax.lax"),
        ImportLine("from jax.scipy import special", "special", "special", "jax.scipy.special"),
    ),
    "tensorflow": (
        ImportLine("import tensorflow as tf", "tf", "tf", "tensorflow"),
        ImportLine("import tensorflow as tf", "tf", "tf.math", "tensorflow.math"),
        ImportLine("import tensorflow as tf", "tf", "tf.nn", "tensorflow.nn"),
    ),
    "torch": (
        ImportLine("import torch", "torch", "torch", "torch"),
        ImportLine("import torch.nn.functional as F", "F", "F", "torch.nn.functional"),
        ImportLine("import torch", "torch", "torch.special", "torch.special"),
    ),
}
