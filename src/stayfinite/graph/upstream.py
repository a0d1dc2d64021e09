"""What a value was computed from."""

from __future__ import annotations

from collections.abc import Iterator

from stayfinite.graph.graph import Graph, Op


def upstream(trace: Graph, value: int, *, max_ops: int = 4000) -> Iterator[Op]:
    """The ops that `value` was computed from, nearest first, each once."""
    seen: set[int] = set()
    frontier = [value]
    while frontier and len(seen) < max_ops:
        later: list[int] = []
        for current in frontier:
            op = trace.producer.get(current)
            if op is None or op.index in seen:
                continue
            seen.add(op.index)
            yield op
            later.extend(op.operands)
        frontier = later


def unwrapped(trace: Graph, value: int, through: frozenset[str] | set[str]) -> int:
    """The value behind the ops of `through`, which only move or retype their first operand."""
    while True:
        op = trace.producer.get(value)
        if op is None or op.name not in through or not op.operands:
            return value
        value = op.operands[0]


def depends_on(trace: Graph, value: int, *roles: str) -> bool:
    """Whether `value` was computed from a leaf of one of `roles`."""
    return any(leaf.role in roles for leaf in trace.leaves_of(value))
