"""The user's own words: the text of an expression."""

from __future__ import annotations

import ast
import linecache

from stayfinite.trace.trace import Span


def source_line(span: Span) -> str | None:
    """The first source line of `span`, without its line end; None where there is no source."""
    return linecache.getline(span.file, span.line).rstrip("\r\n") or None


def expression_text(span: Span) -> str | None:
    """The expression on one line, without runs of blanks; None where there is no source."""
    lines = [linecache.getline(span.file, n) for n in range(span.line, span.end_line + 1)]
    if not all(lines):
        return None
    encoded = [line.encode() for line in lines]
    encoded[-1] = encoded[-1][: span.end_column]
    encoded[0] = encoded[0][span.column :]
    return " ".join(b"".join(encoded).decode(errors="replace").split()) or None


def callee(span: Span) -> str | None:
    """The last name of the function that the expression calls: `norm` for `K.norm(x)`."""
    text = expression_text(span)
    if text is None:
        return None
    try:
        node = ast.parse(text, mode="eval").body
    except SyntaxError:
        return None
    function = node.func if isinstance(node, ast.Call) else None
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else None
