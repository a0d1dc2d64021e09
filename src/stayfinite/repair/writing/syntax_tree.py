"""Changes of a concrete syntax tree, by `libcst`. Imported where the first change is made."""

from __future__ import annotations

import ast
from collections.abc import Mapping

import libcst as cst
from libcst.metadata import CodeRange, MetadataWrapper, PositionProvider

from stayfinite.repair.writing.changes import CannotChangeError, Changes, Range


def changed(changes: Changes, text: str) -> str:
    """The statements `text`, which hold the node that is changed, with the changes.

    Raises:
        CannotChangeError: lines would have to stand before a statement that shares its line.
    """
    wrapper = MetadataWrapper(cst.parse_module(text), unsafe_skip_copy=True)
    change = SyntaxTreeChange(changes, wrapper.resolve(PositionProvider), wrapper.module)
    new = wrapper.module.visit(change).code
    if not change.done:
        raise CannotChangeError("the expression is not in the tree")
    return new


class SyntaxTreeChange(cst.CSTTransformer):
    """Puts the new text in the place of the old expression, and lines before its statement."""

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
        """What stands in the place of `original_node`."""
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
        # Comments above the statement are about the whole formula.
        lines[0] = lines[0].with_changes(leading_lines=updated.leading_lines)
        return cst.FlattenSentinel([*lines, updated.with_changes(leading_lines=())])

    def _is_removed(self, statement: cst.SimpleStatementLine) -> bool:
        return len(statement.body) == 1 and self._range(statement.body[0]) in self._removed

    def _range(self, node: cst.CSTNode) -> Range:
        found = self._positions[node]
        return (found.start.line, found.start.column), (found.end.line, found.end.column)
