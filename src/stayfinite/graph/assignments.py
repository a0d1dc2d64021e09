"""Where the source binds a name, if it does so at one place."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace

from executing import Source

from stayfinite.graph.graph import Span


def assigned_span(span: Span, name: str) -> Span | None:
    """Return what `name`, or `self.name`, is bound to by the only statement that binds it.

    It is looked for in the file of `span`, and for a name of a function among its statements. None
    where several statements bind it, or none does.
    """
    tree = Source.for_filename(span.file).tree
    if tree is None:
        return None
    scopes = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.Module)]
    around = [node for node in scopes if _is_around(node, span)]
    # The innermost function first; the module is around each.
    for scope in reversed(around):
        values = [value for value in map(_assigned(name), ast.walk(scope)) if value is not None]
        if len(values) == 1:
            value = values[0]
            return replace(
                span,
                line=value.lineno,
                column=value.col_offset,
                end_line=value.end_lineno or value.lineno,
                end_column=value.end_col_offset or 0,
                function=scope.name if isinstance(scope, ast.FunctionDef) else "<module>",
                code=None,
            )
        if values:
            return None
    return None


def _is_around(node: ast.FunctionDef | ast.Module, span: Span) -> bool:
    if isinstance(node, ast.Module):
        return True
    return node.lineno <= span.line and span.end_line <= (node.end_lineno or node.lineno)


def _assigned(name: str) -> Callable[[ast.AST], ast.expr | None]:
    def value_of(node: ast.AST) -> ast.expr | None:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            return None
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return node.value if name in map(ast.unparse, targets) else None

    return value_of
