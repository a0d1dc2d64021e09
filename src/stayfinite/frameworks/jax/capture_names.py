"""JAX primitive names as the canonical op names that reports and rules use: those of `keras.ops`.

A primitive that is not in the table keeps its own name.
"""

from __future__ import annotations

_CANONICAL = {
    "acos": "arccos",
    "acosh": "arccosh",
    "add_any": "add",
    "asin": "arcsin",
    "asinh": "arcsinh",
    "atan": "arctan",
    "atan2": "arctan2",
    "atanh": "arctanh",
    "abs": "absolute",
    "broadcast_in_dim": "broadcast_to",
    "concatenate": "concatenate",
    "conv_general_dilated": "conv",
    "convert_element_type": "cast",
    "clamp": "clip",
    "div": "divide",
    "dot_general": "matmul",
    "eq": "equal",
    "ge": "greater_equal",
    "gt": "greater",
    "integer_pow": "power",
    "le": "less_equal",
    "logistic": "sigmoid",
    "lt": "less",
    "max": "maximum",
    "min": "minimum",
    "mul": "multiply",
    "ne": "not_equal",
    "neg": "negative",
    "pow": "power",
    "reduce_and": "all",
    "reduce_max": "max",
    "reduce_min": "min",
    "reduce_or": "any",
    "reduce_prod": "prod",
    "reduce_sum": "sum",
    "rem": "mod",
    "select_n": "where",
    "sub": "subtract",
    "while": "while_loop",
}


def canonical(primitive: str) -> str:
    """The canonical name of a JAX primitive."""
    return _CANONICAL.get(primitive, primitive)
