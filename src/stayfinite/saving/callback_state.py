"""The state of the callbacks of a `fit`, as plain values and arrays.

Only attributes that have changed since the training began are state. The others are settings of the
script.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_MISSING = object()
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
        self._at_begin = {path: _encoded(value) for path, _, _, value in self._attributes()}

    def present(self) -> CallbackState:
        """Return the attributes that have changed."""
        state = CallbackState({}, {})
        for path, _, _, value in self._attributes():
            if _is_arrays(value):
                state.arrays[path] = [np.array(array) for array in value]
                continue
            encoded = _encoded(value)
            if encoded is not _MISSING and self._at_begin.get(path, _MISSING) != encoded:
                state.plain[path] = encoded
        return state

    def restore(self, state: CallbackState) -> None:
        """Set the attributes that had changed."""
        for prefix, callback in self._named():
            for path, encoded in state.plain.items():
                name = path.removeprefix(prefix)
                if path.startswith(prefix) and _may_be_state(callback, name):
                    _set(callback, name, _decoded(encoded))
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
    present = getattr(callback, name, None)
    # The same object, because the user may hold it.
    if isinstance(present, dict) and isinstance(value, dict):
        present.clear()
        present.update(value)
    elif isinstance(present, list) and isinstance(value, list):
        present[:] = value
    else:
        setattr(callback, name, value)


def _is_arrays(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(item, np.ndarray) and not item.dtype.hasobject for item in value)
    )


def _encoded(value: Any) -> Any:
    """`value` as JSON with tags; `_MISSING` if it is not plain."""
    if value is None or isinstance(value, bool | str) or type(value) is int:
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"float": repr(value)}
    if isinstance(value, np.number | np.bool_) and value.dtype.kind in "biuf":
        return {"numpy": [str(value.dtype), value.tobytes().hex()]}
    if isinstance(value, list | tuple):
        items = [_encoded(item) for item in value]
        if any(item is _MISSING for item in items):
            return _MISSING
        return {"list" if isinstance(value, list) else "tuple": items}
    if type(value) is dict:
        pairs = [[_encoded(key), _encoded(item)] for key, item in value.items()]
        if any(item is _MISSING for pair in pairs for item in pair):
            return _MISSING
        return {"dict": pairs}
    return _MISSING


def _decoded(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "float":
        return float(content)
    if kind == "numpy":
        dtype, data = content
        return np.frombuffer(bytes.fromhex(data), dtype)[0]
    if kind == "dict":
        return {_decoded(key): _decoded(item) for key, item in content}
    items = [_decoded(item) for item in content]
    return items if kind == "list" else tuple(items)
