"""The state of the callbacks of a `fit`, as plain values and arrays.

Only attributes that have changed since the training began are state. The others are settings of the
script.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stayfinite.frameworks.keras.plain_values import MISSING, decoded, encoded, put_into

_NOT_STATE = ("params",)


@dataclass(frozen=True)
class CallbackState:
    """Values by "class/number/attribute", where the number counts callbacks of the class.

    Attributes:
        plain: Values of JSON.
        arrays: Lists of arrays, such as the best weights of `EarlyStopping`.
    """

    plain: dict[str, object]
    arrays: dict[str, list[np.ndarray]]


class CallbackStates:
    """Follows the callbacks of one `fit`, from its beginning on."""

    def __init__(self, callbacks: Sequence[Any]) -> None:
        self._callbacks = list(callbacks)
        self._at_begin = {path: encoded(value) for path, _, _, value in self._attributes()}

    def present(self) -> CallbackState:
        """Return the attributes that have changed."""
        state = CallbackState({}, {})
        for path, _, _, value in self._attributes():
            if _is_arrays(value):
                state.arrays[path] = [np.array(array) for array in value]
                continue
            as_json = encoded(value)
            if as_json is not MISSING and self._at_begin.get(path, MISSING) != as_json:
                state.plain[path] = as_json
        return state

    def restore(self, state: CallbackState) -> None:
        """Set the attributes that had changed."""
        for prefix, callback in self._named():
            for path, as_json in state.plain.items():
                name = path.removeprefix(prefix)
                if path.startswith(prefix) and _may_be_state(callback, name):
                    _set(callback, name, decoded(as_json))
            for path, arrays in state.arrays.items():
                if path.startswith(prefix):
                    setattr(callback, path.removeprefix(prefix), arrays)

    def _named(self) -> Iterator[tuple[str, Any]]:
        numbers: Counter[str] = Counter()
        for callback in self._callbacks:
            kind = f"{type(callback).__module__}.{type(callback).__qualname__}"
            yield f"{kind}/{numbers[kind]}/", callback
            numbers[kind] += 1

    def _attributes(self) -> Iterator[tuple[str, Any, str, Any]]:
        for prefix, callback in self._named():
            for name, value in list(vars(callback).items()):
                if _may_be_state(callback, name):
                    yield f"{prefix}{name}", callback, name, value


def _may_be_state(callback: Any, name: str) -> bool:
    if name == "min_delta" and hasattr(callback, "monitor_op"):
        # Keras changes its sign when it chooses the comparison, which each process does anew.
        return False
    return name not in _NOT_STATE


def _set(callback: Any, name: str, value: Any) -> None:
    if not put_into(getattr(callback, name, None), value):
        setattr(callback, name, value)


def _is_arrays(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(item, np.ndarray) and not item.dtype.hasobject for item in value)
    )
