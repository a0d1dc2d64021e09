"""Walks over a graph: to the roots of a failure, upstream, downstream, from derivative to forward.

Every walk is iterative and visits a value once, so that its time grows with the size of the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

from stayfinite.graph.graph import Graph, Op
from stayfinite.graph.recomputed import recomputed_op
from stayfinite.graph.source import callee
from stayfinite.incident import Phase
from stayfinite.numerics.functions import STRUCTURAL, canonical, row


class Unit(Protocol):
    """An op, or a sequence of ops, on numbered values."""

    @property
    def operands(self) -> tuple[int, ...]:
        """The values that it reads."""
        ...

    @property
    def results(self) -> tuple[int, ...]:
        """The values that it makes."""
        ...


U = TypeVar("U", bound=Unit)

# The parts of a complex number, which a derivative reads as it reads the number.
_PARTS = ("real", "imag")


def roots(
    units: Sequence[U], is_bad: Callable[[int], bool], sinks: Iterable[int]
) -> tuple[list[U], set[int]]:
    """Return the units that made a bad value, reaching a bad sink, from operands that were not bad.

    The walk starts at the bad sinks and follows bad values only. A bad value that a mask or a
    comparison discarded does not reach a sink and is not returned.

    Args:
        units: In the order of execution.
        is_bad: Whether a value has a non-finite element.
        sinks: Values that must be finite.

    Returns:
        The units, in order, and every bad value on the way from them to the sinks.
    """
    harmful = {sink for sink in sinks if is_bad(sink)}
    found: list[U] = []
    for unit in reversed(units):
        if not harmful.intersection(unit.results):
            continue
        bad_operands = [operand for operand in unit.operands if is_bad(operand)]
        harmful.update(bad_operands)
        if not bad_operands:
            found.append(unit)
    return found[::-1], harmful


def upstream(graph: Graph, value: int, *, max_ops: int = 4000) -> Iterator[Op]:
    """Yield the ops that `value` was computed from, nearest first, each once."""
    seen: set[int] = set()
    frontier = [value]
    while frontier and len(seen) < max_ops:
        later: list[int] = []
        for current in frontier:
            op = graph.producer.get(current)
            if op is None or op.index in seen:
                continue
            seen.add(op.index)
            yield op
            later.extend(op.operands)
        frontier = later


def unwrapped(graph: Graph, value: int, through: frozenset[str] | set[str]) -> int:
    """Follow `value` through ops named in `through`, along their first operand."""
    while True:
        op = graph.producer.get(value)
        if op is None or op.name not in through or not op.operands:
            return value
        value = op.operands[0]


def depends_on(graph: Graph, value: int, *roles: str) -> bool:
    """Whether `value` was computed from a leaf of one of `roles`."""
    return any(leaf.role in roles for leaf in graph.leaves_of(value))


def new_state_of(graph: Graph, value: int) -> list[str]:
    """Return the names of the new state computed from `value`, in the order of the state."""
    reached = {value}
    stack = [value]
    while stack:
        for op in graph.consumers.get(stack.pop(), ()):
            for result in op.results:
                if result not in reached:
                    reached.add(result)
                    stack.append(result)
    return [name for name, number in graph.new_state.items() if number in reached]


def primal_of(graph: Graph, op: Op) -> Op | None:
    """Return the forward op whose derivative `op` computes; None where none shares its values.

    A derivative reads the operands or results of its forward op and has the same user expression.
    The walk goes from `op` up through backward ops of that expression to the first forward value,
    or to the first that makes a forward value again.
    """
    if op.differentiates is not None:
        return graph.ops[op.differentiates]
    seen: set[int] = set()
    frontier = [op]
    while frontier:
        nearer: list[Op] = []
        for current in frontier:
            for value in current.operands:
                if value in seen or value in graph.constants:
                    continue
                seen.add(value)
                found = _forward_op_on(graph, value, op)
                if found is not None:
                    return found
                producer = graph.producer.get(value)
                if (
                    producer is not None
                    and producer.phase == "backward"
                    and _at_one_place(producer, op)
                ):
                    nearer.append(producer)
        frontier = nearer
    return None


def function_differentiated_inside(graph: Graph, op: Op) -> Op | None:
    """Return the function that the user calls where a forward `op` is a part of its derivative.

    None where `op` is that function, or the call has no op of its name. `op` reads what the
    function reads or returns.
    """
    called = None if op.phase != "forward" or op.span is None else callee(op.span)
    if called is None or row(op.name).pole is None or canonical(called) == op.name:
        return None
    for value in op.operands:
        producer = graph.producer.get(value)
        near: list[Op] = [] if producer is None else [producer]
        near += graph.consumers.get(value, ())
        for other in near:
            if other.name == canonical(called) and _at_one_place(other, op):
                return other
    return None


def _forward_op_on(graph: Graph, value: int, op: Op) -> Op | None:
    producer = graph.producer.get(value)
    candidates = [c for c in graph.consumers.get(value, []) if c is not op]
    if producer is not None:
        # A derivative written in terms of the result (`1 / (2 * sqrt(x))`) names its op best.
        candidates.insert(0, producer)
    for candidate in candidates:
        if candidate.name in STRUCTURAL or candidate.name in _PARTS:
            continue
        if not _at_one_place(candidate, op):
            continue
        if candidate.phase in ("forward", "statistics"):
            return candidate
        original = recomputed_op(graph, candidate) if candidate.phase == "backward" else None
        if original is not None:
            return original
    return None


def _at_one_place(one: Op, other: Op) -> bool:
    return one.span == other.span and one.stack == other.stack and one.layer == other.layer


def consumers_of(
    graph: Graph, values: Iterable[int], phases: Collection[Phase] | None = None
) -> list[Op]:
    """Return the ops of some phases, or of all, that read one of `values`; each once."""
    found = {
        op.index: op
        for value in values
        for op in graph.consumers.get(value, ())
        if phases is None or op.phase in phases
    }
    return list(found.values())


def nearest_downstream(
    graph: Graph,
    values: Iterable[int],
    phases: Collection[Phase] | None,
    *,
    max_steps: int,
    max_ops: int,
) -> list[Op]:
    """Return the ops that read `values`, then those that read their results, and so on.

    Args:
        graph: The graph.
        values: Where to begin.
        phases: Phases of the ops; None for all.
        max_steps: How far to go.
        max_ops: No further step is begun with so many ops.
    """
    found: dict[int, Op] = {}
    frontier = list(values)
    for _ in range(max_steps):
        fresh = [op for op in consumers_of(graph, frontier, phases) if op.index not in found]
        found.update((op.index, op) for op in fresh)
        frontier = [result for op in fresh for result in op.results]
        if not frontier or len(found) >= max_ops:
            break
    return list(found.values())
