"""Loops of the user that are running while their step is made again from their source.

The code of a running frame cannot be replaced. What makes a loop's body again can compile it from a
patched text instead.
"""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol


class RunningLoop(Protocol):
    """One loop whose body is compiled again."""

    @property
    def file(self) -> str:
        """Its file as the running code names it."""
        ...

    @property
    def number(self) -> int:
        """Its number among the loops of the file, in the order of `ast.walk`."""
        ...

    @property
    def names(self) -> dict[str, object]:
        """The globals that it runs in."""
        ...

    @property
    def is_of_module(self) -> bool:
        """Whether no function is around it."""
        ...

    def patched(self, tree: ast.Module) -> AbstractContextManager[None]:
        """Inside the block, its body is that of the same loop in `tree`."""
        ...


_LOOPS: list[RunningLoop] = []


@contextlib.contextmanager
def running(loop: RunningLoop) -> Iterator[None]:
    """Inside the block, patches of its file reach `loop`."""
    _LOOPS.append(loop)
    try:
        yield
    finally:
        _LOOPS.remove(loop)


def running_loops() -> list[RunningLoop]:
    """Those of the blocks that are entered."""
    return list(_LOOPS)


def loops_in(tree: ast.AST) -> list[ast.For | ast.While]:
    """The loops of a file, in the order by which they are numbered."""
    return [node for node in ast.walk(tree) if isinstance(node, ast.For | ast.While)]
