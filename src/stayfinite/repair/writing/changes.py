"""Edits of a file as a concrete syntax tree, which keeps its comments and its layout."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field

import libcst as cst
from libcst.metadata import CodeRange, MetadataWrapper, PositionProvider

from stayfinite.repair.edit import Edit, Replacement
from stayfinite.repair.source import SourceFile

_Position = tuple[int, int]
_Range = tuple[_Position, _Position]


class CannotChangeError(Exception):
    """The layout of the statement leaves no room for the change."""


@dataclass(frozen=True)
class Changes:
    """What to change in a file, by nodes of its syntax tree.

    `expressions` get other text; `lines` are put before the statement that holds the first of
    them; `removed` are whole statements; `imports` are lines for the top of the file. An augmented
    assignment is replaced as a whole, by a statement.
    """

    source: SourceFile
    node: ast.expr | ast.AugAssign
    text: str
    lines: Sequence[str] = ()
    removed: Sequence[ast.stmt] = ()
    imports: Sequence[str] = field(default=())

    def apply(self) -> str:
        """The text of the file with the changes.

        Raises:
            CannotChangeError: lines would have to stand before a statement that shares its line.
        """
        module = cst.parse_module(self.source.text)
        wrapper = MetadataWrapper(module, unsafe_skip_copy=True)
        positions = wrapper.resolve(PositionProvider)
        change = _Change(self, positions, wrapper.module)
        text = wrapper.module.visit(change).code
        if not change.done:
            raise CannotChangeError("the expression is not in the tree")
        return text

    def edit(self, kind: str, description: str, num_places: int = 1) -> Edit:
        """The changes as one piece of text: from the first to the last character that differs."""
        old, new = self.source.text, self.apply()
        start = 0
        shortest = min(len(old), len(new))
        while start < shortest and old[start] == new[start]:
            start += 1
        end = 0
        while end < shortest - start and old[-1 - end] == new[-1 - end]:
            end += 1
        piece = Replacement(start, len(old) - end, new[start : len(new) - end])
        return Edit(self.source, kind, description, (piece,), num_places)

    def range_of(self, node: ast.expr | ast.stmt) -> _Range:
        """The position of a node as `libcst` counts: lines from 1, columns in characters."""
        start, end = self.source.range_of(node)
        found = []
        for index in (start, end):
            line = max(n for n, begin in enumerate(self.source.line_starts, 1) if begin <= index)
            found.append((line, index - self.source.line_starts[line - 1]))
        return found[0], found[1]


class _Change(cst.CSTTransformer):
    def __init__(
        self, changes: Changes, positions: dict[cst.CSTNode, CodeRange], module: cst.Module
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

    def on_leave(
        self, original_node: cst.CSTNode, updated_node: cst.CSTNode
    ) -> cst.CSTNode | cst.RemovalSentinel | cst.FlattenSentinel[cst.CSTNode]:
        updated = super().on_leave(original_node, updated_node)
        if isinstance(self._changes.node, ast.AugAssign):
            wanted: type[cst.CSTNode] = cst.AugAssign
        else:
            wanted = cst.BaseExpression
        if (
            isinstance(original_node, wanted)
            and not self.done
            and self._range(original_node) == self._target
        ):
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

    def leave_Module(self, original_node: cst.Module, updated_node: cst.Module) -> cst.Module:
        """Add the imports behind the last one above the change."""
        if not self._changes.imports:
            return updated_node
        place = 0
        for position, statement in enumerate(original_node.body):
            if self._range(statement)[0] >= self._target[0]:
                break
            if isinstance(statement, cst.SimpleStatementLine) and all(
                isinstance(part, cst.Import | cst.ImportFrom) or _is_text(part)
                for part in statement.body
            ):
                place = position + 1
        lines = [cst.parse_statement(line, self._config) for line in self._changes.imports]
        body = list(updated_node.body)
        return updated_node.with_changes(body=[*body[:place], *lines, *body[place:]])

    def _new(self, original: cst.CSTNode) -> cst.CSTNode:
        if isinstance(original, cst.AugAssign):
            statement = cst.parse_statement(self._changes.text, self._config)
            assert isinstance(statement, cst.SimpleStatementLine)
            return statement.body[0]
        assert isinstance(original, cst.BaseExpression)
        new = cst.parse_expression(self._changes.text, self._config)
        if original.lpar and not new.lpar and not isinstance(
            new, cst.Call | cst.Name | cst.Attribute | cst.Subscript
        ):
            return new.with_changes(lpar=original.lpar, rpar=original.rpar)
        return new

    def _with_lines(
        self, original: cst.SimpleStatementLine, updated: cst.SimpleStatementLine
    ) -> cst.SimpleStatementLine | cst.FlattenSentinel[cst.BaseStatement]:
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


def _is_text(statement: cst.BaseSmallStatement) -> bool:
    return isinstance(statement, cst.Expr) and isinstance(
        statement.value, cst.SimpleString | cst.ConcatenatedString
    )
