"""Names of arguments and variables, and unique ones of names that occur more than once."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Container, Sequence
from typing import Any


def fresh(name: str, taken: Container[str]) -> str:
    """`name`, or `name:2` and so on where that is taken."""
    number = 1
    found = name
    while found in taken:
        number += 1
        found = f"{name}:{number}"
    return found


def unique(names: Sequence[str]) -> list[str]:
    """`names` with `:2` and so on after one that was there before."""
    seen: dict[str, int] = {}
    found = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name}:{seen[name]}")
    return found


def argument_names(function: Callable[..., Any], num_positional: int) -> list[str]:
    """The names of the positional arguments of a call, as the signature of `function` has them."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [parameter.name for parameter in parameters if parameter.kind in kinds]
    missing = [f"argument {number}" for number in range(len(names), num_positional)]
    return [*names[:num_positional], *missing]


def path_of(variable: Any) -> str:
    """The path of a variable; the name of one that is no variable of Keras."""
    if hasattr(variable, "path"):
        return str(variable.path)
    # TensorFlow adds the number of an output to a name.
    return str(variable.name).removesuffix(":0")
