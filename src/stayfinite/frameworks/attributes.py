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


@contextlib.contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Inside the block, an attribute of `owner` is `value`.

    What it inherits, or makes when it is asked, is inherited or made again after the block.
    """
    own = vars(owner)
    is_own, before = name in own, own.get(name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if is_own:
            setattr(owner, name, before)
        else:
            delattr(owner, name)


def nothing(*args: Any, **kwargs: Any) -> None:
    """For the place of a function whose effect is left out."""
