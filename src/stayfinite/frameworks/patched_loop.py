"""The source of a loop whose body is run again: in its file, or in a patched text of the file."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterator
from pathlib import Path

from executing import Source

from stayfinite.frameworks.obstacles import Obstacle, WhyNot
from stayfinite.frameworks.source_loops import SourceLoop, Statement
from stayfinite.frameworks.step import CannotRemakeError
from stayfinite.graph.cells import cell_name, num_lines_above
from stayfinite.graph.graph import Span
from stayfinite.graph.running_loops import loops_in


class PatchedLoop:
    """A loop with a text that may be replaced; the part of a `RunningLoop` that is its source.

    Args:
        loop: The loop.

    Attributes:
        tree: The patched text of its file; None outside of `patched`.
    """

    def __init__(self, loop: SourceLoop) -> None:
        self.loop = loop
        self.tree: ast.Module | None = None

    @property
    def described(self) -> str:
        """`the loop at train.py:36`, `the loop at Cell In [3], line 2`."""
        cell = cell_name(self.loop.file)
        if cell is None:
            return f"the loop at {Path(self.loop.file).name}:{self.loop.line}"
        return f"the loop at {cell}, line {self.loop.line + num_lines_above(self.loop.file)}"

    @property
    def file(self) -> str:
        """The file that the loop is in."""
        return self.loop.file

    @property
    def number(self) -> int:
        """The number of the loop among those of its file."""
        return self.loop.number

    @property
    def is_of_module(self) -> bool:
        """Whether no function is around it."""
        return self.loop.is_of_module

    def holds(self, span: Span) -> bool:
        """Whether a position is in its body, in code that was compiled from it."""
        if span.file != self.loop.file or span.code is None:
            return False
        body = self.statement().body
        name = "<module>" if self.is_of_module else self.loop.code.co_qualname
        last = body[-1].end_lineno or body[-1].lineno
        return span.code.co_qualname == name and body[0].lineno <= span.line <= last

    @contextlib.contextmanager
    def patched(self, tree: ast.Module) -> Iterator[None]:
        """Inside the block, the body is that of the same loop in a patched text of its file."""
        outer, self.tree = self.tree, tree
        try:
            yield
        finally:
            self.tree = outer

    def statement(self) -> Statement:
        """The loop.

        Raises:
            CannotRemakeError: its source is not there.
        """
        tree = self.tree or Source.for_filename(self.loop.file).tree
        loops = [] if tree is None else loops_in(tree)
        if self.loop.number >= len(loops):
            raise CannotRemakeError(WhyNot(Obstacle.NO_SOURCE, self.loop.file))
        return loops[self.loop.number]
