"""What a step of the user's own returns, as its new state and the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stayfinite.frameworks.jax.plain.trees import (
    KeyPath,
    Numbers,
    joined,
    name_of,
    paths_of,
    taken_apart,
)
from stayfinite.frameworks.jax.plain.values import ResultForm, StepResult


def result_of(
    result: Any, places: Mapping[str, KeyPath], numbers: Numbers
) -> tuple[StepResult, dict[str, Any]]:
    """What a step returns beside its state, and the new state by name.

    Args:
        result: All that it returns.
        places: Where in it each argument comes back that is state, by its label.
        numbers: Which numbers of Python are returned as arrays.
    """
    after, tree = taken_apart(result, numbers)
    paths = paths_of(result)
    of_state: dict[int, str] = {}
    for number, leaf in enumerate(tree.arrays()):
        for label, place in places.items():
            if paths[leaf][: len(place)] == place:
                of_state[number] = joined(label, name_of(paths[leaf][len(place) :]))
    rest = [number for number in range(len(after)) if number not in of_state]
    leaves = tree.arrays()
    names_of_rest = tuple(name_of(paths[leaves[number]]) for number in rest)
    form = ResultForm(tree, tuple(of_state.items()), names_of_rest)
    new = {name: after[number] for number, name in of_state.items()}
    return StepResult(tuple(after[number] for number in rest), form), new
