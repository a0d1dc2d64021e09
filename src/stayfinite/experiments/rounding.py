"""Numbers that a function only approaches: a result that has one has been rounded."""

from __future__ import annotations

from stayfinite.graph.graph import Graph
from stayfinite.graph.walk import unwrapped
from stayfinite.numerics.functions import STRUCTURAL, row

_KEEPS_ZERO = STRUCTURAL | {"divide", "multiply"}


def approached(graph: Graph, value: int) -> tuple[float, ...]:
    """The numbers that `value` can only have by rounding."""
    op = graph.producer.get(unwrapped(graph, value, STRUCTURAL))
    if op is not None and op.name == "divide":
        # A softmax as JAX computes it; of any other quotient only a 0 is known to be rounded.
        above = graph.producer.get(unwrapped(graph, op.operands[0], STRUCTURAL))
        below = graph.producer.get(unwrapped(graph, op.operands[1], STRUCTURAL))
        if above is not None and below is not None and (above.name, below.name) == ("exp", "sum"):
            return row("softmax").approached
    if op is not None and row(op.name).approached:
        return row(op.name).approached
    op = graph.producer.get(unwrapped(graph, value, _KEEPS_ZERO))
    return (0.0,) if op is not None and 0.0 in row(op.name).approached else ()
