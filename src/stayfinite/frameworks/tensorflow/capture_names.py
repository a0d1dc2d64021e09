"""TensorFlow op types as the canonical op names that reports and rules use: those of `keras.ops`.

An op that is in neither table keeps its own name, in lower case with underscores.
"""

from __future__ import annotations

import re

from stayfinite.numerics import functions

_CANONICAL = {
    "AddN": "add",
    "All": "all",
    "Any": "any",
    "ArgMax": "argmax",
    "ArgMin": "argmin",
    "Asinh": "arcsinh",
    "Atan": "arctan",
    "BatchMatMul": "matmul",
    "BatchMatMulV2": "matmul",
    "BatchMatMulV3": "matmul",
    "BiasAdd": "add",
    "BroadcastTo": "broadcast_to",
    "ConcatV2": "concatenate",
    "Conv2D": "conv",
    "Conv3D": "conv",
    "DepthwiseConv2dNative": "depthwise_conv",
    "Einsum": "einsum",
    "ExpandDims": "reshape",
    "FloorDiv": "floor_divide",
    "FloorMod": "mod",
    "GatherNd": "gather",
    "GatherV2": "gather",
    "Identity": "copy",
    "MatMul": "matmul",
    "MirrorPad": "pad",
    "Pack": "stack",
    "PadV2": "pad",
    "ResourceGather": "gather",
    "Select": "where",
    "SelectV2": "where",
    "StridedSlice": "slice",
    "Tile": "broadcast_to",
    "TruncateDiv": "divide",
    "TruncateMod": "mod",
    "Xdivy": "divide",
}

# Ops of which only so many operands are numbers; the others are axes and positions.
_NUM_OPERANDS = {
    **dict.fromkeys(("Sum", "Mean", "Max", "Min", "Prod", "All", "Any", "Cumsum", "Cumprod"), 1),
    **dict.fromkeys(("ArgMax", "ArgMin", "Reshape", "Transpose", "BroadcastTo", "Tile"), 1),
    **dict.fromkeys(("ExpandDims", "StridedSlice", "Slice", "Pad", "MirrorPad", "ReverseV2"), 1),
    "GatherV2": 2,
}


def canonical(op_type: str) -> str:
    """The canonical name of a TensorFlow op: `RealDiv` is `divide`, `SqrtGrad` is `sqrt_grad`."""
    known = _CANONICAL.get(op_type)
    if known is not None:
        return known
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", op_type.removesuffix("V2"))
    return functions.canonical(words.lower().strip("_"))


def num_operands(op_type: str, num_inputs: int) -> int:
    """How many of its inputs are operands: not the axes of a sum, nor the shape of a reshape."""
    if op_type in ("ConcatV2", "SplitV"):
        return num_inputs - 1
    return _NUM_OPERANDS.get(op_type, num_inputs)
