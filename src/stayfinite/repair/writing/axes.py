"""Axes as the user writes them."""

from __future__ import annotations

import ast
import functools

from stayfinite.repair.extraction import Extraction, SourceOrigin
from stayfinite.repair.formula import REDUCTIONS, Node


class AxisWriter:
    """Writes the axes of operations on the values of `extraction`, for a library."""

    def __init__(self, extraction: Extraction, family: str) -> None:
        self._extraction = extraction
        self._family = family

    def text(self, node: Node) -> str | None:
        """The axis as the user writes it: from the end for the last one, unless it was not."""
        axis = dict(node.attributes).get("axis")
        if axis is None:
            return None
        if node.op == "flip" and self._family in ("tensorflow", "torch"):
            return f"[{', '.join(map(str, axis if isinstance(axis, tuple) else (axis,)))}]"
        shape = self._extraction.shape_of(node.operands[0])
        axes = axis if isinstance(axis, tuple) else (axis,)
        rank = None if shape is None else len(shape) + _num_new(node)
        if (
            node.op in ("softmax", "log_softmax")
            and self._leaves_axis_out
            and rank is not None
            and axes == (rank - 1,)
        ):
            return None
        written = self._written_axes.get((rank, axes))
        if written is not None:
            return written
        keeps = self._family == "torch" and bool(dict(node.attributes).get("keepdims"))
        if node.op in REDUCTIONS and rank is not None and axes == tuple(range(rank)) and not keeps:
            # PyTorch's `logsumexp` asks for the axes, and all others do if they keep them.
            if rank != 1 and not (node.op == "logsumexp" and self._family == "torch"):
                return None
            if rank == 1 and node.op != "logsumexp":
                return None
        if len(axes) == 1 and rank is not None and axes[0] == rank - 1:
            return "-1"
        return str(axes[0]) if len(axes) == 1 else f"({', '.join(map(str, axes))})"

    @functools.cached_property
    def _written_axes(self) -> dict[tuple[int | None, tuple[int, ...]], str]:
        """How the user writes the axes of arrays of some rank."""
        found: dict[tuple[int | None, tuple[int, ...]], str] = {}
        for origin, node in self._extraction.evaluated:
            axis = dict(node.attributes).get("axis")
            text = _axis_argument(origin)
            if axis is None or text is None:
                continue
            shape = self._extraction.shape_of(node.operands[0])
            axes = axis if isinstance(axis, tuple) else (axis,)
            if shape is not None:
                found.setdefault((len(shape) + _num_new(node), axes), text)
        return found

    @functools.cached_property
    def _leaves_axis_out(self) -> bool:
        """Whether the user calls `softmax` without an axis: it is the last one."""
        return self._family != "torch" and any(
            node.op in ("softmax", "log_softmax")
            and isinstance(origin.expression, ast.Call)
            and len(origin.expression.args) == 1
            and not origin.expression.keywords
            for origin, node in self._extraction.evaluated
        )


def _num_new(node: Node) -> int:
    """How many axes an operation adds, which its argument counts too."""
    axis = dict(node.attributes).get("axis")
    if node.op == "expand_dims" and isinstance(axis, tuple):
        return len(axis)
    return int(node.op == "stack")


def _axis_argument(origin: SourceOrigin) -> str | None:
    """The literal that a call passes as its axis."""
    expression = origin.expression
    if not isinstance(expression, ast.Call):
        return None
    given = [k.value for k in expression.keywords if k.arg in ("axis", "dim")]
    given += expression.args[-1:]
    for value in given:
        try:
            literal = ast.literal_eval(value)
        except (ValueError, TypeError):
            continue
        if isinstance(literal, int | tuple) and not isinstance(literal, bool):
            return origin.source.text_of(value)
    return None
