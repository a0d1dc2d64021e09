"""Edits of a file that keep its comments and its layout."""

from __future__ import annotations

import ast
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from stayfinite.repair.edit import Edit, Replacement, apply, insert_imports
from stayfinite.repair.source import SourceFile

Position = tuple[int, int]
Range = tuple[Position, Position]


class CannotChangeError(Exception):
    """The layout of the statement leaves no room for the change."""


@dataclass(frozen=True)
class Changes:
    """What to change in a file, by nodes of its syntax tree.

    The expression `node` gets other text; `lines` are put before the statement that holds it;
    `removed` are whole statements; `imports` are lines for the top of the file. An augmented
    assignment is replaced as a whole, by a statement.
    """

    source: SourceFile
    node: ast.expr | ast.AugAssign
    text: str
    lines: Sequence[str] = ()
    removed: Sequence[ast.stmt] = ()
    imports: Sequence[str] = field(default=())

    @cached_property
    def replacements(self) -> tuple[Replacement, ...]:
        """The changes as pieces of text, as small as they can be.

        Raises:
            CannotChangeError: lines would have to stand before a statement that shares its line.
        """
        # `libcst` takes a third of a second to load, and most incidents end without a rewriting.
        from stayfinite.repair.writing.syntax_tree import changed

        start, end = self._block
        old = self.source.text[start:end]
        new = changed(self, old)
        first, last = common(old, new)
        piece = Replacement(start + first, end - last, new[first : len(new) - last])
        imports = insert_imports(self.source, self.node, self.imports)
        if imports and imports[0].start == piece.start:
            return (Replacement(piece.start, piece.end, imports[0].text + piece.text),)
        return (*imports, piece)

    @property
    def after(self) -> SourceFile:
        """The file with the changes."""
        return self.source.with_text(apply(self.source.text, self.replacements))

    def edit(self, kind: str, num_places: int = 1) -> Edit:
        """The changes as an edit of the file."""
        return Edit(self.source, kind, self.replacements, num_places)

    def range_of(self, node: ast.expr | ast.stmt) -> Range:
        """The position of a node as `libcst` counts it in the block: columns in characters."""
        starts, first = self.source.line_starts, self._block[0]
        before = bisect_right(starts, first) - 1
        found = []
        for index in self.source.range_of(node):
            line = bisect_right(starts, index)
            found.append((line - before, index - starts[line - 1]))
        return found[0], found[1]

    @cached_property
    def _block(self) -> tuple[int, int]:
        """The lines of the statement of the module that holds the node; the rest is not parsed."""
        around = [self.node, *self.source.ancestors(self.node)]
        top = around[-2]
        decorators = (
            top.decorator_list
            if isinstance(top, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            else []
        )
        assert isinstance(top, ast.stmt)
        line = min([top.lineno, *(decorator.lineno for decorator in decorators)])
        starts = [*self.source.line_starts, len(self.source.text)]
        return starts[line - 1], starts[top.end_lineno or top.lineno]


def is_conditional(source: SourceFile, expression: ast.AST) -> bool:
    """Whether the expression may not be evaluated, or has names that its statement has not."""
    for around in source.ancestors(expression):
        if isinstance(around, ast.stmt):
            return isinstance(around, ast.While)
        if isinstance(around, ast.IfExp | ast.BoolOp | ast.comprehension | ast.Lambda):
            return True
        if isinstance(around, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            return True
    return False


def common(old: str, new: str) -> tuple[int, int]:
    """How many characters two texts have in common at their beginning, and at their end."""
    shortest = min(len(old), len(new))
    start = 0
    while start < shortest and old[start] == new[start]:
        start += 1
    end = 0
    while end < shortest - start and old[-1 - end] == new[-1 - end]:
        end += 1
    return start, end
