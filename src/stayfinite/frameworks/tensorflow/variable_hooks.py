"""Tells a training that is checked in windows when other code reads or writes its state."""

from __future__ import annotations

import functools
import threading
import weakref
from collections.abc import Iterable
from typing import Any, Protocol

import keras
import tensorflow as tf

from stayfinite.frameworks.keras import private as keras_private


class StateOwner(Protocol):
    """A training whose variables are followed."""

    def reading(self) -> None:
        """Other code is about to read the state."""
        ...

    def writing(self, variable: Any) -> None:
        """Other code is about to assign a variable of the state."""
        ...


class _Followed:
    """Who owns a variable, in which thread, and whether it is more than one number."""

    def __init__(self, owner: StateOwner, *, is_array: bool) -> None:
        self.owner = weakref.ref(owner)
        self.thread = threading.get_ident()
        self.is_array = is_array


# By the id of the Keras variable: these have no hash.
_FOLLOWED: dict[int, _Followed] = {}
_installed = False


def follow(owner: StateOwner, variables: Iterable[Any]) -> None:
    """Tell `owner` of what the code of this thread does to `variables`.

    A single number, as a learning rate or a counter, may be read at any time.
    """
    global _installed
    for variable in variables:
        is_array = bool(variable.shape.num_elements() != 1)
        _FOLLOWED[id(variable)] = _Followed(owner, is_array=is_array)
        weakref.finalize(variable, _FOLLOWED.pop, id(variable), None)
    if not _installed:
        _installed = True
        _install()


def _install() -> None:
    """Hooks that stay: they have no effect where nothing is followed."""
    of_value = keras_private.owner_of(keras.Variable, "value")
    plain_value = of_value.value.fget

    def value(variable: Any) -> Any:
        followed = _followed(variable)
        owner = None if followed is None else followed.owner()
        if owner is not None and followed is not None and followed.is_array:
            owner.reading()
        return plain_value(variable)

    of_value.value = property(value, doc=of_value.value.__doc__)
    of_assign = keras_private.owner_of(keras.Variable, "assign")
    plain_assign = of_assign.assign

    def assign(variable: Any, value: Any) -> Any:
        followed = _followed(variable)
        owner = None if followed is None else followed.owner()
        if owner is not None:
            owner.writing(variable)
        return plain_assign(variable, value)

    of_assign.assign = functools.wraps(plain_assign)(assign)
    for name in ("make_test_function", "make_predict_function"):
        _hook_model(keras_private.owner_of(keras.Model, name), name)


def _followed(variable: Any) -> _Followed | None:
    """The entry of a variable, if this is its thread and no function is being traced."""
    followed = _FOLLOWED.get(id(variable)) if _FOLLOWED else None
    if followed is None or not tf.executing_eagerly():
        return None
    return followed if followed.thread == threading.get_ident() else None


def _hook_model(holder: Any, name: str) -> None:
    plain = getattr(holder, name)

    def make(model: Any, force: bool = False) -> Any:
        owners = [entry.owner() for entry in map(_followed, model.variables) if entry]
        if owners and owners[0] is not None:
            owners[0].reading()
        return plain(model, force)

    setattr(holder, name, functools.wraps(plain)(make))
