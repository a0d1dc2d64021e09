"""Functions that `%autoreload 2` of IPython has put in the place of those of an edited file.

IPython compiles such a function from `ast.unparse` of its definition, alone or in a class of its
own, under the name of the file. So the positions in its code are not those of the file.
"""

from __future__ import annotations

import ast
import functools
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType
from typing import NamedTuple

_RELOADER = "IPython.extensions.deduperreload.deduperreload"
_CLASS = "__autoreload_class__"

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Position(NamedTuple):
    """Lines from 1 and columns in bytes from 0, as `co_positions` has them."""

    line: int | None
    end_line: int | None
    column: int | None
    end_column: int | None


@dataclass(frozen=True)
class ReloadedFunction:
    """A reloaded function as the file has it.

    Attributes:
        name: Its qualified name, with the class in the file.
        positions: From a position in its code to that in the file.
    """

    name: str
    positions: dict[Position, Position]


def is_at_work() -> bool:
    """Whether functions may have been reloaded in this process."""
    return _RELOADER in sys.modules


@functools.lru_cache(maxsize=256)
def reloaded(filename: str, code: CodeType, tree: ast.Module) -> ReloadedFunction | None:
    """What `code` of `filename`, whose text is `tree`, was compiled from; None if not reloaded."""
    name, dot, inside = code.co_qualname.removeprefix(f"{_CLASS}.").partition(".")
    for path, node in _functions(tree):
        if node.name != name:
            continue
        compiled = _as_reloaded(node, is_method="." in path)
        if any(_has_code(text, filename, code) for text in _with_and_without_decorators(compiled)):
            pairs = _pairs(_definition_in(compiled), node)
            return ReloadedFunction(f"{path}{dot}{inside}", pairs)
    return None


def _functions(node: ast.AST, path: str = "") -> Iterator[tuple[str, Function]]:
    """The functions and methods of a module, with their names."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function):
            yield f"{path}{child.name}", child
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{path}{child.name}.")


def _as_reloaded(node: Function, *, is_method: bool) -> ast.Module:
    text = ast.unparse(node)
    if is_method:
        text = f"class {_CLASS}:\n" + textwrap.indent(text, "    ")
    return ast.parse(text)


def _definition_in(module: ast.Module) -> ast.AST:
    first = module.body[0]
    return first.body[0] if isinstance(first, ast.ClassDef) else first


def _with_and_without_decorators(module: ast.Module) -> Iterator[ast.Module]:
    yield module
    first = module.body[0]
    if isinstance(first, Function) and first.decorator_list:
        bare = ast.parse(ast.unparse(module))
        copy = bare.body[0]
        assert isinstance(copy, Function)
        copy.decorator_list = []
        yield bare


def _has_code(module: ast.Module, filename: str, code: CodeType) -> bool:
    left = [compile(module, filename, "exec", dont_inherit=True)]
    while left:
        each = left.pop()
        if each == code and each.co_qualname == code.co_qualname:
            return True
        left += [constant for constant in each.co_consts if isinstance(constant, CodeType)]
    return False


def _pairs(compiled: ast.AST, node: ast.AST) -> dict[Position, Position]:
    """Positions of the expressions of two definitions that differ by their layout."""
    return {
        _position(one): _position(other)
        for one, other in zip(ast.walk(compiled), ast.walk(node), strict=False)
        if isinstance(one, ast.expr | ast.stmt) and isinstance(other, ast.expr | ast.stmt)
    }


def _position(node: ast.expr | ast.stmt) -> Position:
    return Position(node.lineno, node.end_lineno, node.col_offset, node.end_col_offset)
