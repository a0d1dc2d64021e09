"""Where the body of a loop takes a batch by `next`: `real = next(batches)`.

No hook of PyTorch is called there, and a generator of the user cannot be set back. So the modules
of the user that do this get a global name `next`, which calls the builtin and notes the item. It
is pickled as the builtin, and taken away again when nothing is guarded any more.
"""

from __future__ import annotations

import ast
import builtins
import functools
import pkgutil
import sys
from collections.abc import Callable, Iterable
from types import CodeType, FrameType
from typing import Any

import torch
from executing import Source

from stayfinite.frameworks.source_loops import Statement, taken_names
from stayfinite.frameworks.torch.plain.randomness import GeneratorNotes
from stayfinite.frameworks.torch.plain.steps import Events, Take

_plain = builtins.next


class NotingNext:
    """Is called as `next`.

    Args:
        call: Calls it with its arguments, and the frame that they are from.
    """

    def __init__(self, call: Callable[[tuple[Any, ...], FrameType], Any]) -> None:
        functools.update_wrapper(self, _plain)
        self._call = call

    def __call__(self, *args: Any) -> Any:
        """The next item of an iterator."""
        if torch.compiler.is_compiling():
            return _plain(*args)
        return self._call(args, sys._getframe(1))

    def __reduce__(self) -> tuple[Callable[[str], Any], tuple[str]]:
        """The builtin, for another process."""
        return pkgutil.resolve_name, ("builtins:next",)

    def __repr__(self) -> str:
        """As the builtin."""
        return repr(_plain)


class NextCalls:
    """Notes the items of statements such as `x, y = next(batches)` inside loops.

    Args:
        generators: Reads the random generators.
        events: The draws and updates of now.
        is_watching: Whether anything is noted now.
    """

    def __init__(
        self,
        generators: GeneratorNotes,
        events: Events,
        is_watching: Callable[[], bool],
    ) -> None:
        self._generators = generators
        self._events = events
        self._is_watching = is_watching
        # By the identity of code, which is kept: its statements by each of their lines.
        self._known: dict[int, tuple[CodeType, dict[int, ast.Assign]]] = {}
        self._next = NotingNext(self._call)
        self._modules: list[dict[str, Any]] = []

    def look(self, frames: Iterable[FrameType]) -> None:
        """Note such items from now on in the modules of running frames."""
        for frame in frames:
            if "next" not in frame.f_globals and self._statements(frame.f_code):
                frame.f_globals["next"] = self._next
                self._modules.append(frame.f_globals)

    def end(self) -> None:
        """Leave the modules as they were."""
        for names in self._modules:
            if names.get("next") is self._next:
                del names["next"]
        self._modules.clear()

    def _call(self, args: tuple[Any, ...], caller: FrameType) -> Any:
        if not self._is_watching():
            return _plain(*args)
        events = self._events
        before = events.num_drawn
        item = _plain(*args)
        statement = self._statements(caller.f_code).get(caller.f_lineno)
        if statement is not None:
            num_draws, generators = events.num_drawn - before, self._generators.now()
            events.took(Take(id(caller), statement, item, generators, num_draws))
        return item

    def _statements(self, code: CodeType) -> dict[int, ast.Assign]:
        known = self._known.get(id(code))
        if known is None:
            known = self._known[id(code)] = code, _statements_of(code.co_filename)
        return known[1]


@functools.lru_cache(maxsize=256)
def _statements_of(file: str) -> dict[int, ast.Assign]:
    """The assignments of `next(...)` inside loops of a file, by each of their lines."""
    tree = Source.for_filename(file).tree
    loops = [] if tree is None else [n for n in ast.walk(tree) if isinstance(n, Statement)]
    return {
        line: node
        for loop in loops
        for node in ast.walk(loop)
        if isinstance(node, ast.Assign) and taken_names(node)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
