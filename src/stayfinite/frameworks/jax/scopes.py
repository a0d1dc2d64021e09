"""Telling, for each equation, which Keras object was at work: a token on JAX's name stack.

While a step is traced for its explanation, each call of a layer, operation, loss or optimizer is
wrapped in a scope `@n`, and `n` leads back to the object.
"""

from __future__ import annotations

import contextlib
import re
from typing import Any

import jax

from stayfinite.frameworks.keras import calls as keras_calls

_TOKEN = re.compile(r"@(\d+)")


class Scopes:
    """The objects behind the tokens of one trace."""

    def __init__(self) -> None:
        self._objects: list[Any] = []
        self._numbers: dict[int, int] = {}

    def chain(self, name_stack: str) -> list[Any]:
        """The Keras objects named in `name_stack`, outermost first."""
        return [self._objects[int(number)] for number in _TOKEN.findall(name_stack)]

    def active(self) -> contextlib.AbstractContextManager[None]:
        """Name every Keras object that is called inside the block."""
        return keras_calls.entered(lambda called: jax.named_scope(f"@{self._number(called)}"))

    def _number(self, called: Any) -> int:
        if id(called) not in self._numbers:
            self._numbers[id(called)] = len(self._objects)
            self._objects.append(called)
        return self._numbers[id(called)]


def section(name_stack: str) -> str:
    """The innermost token and the pass: what stays the same inside one call of a layer."""
    tokens = _TOKEN.findall(name_stack)
    innermost = tokens[-1] if tokens else ""
    return f"{innermost} {is_backward(name_stack)}"


def is_backward(name_stack: str) -> bool:
    """Whether JAX made the equation by transposing a forward one."""
    return "transpose(" in name_stack
