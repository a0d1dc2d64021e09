"""Attributes of an object with other values for a while."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def set_attribute(owner: Any, name: str, value: Any) -> Iterator[None]:
    """`owner.name = value` inside the block, without the attribute tracking of its class."""
    held = vars(owner)
    missing = object()
    before = held.get(name, missing)
    held[name] = value
    try:
        yield
    finally:
        if before is missing:
            held.pop(name, None)
        else:
            held[name] = before
