"""From a position of an op or an object to the expression of the user's file."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from stayfinite.graph.graph import Span
from stayfinite.repair.errors import ExpressionNotFoundError
from stayfinite.repair.scope import qualname
from stayfinite.repair.source import SourceFile, TextSpan


@dataclass(frozen=True)
class Expression:
    """One expression (or augmented assignment) of a file."""

    source: SourceFile
    node: ast.expr | ast.AugAssign

    @property
    def text(self) -> str:
        """The expression as the user wrote it."""
        return self.source.text_of(self.node)

    @property
    def function(self) -> str | None:
        """The qualified name of the enclosing function, `None` in module or class code."""
        return qualname(self.source, self.node)


def find_expression(source: SourceFile, span: TextSpan) -> Expression:
    """The expression at `span`: the one that has exactly this range, else the smallest around it.

    Example:
        >>> source = SourceFile("train.py", "y = ops.sqrt(x)\\n")
        >>> find_expression(source, TextSpan(1, 4, 1, 15)).text
        'ops.sqrt(x)'

    Raises:
        ExpressionNotFoundError: the file has no expression there.
    """
    try:
        start = source.index(span.line, span.column)
        end = source.index(span.end_line, span.end_column)
        nodes = list(expressions_in(source.tree))
    except (ValueError, SyntaxError) as error:
        raise ExpressionNotFoundError(f"{source.path}: {error}") from error
    best: tuple[int, ast.expr | ast.AugAssign] | None = None
    for node in nodes:
        node_start, node_end = source.range_of(node)
        if node_start <= start and end <= node_end:
            width = node_end - node_start
            if best is None or width < best[0]:
                best = width, node
    if best is None:
        raise ExpressionNotFoundError(
            f"{source.path} has no expression at line {span.line}, columns "
            f"{span.column}-{span.end_column}"
        )
    return Expression(source, best[1])


def expression_at(source: SourceFile, span: Span) -> Expression | None:
    """The expression of `source` at the position of an op or an object; None if there is none."""
    place = TextSpan(span.line, span.column, span.end_line, span.end_column)
    try:
        return find_expression(source, place)
    except ExpressionNotFoundError:
        return None


def expressions_in(node: ast.AST) -> Iterator[ast.expr | ast.AugAssign]:
    """All expressions below `node`, outer before inner.

    The inside of f-strings is left out: before Python 3.12 its positions are wrong.
    """
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr | ast.AugAssign):
            yield child
        if not isinstance(child, ast.JoinedStr):
            yield from expressions_in(child)
