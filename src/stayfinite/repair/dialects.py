"""How each numerical library spells the same operations: tables only.

A *home* is a module under its usual public name; a *role* is an argument under our own name.
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


def _same(names: str) -> dict[str, str]:
    return {name: name for name in names.split()}


# What we can write: home -> our name of the operation -> its name there.
SPELLINGS: dict[str, dict[str, str]] = {
    "keras.ops": _same(
        "abs cast clip cumsum equal exp log log10 log2 log_sigmoid log_softmax logsumexp maximum"
        " minimum ones_like rsqrt sigmoid sign size softmax softplus sqrt square sum tanh var where"
    ),
    "keras.backend": _same(
        "abs clip equal logsumexp maximum minimum sigmoid sign softmax softplus sqrt square sum"
        " tanh var"
    ),
    "jax.numpy": _same(
        "abs clip cumsum equal exp log log10 log2 maximum minimum ones_like sign size sqrt square"
        " sum tanh var where"
    )
    | {"cast": "asarray"},
    "jax.nn": _same("log_sigmoid log_softmax logsumexp sigmoid softmax softplus"),
    "jax.lax": _same("rsqrt"),
    "jax.scipy.special": _same("logsumexp"),
    "tensorflow": _same(
        "abs cast equal maximum minimum ones_like sigmoid sign size sqrt square tanh where"
    )
    | {"clip": "clip_by_value", "sum": "reduce_sum", "logsumexp": "reduce_logsumexp"},
    "tensorflow.math": _same("log log_sigmoid rsqrt softplus") | {"var": "reduce_variance"},
    "tensorflow.nn": _same("log_softmax softmax softplus"),
    "torch": _same(
        "abs cumsum exp log log10 log2 log_softmax logsumexp ones_like rsqrt sigmoid sign softmax"
        " sqrt square sum tanh var where"
    )
    | {"clip": "clamp", "equal": "eq", "maximum": "clamp", "minimum": "clamp"},
    "torch.nn.functional": _same("softplus") | {"log_sigmoid": "logsigmoid"},
}

# Where submodules are found below a name that the user has imported.
SUBMODULES: dict[str, tuple[str, ...]] = {
    "keras": ("ops",),
    "jax": ("numpy", "nn", "lax", "scipy.special"),
    "tensorflow": ("math", "nn"),
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

# What we can read: the last name of a call -> our name of the operation.
OPERATIONS: dict[str, str] = _same(
    "abs arccos arccosh arcsin arctan2 arctanh cast clip cosh cumprod divide erfinv exp expm1 hypot"
    " log log10 log1p log2 log_sigmoid log_softmax logit logsumexp maximum mean minimum norm"
    " normalize power prod reciprocal rsqrt sigmoid sinh softmax softplus sqrt square std sum tanh"
    " var where"
) | {
    "acos": "arccos",
    "acosh": "arccosh",
    "asin": "arcsin",
    "atanh": "arctanh",
    "atan2": "arctan2",
    "clamp": "clip",
    "clip_by_value": "clip",
    "div": "divide",
    "true_divide": "divide",
    "divide_no_nan": "divide",
    "expit": "sigmoid",
    "float_power": "power",
    "l2_normalize": "normalize",
    "logsigmoid": "log_sigmoid",
    "pow": "power",
    "reduce_euclidean_norm": "norm",
    "reduce_logsumexp": "logsumexp",
    "reduce_mean": "mean",
    "reduce_prod": "prod",
    "reduce_std": "std",
    "reduce_sum": "sum",
    "reduce_variance": "var",
    "select": "where",
    "switch": "where",
    "vector_norm": "norm",
}

# The order of the arguments, by the name of the call, else by our name, else `("x",)`.
SIGNATURES: dict[str, tuple[str, ...]] = {
    "arctan2": ("left", "right"),
    "clip": ("x", "minimum", "maximum"),
    "cumprod": ("x", "axis"),
    "prod": ("x", "axis", "keepdims"),
    "divide": ("left", "right"),
    "hypot": ("left", "right"),
    "l2_normalize": ("x", "axis", "epsilon"),
    "logsumexp": ("x", "axis", "keepdims"),
    "maximum": ("left", "right"),
    "minimum": ("left", "right"),
    "norm": ("x", "order", "axis", "keepdims"),
    "normalize": ("x", "axis", "order", "epsilon"),
    "torch.nn.functional.normalize": ("x", "order", "axis", "epsilon"),
    "power": ("left", "right"),
    "reduce_euclidean_norm": ("x", "axis", "keepdims"),
    "softmax": ("x", "axis"),
    "log_softmax": ("x", "axis"),
    "mean": ("x", "axis", "keepdims"),
    "sum": ("x", "axis", "keepdims"),
    "where": ("condition", "left", "right"),
}

_KEYWORDS = {
    "x": "x a A input tensor logits value values input_tensor",
    "order": "ord p order",
    "axis": "axis dim",
    "keepdims": "keepdims keepdim keep_dims",
    "epsilon": "epsilon eps",
    "condition": "condition pred",
    "left": "x1 x input a on_true then_expression",
    "right": "x2 y other exponent b on_false else_expression",
    "minimum": "x_min min a_min clip_value_min min_value",
    "maximum": "x_max max a_max clip_value_max max_value",
}


def role_of(keyword: str, roles: tuple[str, ...], attribute: str) -> str | None:
    """Our name for the keyword argument of a call, `None` for one that we do not know."""
    if attribute == "atan2" and keyword in ("y", "x"):
        return "left" if keyword == "y" else "right"
    return next((role for role in roles if keyword in _KEYWORDS[role].split()), None)
