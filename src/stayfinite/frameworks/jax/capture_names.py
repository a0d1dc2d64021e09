"""JAX primitive names as the canonical op names that reports and rules use: those of `keras.ops`.

A primitive that is in neither table keeps its own name.
"""

from __future__ import annotations

from stayfinite.numerics import functions

_CANONICAL = {
    "asinh": "arcsinh",
    "atan": "arctan",
    "broadcast_in_dim": "broadcast_to",
    "concatenate": "concatenate",
    "conv_general_dilated": "conv",
    "convert_element_type": "cast",
    "dot_general": "matmul",
    "max": "maximum",
    "min": "minimum",
    "reduce_and": "all",
    "reduce_max": "max",
    "reduce_min": "min",
    "reduce_or": "any",
    "select_n": "where",
    "while": "while_loop",
}


def canonical(primitive: str) -> str:
    """The canonical name of a JAX primitive."""
    return _CANONICAL.get(primitive) or functions.canonical(primitive)
