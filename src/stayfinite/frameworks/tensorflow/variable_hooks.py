"""Hooks that check a training in windows before other code reads or writes its state."""

from __future__ import annotations

import functools
import threading
import weakref
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import keras
import tensorflow as tf

from stayfinite.frameworks.keras import private as keras_private


class StateOwner(Protocol):
    """A training whose variables are followed.

    Attributes:
        thread: The thread that makes its steps.
    """

    thread: int

    def reading(self) -> None:
        """Other code is about to read the state."""
        ...

    def writing(self, variable: Any) -> None:
        """Other code is about to assign a variable of the state."""
        ...

    def training(self, function: object) -> None:
        """A training that shares variables begins to make steps by this train function."""
        ...


class _Followed:
    """The owners of a variable, which two models may share.

    `is_read` says whether they are called when it is read.
    """

    def __init__(self, *, is_read: bool) -> None:
        self.is_read = is_read
        self.owners: list[weakref.ref[StateOwner]] = []

    def add(self, owner: StateOwner) -> None:
        living = [ref for ref in self.owners if ref() not in (None, owner)]
        self.owners = [*living, weakref.ref(owner)]


# By the id of the Keras variable: these have no hash.
_FOLLOWED: dict[int, _Followed] = {}
_MODEL_HOOKS: set[Callable[..., Any]] = set()
_installed = False


def follow(owner: StateOwner, variables: Iterable[Any], metrics: Iterable[Any]) -> None:
    """Call `owner` before code in its thread reads or writes the variables of a state.

    Args:
        owner: The training.
        variables: All but metrics. A single number of them, as a learning rate or a counter, may be
            read at any time.
        metrics: Keras reads them at the end of an epoch, before callbacks see the state.
    """
    global _installed
    for variable in variables:
        _follow(owner, variable, is_read=bool(variable.shape.num_elements() != 1))
    for variable in metrics:
        _follow(owner, variable, is_read=True)
    if not _installed:
        _installed = True
        _hook_variables()
    # A session that guards every model has hooks of its own, and may have removed these with them.
    _hook_models("make_train_function", lambda owner, model: owner.training(model.train_function))
    for name in ("make_test_function", "make_predict_function"):
        _hook_models(name, lambda owner, model: owner.reading())


def _follow(owner: StateOwner, variable: Any, *, is_read: bool) -> None:
    if id(variable) not in _FOLLOWED:
        _FOLLOWED[id(variable)] = _Followed(is_read=is_read)
        weakref.finalize(variable, _FOLLOWED.pop, id(variable), None)
    _FOLLOWED[id(variable)].add(owner)


def _hook_variables() -> None:
    """Hooks that stay: they have no effect where nothing is followed."""
    of_value = keras_private.owner_of(keras.Variable, "value")
    plain_value = of_value.value.fget

    def value(variable: Any) -> Any:
        for owner in _owners(variable, reads=True):
            owner.reading()
        return plain_value(variable)

    of_value.value = property(value, doc=of_value.value.__doc__)
    of_assign = keras_private.owner_of(keras.Variable, "assign")
    plain_assign = of_assign.assign

    def assign(variable: Any, value: Any) -> Any:
        for owner in _owners(variable):
            owner.writing(variable)
        return plain_assign(variable, value)

    of_assign.assign = functools.wraps(plain_assign)(assign)


def _owners(variable: Any, *, reads: bool = False) -> list[StateOwner]:
    """The owners of a variable in this thread, if no function is being traced."""
    followed = _FOLLOWED.get(id(variable)) if _FOLLOWED else None
    if followed is None or (reads and not followed.is_read) or not tf.executing_eagerly():
        return []
    thread = threading.get_ident()
    owners = [ref() for ref in followed.owners]
    return [owner for owner in owners if owner is not None and owner.thread == thread]


def _hook_models(name: str, notify: Callable[[StateOwner, Any], None]) -> None:
    holder = keras_private.owner_of(keras.Model, name)
    plain = getattr(holder, name)
    if plain in _MODEL_HOOKS:
        return

    @functools.wraps(plain)
    def make(model: Any, force: bool = False) -> Any:
        notified: list[StateOwner] = []
        for variable in model.variables if _FOLLOWED else []:
            new = [owner for owner in _owners(variable) if owner not in notified]
            notified += new
            for owner in new:
                notify(owner, model)
        return plain(model, force)

    _MODEL_HOOKS.add(make)
    setattr(holder, name, make)
