"""The value of a formula, with NumPy and SciPy."""

import numpy as np
from scipy import special

from stayfinite.repair.extraction.shapes import python_key
from stayfinite.repair.formula import Node, walk

_SCIPY = "digamma erf erfc erfinv gamma i0 i0e i1 i1e log_ndtr xlogy".split()


def value_of(root: Node, leaves: dict[Node, np.ndarray]) -> np.ndarray:
    """The value of `root`, from those of its leaves."""
    done: dict[Node, np.ndarray] = {}
    for node in walk(root):
        if node.op == "leaf":
            done[node] = leaves[node]
        elif node.op == "constant":
            # A number of Python's own leaves the dtype of the other operand alone.
            done[node] = node.attribute("value")
        else:
            operands = [done[operand] for operand in node.operands]
            done[node] = np.asarray(_applied(node.op, operands, dict(node.attributes)))
    return done[root]


def _applied(op, a, attributes):
    axis = attributes.get("axis")
    if op in ("sum", "mean", "prod", "max", "min", "all", "any"):
        return getattr(np, op)(a[0], axis=axis, keepdims=attributes["keepdims"])
    if op == "logsumexp":
        return special.logsumexp(a[0], axis=axis, keepdims=attributes["keepdims"])
    if op in ("softmax", "log_softmax"):
        return getattr(special, op)(a[0], axis=axis)
    if op in ("stack", "concatenate"):
        return getattr(np, op)(a, axis=axis)
    if op == "logcumsumexp":
        return np.logaddexp.accumulate(a[0], axis=axis)
    if op in ("expand_dims", "squeeze", "cumprod", "cumsum", "flip"):
        return getattr(np, op)(a[0], axis=axis)
    if op in _SCIPY:
        return getattr(special, op)(*a)
    others = {
        "broadcast_to": lambda: np.broadcast_to(a[0], attributes["shape"]),
        "cast": lambda: a[0].astype(attributes["dtype"]),
        "index": lambda: a[0][python_key(attributes["key"])],
        "lgamma": lambda: special.gammaln(a[0]),
        "log_sigmoid": lambda: -np.logaddexp(0, -a[0]),
        "pick": lambda: a[0][tuple(a[1:])],
        "reciprocal": lambda: 1 / a[0],
        "relu": lambda: np.maximum(a[0], 0),
        "reshape": lambda: a[0].reshape(attributes["shape"]),
        "roll": lambda: np.roll(a[0], attributes["shift"], axis),
        "rsqrt": lambda: 1 / np.sqrt(a[0]),
        "sigmoid": lambda: special.expit(a[0]),
        "silu": lambda: a[0] * special.expit(a[0]),
        "softplus": lambda: np.logaddexp(0, a[0]),
        "stop_gradient": lambda: a[0],
        "take_along_axis": lambda: np.take_along_axis(a[0], a[1], axis=axis),
        "transpose": lambda: a[0].transpose(attributes["axes"]),
    }
    return others[op]() if op in others else getattr(np, op)(*a)
