"""The variables of a state compared with saved arrays, by name."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

import numpy as np

from stayfinite.frameworks.names import path_of, unique
from stayfinite.frameworks.state import RANDOM, Variable

Shape = tuple[int, ...]


def names_of(groups: Sequence[Sequence[Variable]]) -> list[list[str]]:
    """The name of each variable of a state, in its groups, as a `Step` names it."""
    flat = iter(unique([path_of(variable) for group in groups for variable in group]))
    return [[next(flat) for _ in group] for group in groups]


def differing_shape(shapes: Mapping[str, Shape], arrays: Mapping[str, np.ndarray]) -> str | None:
    """The first variable with another shape than the saved array of its name, in words."""
    for name, shape in shapes.items():
        if name in arrays and arrays[name].shape != shape:
            return f"{name} has the shape {shape}, and {arrays[name].shape} in the incident"
    return None


def unknown_names(
    groups: Sequence[Sequence[Variable]],
    arrays: Mapping[str, np.ndarray],
    ignored: Container[str],
) -> list[str]:
    """Names of weights, statistics and optimizer variables that only one of both sides has."""
    names = {name for group in names_of(groups)[:3] for name in group}
    saved = {name for name in arrays if name not in ignored and name not in RANDOM}
    return sorted(names ^ saved)
