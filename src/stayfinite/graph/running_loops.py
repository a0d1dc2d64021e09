"""Loops of the user that are running while their step is made again from their source.

The code of a running frame cannot be replaced. What makes a loop's body again can compile it from a
patched text instead.
"""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from stayfinite.graph.graph import Span

Loop = ast.For | ast.While


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

    def holds(self, span: Span) -> bool:
        """Whether a position is in its body, in code that was compiled from it."""
        ...

    @property
    def left_out(self) -> frozenset[str]:
        """The statements of its body that are not run again, as `ast.dump` gives them."""
        ...

    @property
    def values(self) -> Mapping[str, object]:
        """What the local names of its function stand for, as far as its body reads them."""
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


def loop_at(span: Span) -> RunningLoop | None:
    """The innermost running loop whose own code a position is in."""
    found = [loop for loop in _LOOPS if loop.holds(span)]
    return found[-1] if found else None


def loops_in(tree: ast.AST) -> list[Loop]:
    """The loops of a file, in the order by which they are numbered."""
    return [node for node in ast.walk(tree) if isinstance(node, Loop)]
