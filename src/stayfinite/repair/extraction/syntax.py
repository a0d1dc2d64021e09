"""From a code object to its syntax tree, and from a node to the position it is recorded under."""

from __future__ import annotations

import ast
from types import CodeType

from stayfinite.repair.extraction.recorded import ExpressionSpan
from stayfinite.repair.extraction.values import FunctionNode
from stayfinite.repair.source import SourceFile


def function_node(source: SourceFile, code: CodeType) -> FunctionNode | None:
    """The function of `source` that `code` was compiled from.

    Lambdas on one line differ in the columns of their instructions only.
    """
    found = [node for node in ast.walk(source.tree) if _may_be(node, code)]
    if len(found) > 1:
        found = [node for node in found if _holds(node, code)]
        found.sort(key=lambda node: _width(source, node))
    first = found[0] if found else None
    return first if isinstance(first, FunctionNode) else None


def place_of(source: SourceFile, node: ast.expr | ast.AugAssign) -> ExpressionSpan:
    """How a trace tells the expression.

    A method call over several lines is told from its name on (Python 3.11 and 3.12).
    """
    starts = [(node.lineno, node.col_offset)]
    end = node.end_lineno or node.lineno, node.end_col_offset or 0
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        last = node.func.end_lineno or node.lineno
        starts.append((last, (node.func.end_col_offset or 0) - len(node.func.attr.encode())))
    return ExpressionSpan(source.path, tuple(starts), end)


def _may_be(node: ast.AST, code: CodeType) -> bool:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
        return node.name == code.co_name and first == code.co_firstlineno
    return (
        isinstance(node, ast.Lambda)
        and code.co_name == "<lambda>"
        and node.lineno == code.co_firstlineno
    )


def _holds(node: ast.AST, code: CodeType) -> bool:
    """Whether an instruction of `code` has the position of the whole body of a lambda."""
    if not isinstance(node, ast.Lambda):
        return True
    body = node.body
    first = body.lineno, body.col_offset
    last = body.end_lineno or body.lineno, body.end_col_offset or 0
    return any(
        (line, column) == first and (end_line, end_column) == last
        for line, end_line, column, end_column in code.co_positions()
    )


def _width(source: SourceFile, node: ast.AST) -> int:
    if not isinstance(node, ast.Lambda):
        return 0
    start, end = source.range_of(node)
    return end - start
