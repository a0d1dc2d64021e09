"""Names that occur more than once, made unique."""

from __future__ import annotations

from collections.abc import Container, Sequence
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


def path_of(variable: Any) -> str:
    """The path of a variable; the name of one that is no variable of Keras."""
    return str(variable.path if hasattr(variable, "path") else variable.name)
