"""The user's source: which expression a frame is at, and its text.

A position in the source becomes an AST node in `node_at` only; the other functions call it. Source
text comes from `linecache` through `executing`, so cells of a notebook and lines typed into an
interpreter have a source without a file.
"""

from __future__ import annotations

import ast
import functools
import itertools
import linecache
from collections.abc import Iterable, Iterator
from dataclasses import replace
from types import CodeType

from executing import Source

from stayfinite.graph.code_owner import is_user_file
from stayfinite.graph.graph import Span
from stayfinite.graph.reloaded import Position, ReloadedFunction, is_at_work, reloaded

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
# A line with one of them is the innermost of an op in a text that nothing keeps.
_RUN_TEXT = ("exec", "eval")


def span_at(code: CodeType, instruction: int) -> Span:
    """Return the expression that `code` evaluates at byte offset `instruction` (`f_lasti`)."""
    position, function = Position(*_position(code, instruction)), code.co_qualname
    found = _reloaded(code) if is_at_work() else None
    if found is not None and position in found.positions:
        position, function = found.positions[position], found.name
    line = position.line or code.co_firstlineno
    return Span(
        file=code.co_filename,
        line=line,
        column=position.column or 0,
        end_line=position.end_line or line,
        end_column=position.end_column or 0,
        function=function,
        code=code,
    )


def _reloaded(code: CodeType) -> ReloadedFunction | None:
    tree = Source.for_filename(code.co_filename).tree
    return None if tree is None else reloaded(code.co_filename, code, tree)


# The position alone is cached: equal code objects may be of different files and functions.
@functools.lru_cache(maxsize=4096)
def _position(
    code: CodeType, instruction: int
) -> tuple[int | None, int | None, int | None, int | None]:
    positions = next(itertools.islice(code.co_positions(), instruction // 2, None), None)
    return positions or (None, None, None, None)


def user_spans(frames: Iterable[tuple[CodeType, int]]) -> tuple[Span, ...]:
    """Return the user's expressions among `frames`, pairs of code and `f_lasti`, in order."""
    return tuple(span_at(code, at) for code, at in frames if is_user_file(code.co_filename))


def code_of(called: object) -> CodeType | None:
    """Return the code that a call of `called` runs: of a function, or of its class's `__call__`."""
    function = called if hasattr(called, "__code__") else vars(type(called)).get("__call__")
    code: CodeType | None = getattr(function, "__code__", None)
    return code


def span_of(code: CodeType) -> Span | None:
    """Return where the user wrote a function: its returned expression, or else its first line.

    The expression is used where the function returns once. None if the code is not the user's.
    """
    if not is_user_file(code.co_filename):
        return None
    node = definition(_nodes(code.co_filename), code)
    if node is None:
        first = code.co_firstlineno
        return Span(code.co_filename, first, 0, first, 0, code.co_qualname, code)
    if isinstance(node, ast.Lambda):
        return _span_of_node(node.body, code)
    returns = [n.value for n in ast.walk(node) if isinstance(n, ast.Return) and n.value is not None]
    if len(returns) == 1:
        return _span_of_node(returns[0], code)
    head = linecache.getline(code.co_filename, node.lineno).rstrip()
    return replace(_span_of_node(node, code), end_line=node.lineno, end_column=len(head.encode()))


def _span_of_node(node: ast.expr | ast.stmt, code: CodeType) -> Span:
    return Span(
        code.co_filename,
        node.lineno,
        node.col_offset,
        node.end_lineno or node.lineno,
        node.end_col_offset or 0,
        code.co_qualname,
        code,
    )


def definition(nodes: Iterable[ast.AST], code: CodeType) -> Definition | None:
    """Return the definition among `nodes` that was compiled to `code`."""
    found = [node for node in nodes if isinstance(node, Definition) and _may_define(node, code)]
    if len(found) > 1:
        # A lambda ends with an instruction at its body, which distinguishes two on one line.
        positions = {(line, column, end, last) for line, end, column, last in code.co_positions()}
        found = [n for n in found if not isinstance(n, ast.Lambda) or _body(n) in positions]
    return found[0] if found else None


def _may_define(node: Definition, code: CodeType) -> bool:
    if isinstance(node, ast.Lambda):
        return code.co_name == "<lambda>" and node.lineno == code.co_firstlineno
    first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
    return node.name == code.co_name and first == code.co_firstlineno


def _body(node: ast.Lambda) -> tuple[int, int, int | None, int | None]:
    body = node.body
    return body.lineno, body.col_offset, body.end_lineno, body.end_col_offset


def _nodes(file: str) -> Iterator[ast.AST]:
    """Yield the nodes of a source; none where there is no source or it does not parse."""
    tree = Source.for_filename(file).tree
    return iter(()) if tree is None else ast.walk(tree)


def node_at(span: Span) -> ast.expr | None:
    """Return the expression at exactly `span` in its file; None where there is none.

    For a method call over several lines Python gives the position of the name after the dot
    instead of that of the object; the whole call is found for it.
    """
    start, end = (span.line, span.column), (span.end_line, span.end_column)
    for node in _nodes(span.file):
        if not isinstance(node, ast.expr) or (node.end_lineno, node.end_col_offset) != end:
            continue
        if (node.lineno, node.col_offset) == start:
            return node
        name = node.func if isinstance(node, ast.Call) else node
        if isinstance(name, ast.Attribute) and name.end_col_offset is not None:
            at = (name.end_lineno, name.end_col_offset - len(name.attr.encode()))
            if at == start:
                return node
    return None


def source_line(span: Span) -> str | None:
    """Return the first line of `span` without its line end; None where there is no source."""
    return linecache.getline(span.file, span.line).rstrip("\r\n") or None


def expression_text(span: Span) -> str | None:
    """Return the text of `span` on one line, blanks collapsed; None where there is no source."""
    lines = [linecache.getline(span.file, n) for n in range(span.line, span.end_line + 1)]
    if not all(lines):
        return None
    encoded = [line.encode() for line in lines]
    encoded[-1] = encoded[-1][: span.end_column]
    encoded[0] = encoded[0][span.column :]
    return " ".join(b"".join(encoded).decode(errors="replace").split()) or None


def keyword_span(span: Span, name: str) -> Span | None:
    """Return the argument `name=...` of the call at `span`; None where the call has none."""
    node = node_at(span)
    for keyword in node.keywords if isinstance(node, ast.Call) else ():
        if keyword.arg == name and keyword.end_lineno is not None:
            return replace(
                span,
                line=keyword.lineno,
                column=keyword.col_offset,
                end_line=keyword.end_lineno,
                end_column=keyword.end_col_offset or 0,
            )
    return None


def callee(span: Span) -> str | None:
    """Return the last name of the function called at `span`: `norm` for `K.norm(x)`.

    None for `exec` and `eval`, which run an op of a text and are not at fault for it.
    """
    function = _called(span)
    if isinstance(function, ast.Attribute):
        return function.attr
    if isinstance(function, ast.Name) and function.id not in _RUN_TEXT:
        return function.id
    return None


def runs_text(span: Span) -> str | None:
    """Return the name of the function called at `span` if it runs a text: `exec` or `eval`."""
    function = _called(span)
    if isinstance(function, ast.Name) and function.id in _RUN_TEXT:
        return function.id
    return None


def _called(span: Span) -> ast.expr | None:
    node = node_at(span)
    return node.func if isinstance(node, ast.Call) else None
