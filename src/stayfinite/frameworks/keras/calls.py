"""Which Keras object is being called while a step is traced or replayed.

Keras's own name scopes hold names only, and operations in a functional graph
(`keras.ops.sqrt(tensor)`) have none. So each call of a layer, operation, loss or optimizer is
wrapped while a step is traced or replayed.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras

from stayfinite.frameworks.entries import note_entry
from stayfinite.frameworks.keras import private as keras_private
from stayfinite.frameworks.keras.patches import replaced


@contextlib.contextmanager
def entered(scope: Callable[[Any], contextlib.AbstractContextManager[Any]]) -> Iterator[None]:
    """Inside the block, run each call of a Keras object inside `scope(object)`."""
    owners: list[tuple[Any, str]] = [
        (keras.Operation, "__call__"),
        (keras.Layer, "__call__"),
        (keras.losses.Loss, "__call__"),
        (keras_private.BaseOptimizer, "apply"),
        *_own_calls(keras.optimizers.schedules.LearningRateSchedule),
        *_own_calls(keras.constraints.Constraint),
    ]
    entering = functools.partial(_entering, scope=scope)
    with replaced((owner, method, entering) for owner, method in owners):
        yield


def layer_path(model_name: str, chain: Iterable[Any]) -> str | None:
    """`model/block/dense` for the layers in `chain`; None outside every layer.

    Keras enters a layer by `Layer.__call__` and `Operation.__call__`, so `chain` has each twice. A
    train step calls its model by `call`, so the model itself may be missing.
    """
    names: list[str] = []
    for called in chain:
        if isinstance(called, keras.Layer) and names[-1:] != [called.name]:
            names.append(called.name)
    if not names:
        return None
    return "/".join(names if names[0] == model_name else [model_name, *names])


def _own_calls(base: type) -> list[tuple[Any, str]]:
    """`__call__` wherever a subclass has its own: these bases call nothing themselves."""
    found: list[tuple[Any, str]] = []
    owner: type
    for owner in base.__subclasses__():
        if "__call__" in vars(owner):
            found.append((owner, "__call__"))
        found.extend(_own_calls(owner))
    return list(dict.fromkeys(found))


def _entering(
    plain: Callable[..., Any], scope: Callable[[Any], contextlib.AbstractContextManager[Any]]
) -> Callable[..., Any]:
    def scoped_call(self_: Any, *args: Any, **kwargs: Any) -> Any:
        with scope(self_):
            return plain(self_, *args, **kwargs)

    note_entry(scoped_call.__code__)
    return functools.wraps(plain)(scoped_call)
