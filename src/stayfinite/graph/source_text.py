"""The user's own words: the text of an expression."""

from __future__ import annotations

import ast
import linecache
from dataclasses import replace

from stayfinite.graph.graph import Span


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


def keyword_span(span: Span, name: str) -> Span | None:
    """The part of the call at `span` that is its argument `name=...`; None where it has none."""
    lines = [linecache.getline(span.file, n) for n in range(span.line, span.end_line + 1)]
    if not all(lines):
        return None
    encoded = [line.encode() for line in lines]
    # What stands before the call on its line is blanked out, so that positions stay as they are.
    encoded[0] = b"(" + b" " * (span.column - 1) + encoded[0][span.column :]
    if span.column == 0:
        return None
    encoded[-1] = encoded[-1][: span.end_column] + b")"
    try:
        node = ast.parse(b"".join(encoded).decode(errors="replace"), mode="eval").body
    except SyntaxError:
        return None
    for keyword in node.keywords if isinstance(node, ast.Call) else ():
        if keyword.arg == name and keyword.end_lineno is not None:
            return replace(
                span,
                line=keyword.lineno + span.line - 1,
                column=keyword.col_offset,
                end_line=keyword.end_lineno + span.line - 1,
                end_column=keyword.end_col_offset or 0,
            )
    return None


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
