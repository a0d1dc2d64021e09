"""Hand-made traces: ops by name on numbered values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from stayfinite.diagnose.values import Values
from stayfinite.graph.graph import Graph, Leaf, Op, Span, Value


def span(line: int, file: str = "train.py") -> Span:
    return Span(file, line, 4, line, 20, "loss")


def op(
    index: int,
    name: str,
    operands: tuple[int, ...],
    result: int,
    *,
    phase: Any = "forward",
    layer: str | None = None,
    line: int = 1,
) -> Op:
    at = span(line)
    return Op(index, name, phase, operands, (result,), layer, at, (at,))


def trace(ops: list[Op], leaves: list[Leaf] = (), **options: Any) -> Graph:
    """A trace of `ops`; options: `samples` (values with a batch axis), `constants`, `shapes`."""
    numbers = {v for o in ops for v in (*o.operands, *o.results)} | {x.value for x in leaves}
    samples, shapes = options.get("samples", ()), options.get("shapes", {})
    return Graph(
        ops=ops,
        values={
            n: Value(n, shapes.get(n, (4, 3)), "float32", 0 if n in samples else None)
            for n in numbers
        },
        leaves={leaf.value: leaf for leaf in leaves},
        constants=options.get("constants", {}),
        loss=options.get("loss"),
        gradients=options.get("gradients", {}),
        new_state=options.get("new_state", {}),
        num_samples=4,
    )


def values(graph: Graph, arrays: Mapping[int, np.ndarray]) -> Values:
    """A store whose runs take the arrays from a table."""
    return Values(graph, lambda wanted: {value: arrays[value] for value in wanted})
