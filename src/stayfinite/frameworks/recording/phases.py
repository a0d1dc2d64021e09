"""The phase of each op of a step, by data flow.

What was differentiated is backward. Of the rest, what loss and metrics are computed from is
forward, what else the gradients are computed from is backward, then come the moving statistics,
and what remains is the update. This holds for a train step of the user's own too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from stayfinite.graph.walk import Unit
from stayfinite.incident import Phase


def phases(
    units: Sequence[Unit],
    *,
    is_backward: Callable[[int], bool],
    observed: Iterable[int],
    gradients: Iterable[int],
    statistics: Iterable[int],
) -> list[Phase]:
    """The phase of each of `units`, which are in the order of execution.

    Args:
        units: The ops.
        is_backward: Whether the op at an index is known to be a derivative.
        observed: Values of loss and logs.
        gradients: Values that an optimizer was given.
        statistics: New values of moving statistics.
    """
    gradients = set(gradients)
    producer = {result: index for index, unit in enumerate(units) for result in unit.results}

    def ancestors(values: Iterable[int], stop: set[int], border: set[int]) -> set[int]:
        found: set[int] = set()
        stack = list(values)
        while stack:
            index = producer.get(stack.pop())
            if index is None or index in found or index in stop:
                continue
            found.add(index)
            stack.extend(operand for operand in units[index].operands if operand not in border)
        return found

    # In a step that makes several updates, a later loss is computed from earlier gradients.
    forward = ancestors((value for value in observed if value not in gradients), set(), gradients)
    backward = ancestors(gradients, forward, set())
    moving = ancestors(statistics, forward | backward, set())

    def phase(index: int) -> Phase:
        if is_backward(index):
            return "backward"
        if index in forward:
            return "forward"
        if index in backward:
            return "backward"
        return "statistics" if index in moving else "update"

    return [phase(index) for index in range(len(units))]
