"""From a node of the syntax tree to the position it is recorded under."""

from __future__ import annotations

import ast

from stayfinite.repair.extraction.recorded import ExpressionSpan
from stayfinite.repair.source import SourceFile


def place_of(source: SourceFile, node: ast.expr | ast.AugAssign) -> ExpressionSpan:
    """The position under which a trace has the expression. A method call over several lines begins
    at its name (Python 3.11 and 3.12).
    """
    starts = [(node.lineno, node.col_offset)]
    end = node.end_lineno or node.lineno, node.end_col_offset or 0
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        last = node.func.end_lineno or node.lineno
        starts.append((last, (node.func.end_col_offset or 0) - len(node.func.attr.encode())))
    return ExpressionSpan(source.path, tuple(starts), end)
