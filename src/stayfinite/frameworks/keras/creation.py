"""Notes where the user creates each layer, operation, loss, optimizer, schedule and constraint.

An op inside a library's layer has no user code on its stack but the call of `fit`; the line that
the user can change is the one that made the layer.
"""

from __future__ import annotations

import functools
import sys
import types
import weakref
from collections.abc import Callable
from typing import Any

from stayfinite.frameworks.keras import private as keras_private
from stayfinite.graph.code_owner import is_user_file
from stayfinite.graph.graph import Span
from stayfinite.graph.object_sites import note_setting, note_site, site_of
from stayfinite.graph.source import span_at, span_of

# The functions that replaced methods of Keras classes; the classes keep them alive.
_NOTING: set[Callable[..., Any]] = set()
# The optimizer of each learning rate, by its id.
_OPTIMIZERS: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()


def record() -> None:
    """Note the user's line for each Keras object created from now on. Idempotent."""
    import keras

    _note_on(keras.Operation, "__new__")
    _note_on(keras.losses.Loss, "__init__")
    _note_on(keras.optimizers.Optimizer, "__init__", _note_assignments)
    _note_learning_rates(keras.optimizers.Optimizer)
    # Their subclasses may leave out the constructor of the base, which has none of its own.
    for owner in (
        keras.optimizers.schedules.LearningRateSchedule,
        keras.constraints.Constraint,
        keras.initializers.Initializer,
    ):
        _note_on(owner, "__new__")


def _note_learning_rates(owner: Any) -> None:
    plain = owner.learning_rate
    if plain.fset in _NOTING:
        return

    @functools.wraps(plain.fset)
    def noting(optimizer: Any, value: Any) -> None:
        plain.fset(optimizer, value)
        span = _setter()
        if span is not None:
            note_setting(optimizer, span)

    _NOTING.add(noting)
    owner.learning_rate = property(plain.fget, noting, plain.fdel, plain.__doc__)


def _setter() -> Span | None:
    frame: Any = sys._getframe(2)
    while frame is not None:
        if is_user_file(frame.f_code.co_filename):
            return span_at(frame.f_code, frame.f_lasti)
        given = getattr(frame.f_locals.get("self"), "schedule", None)
        code = getattr(given, "__code__", None)
        if code is not None and is_user_file(code.co_filename):
            return span_of(code)
        frame = frame.f_back
    return None


def _note_assignments(optimizer: Any) -> None:
    """Note where the user's code assigns to the learning rate from now on."""
    variable = keras_private.learning_rate_of(optimizer)
    if hasattr(variable, "assign"):
        _OPTIMIZERS[id(variable)] = optimizer
        variable.assign = types.MethodType(assign, variable)


def assign(variable: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
    """`assign` of a learning rate, which notes where the user's code calls it.

    A method of the variable with the name that it replaces: so a copy of the variable assigns to
    itself, and a pickled one has the method of its class.
    """
    result = type(variable).assign(variable, value, *args, **kwargs)
    optimizer = _OPTIMIZERS.get(id(variable))
    # The id may be that of a variable which was deleted.
    if optimizer is not None and keras_private.learning_rate_of(optimizer) is variable:
        span = _assigner(type(variable))
        if span is not None:
            note_setting(optimizer, span)
    return result


def _assigner(kind: type) -> Span | None:
    """The user's line that assigns to a variable of class `kind`; None where a library does."""
    own_files = _files_of(kind)
    frame: Any = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename in own_files:
        frame = frame.f_back
    if frame is None or not is_user_file(frame.f_code.co_filename):
        return None
    return span_at(frame.f_code, frame.f_lasti)


@functools.cache
def _files_of(kind: type) -> frozenset[str]:
    """The files of the methods of a class."""
    modules = [sys.modules.get(each.__module__) for each in kind.__mro__]
    files = [getattr(module, "__file__", None) for module in modules]
    return frozenset(file for file in files if file is not None)


def _note_on(owner: Any, method: str, also: Callable[[Any], None] | None = None) -> None:
    """Note the sites of what `method` creates, and call `also` with each."""
    plain: Callable[..., Any] = getattr(owner, method)
    if plain in _NOTING:
        return
    if plain is object.__new__:
        plain = _next_new(owner)

    @functools.wraps(plain)
    def noting(subject: Any, *args: Any, **kwargs: Any) -> Any:
        result = plain(subject, *args, **kwargs)
        created = result if method == "__new__" else subject
        if also is not None:
            also(created)
        if site_of(created) is None:
            span = _innermost_user_span()
            if span is not None:
                note_site(created, span)
        return result

    _NOTING.add(noting)
    setattr(owner, method, staticmethod(noting) if method == "__new__" else noting)


def _is_loss(thing: object) -> bool:
    import keras

    return isinstance(thing, keras.losses.Loss)


def _next_new(owner: Any) -> Callable[..., Any]:
    """The constructor that `owner` inherits."""

    def new(cls: Any, *args: Any, **kwargs: Any) -> Any:
        following = super(owner, cls).__new__
        if following is object.__new__ and cls.__init__ is not object.__init__:
            return following(cls)
        return following(cls, *args, **kwargs)

    return new


def _innermost_user_span() -> Span | None:
    frame = sys._getframe(2)
    while frame is not None:
        if is_user_file(frame.f_code.co_filename):
            return span_at(frame.f_code, frame.f_lasti)
        # The loss that `compile(loss="mse")` names is made by the first `fit`, for an object that
        # `compile` made.
        maker = frame.f_locals.get("self") if frame.f_code.co_argcount else None
        if _is_loss(maker) and (site := site_of(maker)) is not None:
            return site
        if frame.f_back is None:
            return None
        frame = frame.f_back
    return None
