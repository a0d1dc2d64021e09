"""ATen operator names as the canonical op names that reports and rules use: those of `keras.ops`.

An operator that is in neither table keeps its own name, without the underscores around it.
"""

from __future__ import annotations

from collections.abc import Mapping

from stayfinite.frameworks.torch import private
from stayfinite.numerics import functions

_CANONICAL = {
    "addbmm": "matmul",
    "addmm": "matmul",
    "addmv": "matmul",
    "alias": "copy",
    "amax": "max",
    "amin": "min",
    "asinh": "arcsinh",
    "atan": "arctan",
    "avg_pool2d": "average_pool",
    "avg_pool3d": "average_pool",
    "baddbmm": "matmul",
    "bmm": "matmul",
    "cat": "concatenate",
    "cdist_forward": "cdist",
    "clamp_max": "minimum",
    "clamp_min": "maximum",
    "clone": "copy",
    "convolution": "conv",
    "copy": "copy",
    "detach": "copy",
    "dot": "matmul",
    "embedding": "gather",
    "expand": "broadcast_to",
    "hardtanh": "clip",
    "index": "gather",
    "index_select": "gather",
    "lift_fresh": "copy",
    "log_sigmoid_forward": "log_sigmoid",
    "masked_fill": "where",
    "max_pool2d_with_indices": "max_pool",
    "max_pool3d_with_indices": "max_pool",
    "mm": "matmul",
    "mv": "matmul",
    "native_batch_norm": "batch_normalization",
    "native_dropout": "dropout",
    "native_layer_norm": "layer_normalization",
    "nll_loss2d_forward": "nll_loss",
    "nll_loss_forward": "nll_loss",
    "permute": "transpose",
    "rsub": "subtract",
    "select": "slice",
    "t": "transpose",
    "take": "gather",
    "to_copy": "cast",
    "unsafe_view": "reshape",
    "unsqueeze": "reshape",
    "view": "reshape",
}

# Operators that several functions are in, one of which has no value where theirs is not finite.
IN_PARTS = frozenset({"layer_normalization", "native_group_norm", "weight_norm_interface"})

# The moving statistics of a batch normalization. While it trains, it writes to them and computes
# with those of the batch, and its derivative does not read them.
_MOVING = ("running_mean", "running_var")
_NORMALIZES = frozenset({"native_batch_norm", "cudnn_batch_norm", "miopen_batch_norm"})
_TRAINING = ("training", "train")

# Their Python numbers are operands as much as their tensors are: `pow(x, 0.5)`, `clamp(x, 0)`.
_SCALAR_OPERANDS = {
    "alpha",
    "exponent",
    "max",
    "min",
    "other",
    "scalar",
    "scalars",
    "self",
    "value",
}
_TAKES_SCALARS = {
    "add",
    "clip",
    "divide",
    "equal",
    "greater",
    "greater_equal",
    "less",
    "less_equal",
    "maximum",
    "minimum",
    "mod",
    "multiply",
    "not_equal",
    "power",
    "subtract",
    "where",
}


def canonical(aten: str) -> str:
    """The canonical name of an operator: `aten::pow_` is `power`, as `aten::_foreach_pow` is."""
    name = aten.rpartition("::")[2].removeprefix(private.FOREACH).strip("_")
    return _CANONICAL.get(name) or functions.canonical(name)


def is_scalar_operand(name: str, argument: str) -> bool:
    """Whether a number given as `argument` is an operand of the canonical op `name`."""
    return name in _TAKES_SCALARS and argument in _SCALAR_OPERANDS


def order(aten: str, operands: list[int]) -> list[int]:
    """Operands in the order of the mathematics: `rsub(a, b)` is `b - a`."""
    if aten.rpartition("::")[2] == "rsub":
        return [operands[1], operands[0], *operands[2:]]
    if aten.rpartition("::")[2].startswith("masked_fill"):
        # Of the tensor, the mask and the value: where the mask is, the value, else the tensor.
        return [*operands[1:], operands[0]]
    if aten.rpartition("::")[2].startswith(("addmm", "baddbmm", "addbmm", "addmv")):
        # bias + a @ b: the product's factors first, as everywhere.
        return [*operands[1:], operands[0]]
    return operands


def written_unsaid(aten: str, given: Mapping[str, object]) -> tuple[str, ...]:
    """The arguments that an operator writes to, and whose declaration does not say so."""
    name = aten.rpartition("::")[2]
    return _MOVING if name in _NORMALIZES and _is_training(given) else ()


def unread(aten: str, given: Mapping[str, object]) -> tuple[str, ...]:
    """The arguments whose values change nothing of what an operator returns."""
    name = aten.rpartition("::")[2].removesuffix("_backward")
    return _MOVING if name in _NORMALIZES and _is_training(given) else ()


def _is_training(given: Mapping[str, object]) -> bool:
    return any(given.get(name) is True for name in _TRAINING)
