"""Which results of a traced step show whether its gradients and its new state are finite."""

from __future__ import annotations

from dataclasses import dataclass

from stayfinite.frameworks.jax.marks import arrays_to_read
from stayfinite.frameworks.jax.plain.left_out_updates import leaves_out_bad
from stayfinite.frameworks.jax.plain.step_trace import StepTrace
from stayfinite.frameworks.jax.plain.trees import KeyPath, joined, name_of
from stayfinite.graph.graph import Role


@dataclass(frozen=True)
class ArraysToRead:
    """What shows whether the gradients and the new state of a step are all finite.

    Attributes:
        num_gradients: How many gradients the step has.
        gradients: The numbers of those to be read.
        state: The names of the new state to be read.
    """

    num_gradients: int
    gradients: tuple[int, ...]
    state: frozenset[str]


def to_be_read(
    seen: StepTrace, places: dict[str, KeyPath], roles: dict[str, Role], marked: frozenset[str]
) -> ArraysToRead:
    """What shows whether all gradients and the new state are finite.

    Args:
        seen: The trace.
        places: Where each argument comes back.
        roles: The roles of the state.
        marked: The names of the state that is never infinite on purpose.
    """
    assert seen.jaxpr is not None
    first = seen.num_gradients
    name_at = _names_of_results(seen, places)
    state = {number: name for number, name in name_at.items() if name in roles}
    covering = {number for number, name in state.items() if name in marked}
    read = arrays_to_read(seen.jaxpr, [*range(first), *state], covering)
    names = frozenset(state[number] for number in read if number >= first)
    return ArraysToRead(first, tuple(number for number in read if number < first), names)


def _names_of_results(seen: StepTrace, places: dict[str, KeyPath]) -> dict[int, str]:
    """The names of the arrays of the state among the results of a trace, by number."""
    first = seen.num_gradients
    found = {
        first + number: joined(label, name_of(path[len(place) :]))
        for number, (path, _) in enumerate(seen.outputs)
        for label, place in places.items()
        if path[: len(place)] == place
    }
    return found | {first + len(seen.outputs) + n: name for n, name in enumerate(seen.objects)}


def keeps_old_weights(seen: StepTrace, places: dict[str, KeyPath], trained: dict[str, int]) -> bool:
    """Whether the step leaves out an update by itself where a gradient is not finite.

    Args:
        seen: The trace.
        places: Where each argument comes back.
        trained: The numbers of the arrays of the call that are trained, by name.
    """
    assert seen.jaxpr is not None
    named = _names_of_results(seen, places)
    weights = {after: trained[name] for after, name in named.items() if name in trained}
    has_all = len(weights) == len(trained)
    return has_all and leaves_out_bad(seen.jaxpr, seen.num_gradients, weights)
