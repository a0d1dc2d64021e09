"""Plain values as JSON with tags: numbers, strings, and lists, dictionaries and sets of them."""

from __future__ import annotations

import collections
import math
from typing import Any

import numpy as np

# Stands for a value that is not plain.
MISSING = object()


def encoded(value: Any) -> Any:
    """`value` as JSON with tags; `MISSING` if it is not plain."""
    if value is None or isinstance(value, bool | str) or type(value) is int:
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"float": repr(value)}
    if isinstance(value, np.number | np.bool_) and value.dtype.kind in "biuf":
        return {"numpy": [str(value.dtype), value.tobytes().hex()]}
    if isinstance(value, list | tuple | set | collections.deque):
        items = [encoded(item) for item in value]
        return MISSING if any(item is MISSING for item in items) else {_kind(value): items}
    if isinstance(value, dict):
        pairs = [[encoded(key), encoded(item)] for key, item in value.items()]
        if any(item is MISSING for pair in pairs for item in pair):
            return MISSING
        return {"dict": pairs}
    return MISSING


def decoded(value: Any) -> Any:
    """The value of which `encoded` gave `value`."""
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "float":
        return float(content)
    if kind == "numpy":
        dtype, data = content
        return np.frombuffer(bytes.fromhex(data), dtype)[0]
    if kind == "dict":
        return {decoded(key): decoded(item) for key, item in content}
    items = [decoded(item) for item in content]
    makers = {"tuple": tuple, "set": set, "deque": collections.deque}
    return makers[kind](items) if kind in makers else items


def put_into(present: Any, value: Any) -> bool:
    """Give the container `present` the content of `value`, because the user may hold it.

    Returns whether both are containers of one kind that can change.
    """
    if isinstance(present, list) and isinstance(value, list):
        present[:] = value
        return True
    for kind in (dict, set):
        if isinstance(present, kind) and isinstance(value, kind):
            present.clear()
            present.update(value)
            return True
    if isinstance(present, collections.deque) and isinstance(value, collections.deque):
        present.clear()
        present.extend(value)
        return True
    return False


def _kind(value: Any) -> str:
    kinds = {list: "list", tuple: "tuple", set: "set", collections.deque: "deque"}
    return next(name for kind, name in kinds.items() if isinstance(value, kind))
