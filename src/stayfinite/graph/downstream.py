"""What a value goes into."""

from __future__ import annotations

from stayfinite.graph.graph import Graph


def new_state_of(trace: Graph, value: int) -> list[str]:
    """The names of the new state that was computed from `value`, in the order of the state."""
    reached = {value}
    stack = [value]
    while stack:
        for op in trace.consumers.get(stack.pop(), ()):
            for result in op.results:
                if result not in reached:
                    reached.add(result)
                    stack.append(result)
    return [name for name, number in trace.new_state.items() if number in reached]
