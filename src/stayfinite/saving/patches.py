"""Replace functions of Keras while a training is guarded, and restore them at its end."""

from __future__ import annotations

import functools
import threading
import weakref
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, NamedTuple

Function = Callable[..., Any]


class KerasPatch(NamedTuple):
    """The function `name` of `owner`, and what makes its replacement of it."""

    owner: type | ModuleType
    name: str
    make: Callable[[Function], Function]


class Patches:
    """Patches of the whole process, in place as long as they have a holder.

    All threads see them, since Keras may run callbacks in a thread of its own.
    """

    def __init__(self, patches: Callable[[], Sequence[KerasPatch]]) -> None:
        self._patches = patches
        self._lock = threading.RLock()
        self._num_holders = 0
        self._undo: list[Callable[[], None]] = []

    def hold(self, owner: object) -> Callable[[], None]:
        """Put the patches in place; returns a function that releases them.

        They are also released when `owner` is deleted.
        """
        with self._lock:
            self._num_holders += 1
            if self._num_holders == 1:
                self._undo = [_put(patch, self._is_held) for patch in self._patches()]
        # `finalize` calls its function once, however often it is called.
        return weakref.finalize(owner, self._release)

    def _is_held(self) -> bool:
        return self._num_holders > 0

    def _release(self) -> None:
        with self._lock:
            self._num_holders -= 1
            if not self._num_holders:
                while self._undo:
                    self._undo.pop()()


def _put(patch: KerasPatch, is_held: Callable[[], bool]) -> Callable[[], None]:
    owner, name, make = patch
    plain = getattr(owner, name)
    changed = make(plain)
    is_own = name in vars(owner)

    @functools.wraps(plain)
    def call(*args: Any, **kwargs: Any) -> Any:
        return (changed if is_held() else plain)(*args, **kwargs)

    def undo() -> None:
        if vars(owner).get(name) is not call:
            return  # it was replaced by other code, which calls this one; it has no effect now
        if is_own:
            setattr(owner, name, plain)
        else:
            delattr(owner, name)

    setattr(owner, name, call)
    return undo
