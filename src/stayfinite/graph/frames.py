"""Which frames are the user's own, and which expression a frame is at."""

from __future__ import annotations

import ast
import functools
import itertools
import linecache
import sysconfig
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import CodeType
from typing import Any

from stayfinite.graph.graph import Span

_OURS = Path(__file__).resolve().parents[1]
_INSTALLED = tuple(
    Path(sysconfig.get_paths()[key]).resolve()
    for key in ("stdlib", "platstdlib", "purelib", "platlib")
)


@functools.cache
def is_user_file(filename: str) -> bool:
    """Whether code in `filename` is the user's: not of an installed library, not of stayfinite."""
    if filename.startswith("<") and not filename.startswith("<ipython"):
        return False
    path = Path(filename).resolve()
    if any(path.is_relative_to(folder) for folder in (_OURS, *_INSTALLED)):
        return False
    return not {"site-packages", "dist-packages"}.intersection(path.parts)


def span_at(code: CodeType, instruction: int) -> Span:
    """The expression that `code` was evaluating at byte offset `instruction` (`f_lasti`)."""
    positions = next(itertools.islice(code.co_positions(), instruction // 2, None), None)
    line, end_line, column, end_column = positions or (None, None, None, None)
    line = line or code.co_firstlineno
    return Span(
        file=code.co_filename,
        line=line,
        column=column or 0,
        end_line=end_line or line,
        end_column=end_column or 0,
        function=code.co_qualname,
        code=code,
    )


def code_of(called: Any) -> CodeType | None:
    """The code that runs when `called` is called: of a function, or of an instance's class."""
    function = called if hasattr(called, "__code__") else vars(type(called)).get("__call__")
    code: CodeType | None = getattr(function, "__code__", None)
    return code


def span_of(code: CodeType) -> Span | None:
    """Where the user wrote a function: what it returns if it returns once, else its first line.

    None if the code is not the user's.
    """
    if not is_user_file(code.co_filename):
        return None
    lines = linecache.getlines(code.co_filename)
    node = _function(lines, code)
    span = Span(code.co_filename, code.co_firstlineno, 0, code.co_firstlineno, 0, code.co_qualname)
    if node is None:
        return replace(span, code=code)
    if isinstance(node, ast.Lambda):
        where: ast.AST = node.body
    else:
        returns = [n for n in ast.walk(node) if isinstance(n, ast.Return) and n.value is not None]
        where = returns[0].value if len(returns) == 1 and returns[0].value is not None else node
    line, end = getattr(where, "lineno", span.line), getattr(where, "end_lineno", span.line)
    if where is node:
        # The head of the function, not all of it.
        end = line
    return replace(
        span,
        line=line,
        column=getattr(where, "col_offset", 0),
        end_line=end,
        end_column=(
            len(lines[line - 1].rstrip().encode())
            if where is node
            else getattr(where, "end_col_offset", 0)
        ),
        code=code,
    )


def _function(lines: list[str], code: CodeType) -> ast.FunctionDef | ast.Lambda | None:
    try:
        tree = ast.parse("".join(lines))
    except SyntaxError:
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == code.co_name:
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            if first == code.co_firstlineno:
                return node
        own_line = getattr(node, "lineno", None) == code.co_firstlineno
        if isinstance(node, ast.Lambda) and code.co_name == "<lambda>" and own_line:
            return node
    return None


def user_spans(frames: Iterable[tuple[CodeType, int]]) -> tuple[Span, ...]:
    """The user's expressions among `frames`, in the order given."""
    return tuple(_span_at(code, at) for code, at in frames if is_user_file(code.co_filename))


@functools.lru_cache(maxsize=4096)
def _span_at(code: CodeType, instruction: int) -> Span:
    return span_at(code, instruction)
