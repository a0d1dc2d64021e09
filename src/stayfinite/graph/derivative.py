"""Which forward op a backward op belongs to.

A derivative is computed from the forward op's own operands or results, under the same user
expression. So the forward op is found by walking from the backward op up through backward ops of
the same expression until a forward value is met.
"""

from __future__ import annotations

from stayfinite.graph.graph import Graph, Op

# Ops that only move numbers. They share values with everything and explain nothing.
STRUCTURAL = {
    "broadcast_to",
    "reshape",
    "squeeze",
    "transpose",
    "cast",
    "copy",
    "slice",
    "concatenate",
    "pad",
    "stop_gradient",
    "optimization_barrier",
}


def primal_of(trace: Graph, op: Op) -> Op | None:
    """The forward op whose derivative `op` computes, or None where none shares its values."""
    if op.differentiates is not None:
        return trace.ops[op.differentiates]
    seen: set[int] = set()
    frontier = [op]
    while frontier:
        nearer: list[Op] = []
        for current in frontier:
            for value in current.operands:
                if value in seen or value in trace.constants:
                    continue
                seen.add(value)
                found = _forward_op_on(trace, value, op)
                if found is not None:
                    return found
                producer = trace.producer.get(value)
                if producer is not None and producer.phase == "backward" and _same(producer, op):
                    nearer.append(producer)
        frontier = nearer
    return None


def _forward_op_on(trace: Graph, value: int, op: Op) -> Op | None:
    made_by = trace.producer.get(value)
    candidates = [c for c in trace.consumers.get(value, []) if c is not op]
    if made_by is not None:
        # A derivative written in terms of the result (`1 / (2 * sqrt(x))`) names its op best.
        candidates.insert(0, made_by)
    for candidate in candidates:
        forward = candidate.phase in ("forward", "statistics")
        if forward and candidate.name not in STRUCTURAL and _same(candidate, op):
            return candidate
    return None


def _same(one: Op, other: Op) -> bool:
    return one.span == other.span and one.stack == other.stack and one.layer == other.layer
