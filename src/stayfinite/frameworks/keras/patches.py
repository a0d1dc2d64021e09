"""Replace methods of classes, or functions of modules, for the calls of one thread.

Two trainings may run in two threads while one of them is traced or replayed. A patched class is
seen by all threads, so the patch looks up the replacement by thread and leaves the others alone.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any

Method = Callable[..., Any]
# Makes the replacement of a method from the method itself.
Replacement = Callable[[Method], Method]

_LOCK = threading.Lock()
_PATCHES: dict[tuple[type | ModuleType, str], _PatchedMethod] = {}


@contextlib.contextmanager
def replaced(methods: Iterable[tuple[type | ModuleType, str, Replacement]]) -> Iterator[None]:
    """Inside the block, calls on this thread of each method run its replacement.

    Blocks may nest; the innermost replacement is called first. The class has its own method again
    when no thread is in such a block.
    """
    with contextlib.ExitStack() as stack:
        for owner, name, make in methods:
            stack.enter_context(_replaced_method(owner, name, make))
        yield


@contextlib.contextmanager
def _replaced_method(owner: type | ModuleType, name: str, make: Replacement) -> Iterator[None]:
    with _LOCK:
        patch = _PATCHES.get((owner, name))
        if patch is None:
            patch = _PATCHES[owner, name] = _PatchedMethod(owner, name)
        patch.num_blocks += 1
    try:
        with patch.on_this_thread(make):
            yield
    finally:
        with _LOCK:
            patch.num_blocks -= 1
            if not patch.num_blocks:
                patch.undo()
                del _PATCHES[owner, name]


class _PatchedMethod:
    """One patched method with the replacements of each thread."""

    def __init__(self, owner: type | ModuleType, name: str) -> None:
        self.num_blocks = 0
        self._owner = owner
        self._name = name
        self._is_own = name in vars(owner)
        self._plain: Method = getattr(owner, name)
        self._local = threading.local()

        @functools.wraps(self._plain)
        def call(*args: Any, **kwargs: Any) -> Any:
            return self._current()(*args, **kwargs)

        setattr(owner, name, call)

    def _current(self) -> Method:
        method: Method = getattr(self._local, "method", self._plain)
        return method

    @contextlib.contextmanager
    def on_this_thread(self, make: Replacement) -> Iterator[None]:
        """Call `make(method)` in place of the method on this thread, inside the block."""
        before = self._current()
        self._local.method = make(before)
        try:
            yield
        finally:
            self._local.method = before

    def undo(self) -> None:
        """Give the class its method back."""
        if self._is_own:
            setattr(self._owner, self._name, self._plain)
        else:
            delattr(self._owner, self._name)
