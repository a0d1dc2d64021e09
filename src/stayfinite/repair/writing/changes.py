"""Edits of a file as a concrete syntax tree, which keeps its comments and its layout."""

from __future__ import annotations

import ast
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import libcst as cst
from libcst.metadata import CodeRange, MetadataWrapper, PositionProvider

from stayfinite.repair.edit import Edit, Replacement, apply, insert_imports
from stayfinite.repair.source import SourceFile

_Position = tuple[int, int]
_Range = tuple[_Position, _Position]


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
        start, end = self._block
        old = self.source.text[start:end]
        module = cst.parse_module(old)
        wrapper = MetadataWrapper(module, unsafe_skip_copy=True)
        change = _Change(self, wrapper.resolve(PositionProvider), wrapper.module)
        new = wrapper.module.visit(change).code
        if not change.done:
            raise CannotChangeError("the expression is not in the tree")
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

    def edit(self, kind: str, description: str, num_places: int = 1) -> Edit:
        """The changes as an edit of the file."""
        return Edit(self.source, kind, description, self.replacements, num_places)

    def range_of(self, node: ast.expr | ast.stmt) -> _Range:
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


class _Change(cst.CSTTransformer):
    def __init__(
        self,
        changes: Changes,
        positions: Mapping[cst.CSTNode, CodeRange],
        module: cst.Module,
    ) -> None:
        super().__init__()
        self._changes = changes
        self._positions = positions
        self._config = module.config_for_parsing
        self._target = changes.range_of(changes.node)
        self._removed = {changes.range_of(statement) for statement in changes.removed}
        self.done = False
        self._inside = False
        self._comments: list[cst.EmptyLine] = []

    def on_leave(  # type: ignore[override]
        self, original_node: cst.CSTNode, updated_node: cst.CSTNode
    ) -> cst.CSTNode | cst.RemovalSentinel | cst.FlattenSentinel[cst.CSTNode]:
        updated = super().on_leave(original_node, updated_node)
        wanted = (
            isinstance(original_node, cst.AugAssign)
            if isinstance(self._changes.node, ast.AugAssign)
            else isinstance(original_node, cst.BaseExpression)
        )
        if wanted and not self.done and self._range(original_node) == self._target:
            self.done = self._inside = True
            return self._new(original_node)
        if isinstance(original_node, cst.SimpleStatementSuite) and self._inside:
            if self._changes.lines:
                raise CannotChangeError("the statement shares its line with another")
            self._inside = False
        if isinstance(original_node, cst.SimpleStatementLine):
            assert isinstance(updated, cst.SimpleStatementLine)
            if self._is_removed(original_node):
                self._comments += [line for line in updated.leading_lines if line.comment]
                return cst.RemoveFromParent()
            if self._comments:
                lines = [*self._comments, *updated.leading_lines]
                updated = updated.with_changes(leading_lines=lines)
                self._comments = []
        if isinstance(original_node, cst.SimpleStatementLine) and self._inside:
            assert isinstance(updated, cst.SimpleStatementLine)
            self._inside = False
            return self._with_lines(original_node, updated)
        if isinstance(original_node, cst.If | cst.For | cst.With) and self._inside:
            # The expression is in the head of the statement.
            self._inside = False
            assert isinstance(updated, type(original_node))
            return self._before(updated)
        if isinstance(original_node, cst.While) and self._inside and self._changes.lines:
            raise CannotChangeError("the condition of a loop is evaluated again and again")
        return updated

    def _new(self, original: cst.CSTNode) -> cst.CSTNode:
        if isinstance(original, cst.AugAssign):
            statement = cst.parse_statement(self._changes.text, self._config)
            assert isinstance(statement, cst.SimpleStatementLine)
            return statement.body[0]
        assert isinstance(original, cst.BaseExpression)
        new = cst.parse_expression(self._changes.text, self._config)
        if (
            original.lpar
            and not new.lpar
            and not isinstance(new, cst.Call | cst.Name | cst.Attribute | cst.Subscript)
        ):
            return new.with_changes(lpar=original.lpar, rpar=original.rpar)
        return new

    def _with_lines(
        self, original: cst.SimpleStatementLine, updated: cst.SimpleStatementLine
    ) -> cst.CSTNode | cst.FlattenSentinel[cst.CSTNode]:
        if self._changes.lines and len(original.body) > 1:
            raise CannotChangeError("the statement shares its line with another")
        return self._before(updated)

    def _before(
        self, updated: cst.SimpleStatementLine | cst.If | cst.For | cst.With
    ) -> cst.CSTNode | cst.FlattenSentinel[cst.CSTNode]:
        if not self._changes.lines:
            return updated
        lines = [cst.parse_statement(line, self._config) for line in self._changes.lines]
        # What is said above the statement is said of the whole formula.
        lines[0] = lines[0].with_changes(leading_lines=updated.leading_lines)
        return cst.FlattenSentinel([*lines, updated.with_changes(leading_lines=())])

    def _is_removed(self, statement: cst.SimpleStatementLine) -> bool:
        return len(statement.body) == 1 and self._range(statement.body[0]) in self._removed

    def _range(self, node: cst.CSTNode) -> _Range:
        found = self._positions[node]
        return (found.start.line, found.start.column), (found.end.line, found.end.column)
