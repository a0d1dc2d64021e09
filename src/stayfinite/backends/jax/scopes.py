"""Telling, for each equation, which Keras object was at work: a token on JAX's name stack.

Keras's own name scopes hold names only, and operations in a functional graph
(`keras.ops.sqrt(tensor)`) have none. While a step is traced for its explanation, each call of a
layer, operation, loss or optimizer is wrapped in a scope `@n`, and `n` leads back to the object.
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any

import jax
import keras

from stayfinite.backends.jax import private

_TOKEN = re.compile(r"@(\d+)")


class Scopes:
    """The objects behind the tokens of one trace."""

    def __init__(self) -> None:
        self._objects: list[Any] = []
        self._numbers: dict[int, int] = {}

    def chain(self, name_stack: str) -> list[Any]:
        """The Keras objects named in `name_stack`, outermost first."""
        return [self._objects[int(number)] for number in _TOKEN.findall(name_stack)]

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Name every Keras object that is called inside the block."""
        owners: list[tuple[Any, str]] = [
            (keras.Operation, "__call__"),
            (keras.Layer, "__call__"),
            (keras.losses.Loss, "__call__"),
            (private.BaseOptimizer, "apply"),
        ]
        plain = [getattr(owner, method) for owner, method in owners]
        for (owner, method), function in zip(owners, plain, strict=True):
            setattr(owner, method, self._scoped(function))
        try:
            yield
        finally:
            for (owner, method), function in zip(owners, plain, strict=True):
                setattr(owner, method, function)

    def _scoped(self, plain: Callable[..., Any]) -> Callable[..., Any]:
        def scoped_call(self_: Any, *args: Any, **kwargs: Any) -> Any:
            with jax.named_scope(f"@{self._number(self_)}"):
                return plain(self_, *args, **kwargs)

        _SCOPED_CODES.add(scoped_call.__code__)
        return functools.wraps(plain)(scoped_call)

    def _number(self, called: Any) -> int:
        if id(called) not in self._numbers:
            self._numbers[id(called)] = len(self._objects)
            self._objects.append(called)
        return self._numbers[id(called)]


_SCOPED_CODES: set[CodeType] = set()


def is_scoped_call(code: CodeType) -> bool:
    """Whether `code` is the frame that entered a Keras object's scope."""
    return code in _SCOPED_CODES


def section(name_stack: str) -> str:
    """The innermost token and the pass: what stays the same inside one call of a layer."""
    tokens = _TOKEN.findall(name_stack)
    innermost = tokens[-1] if tokens else ""
    return f"{innermost} {is_backward(name_stack)}"


def is_backward(name_stack: str) -> bool:
    """Whether JAX made the equation by transposing a forward one."""
    return "transpose(" in name_stack


def layer_path(model: Any, chain: list[Any]) -> str | None:
    """`model/block/dense` for the layers in `chain`; None outside every layer.

    Keras enters a layer by `Layer.__call__` and `Operation.__call__`, so each stands there twice;
    a model's own train step calls it by `call`, so the model itself may be missing.
    """
    names: list[str] = []
    for called in chain:
        if isinstance(called, keras.Layer) and names[-1:] != [called.name]:
            names.append(called.name)
    if not names:
        return None
    return "/".join(names if names[0] == model.name else [model.name, *names])
