"""The numbers of an expression as its source has them, before a dtype rounded them."""

from __future__ import annotations

import ast
import functools
import sys

from executing import Source

from stayfinite.graph.graph import Span
from stayfinite.graph.source import node_at


def numbers_in(span: Span | None) -> list[float]:
    """Return every number of an expression: literals, and names that its file gives a number.

    The numbers are those of the source, before a dtype rounded them.
    """
    node = None if span is None else node_at(span)
    if span is None or node is None:
        return []
    found = [_number(inner) for inner in ast.walk(node)]
    known = _named_numbers(Source.for_filename(span.file))
    for inner in ast.walk(node):
        name = inner.id if isinstance(inner, ast.Name) else getattr(inner, "attr", None)
        if isinstance(name, str):
            live = _live_number(span.file, name) if isinstance(inner, ast.Name) else None
            found.append(known.get(name) if live is None else live)
    return [number for number in found if number is not None]


def _number(node: ast.AST | None) -> float | None:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _number(node.operand)
        return None if value is None else -value
    value = getattr(node, "value", None) if isinstance(node, ast.Constant) else None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return None


def _live_number(file: str, name: str) -> float | None:
    """Return the number that the module of `file` holds under `name`."""
    for module in list(sys.modules.values()):
        if getattr(module, "__file__", None) == file:
            value = vars(module).get(name)
            if isinstance(value, int | float) and not isinstance(value, bool):
                return float(value)
    return None


@functools.lru_cache(maxsize=32)
def _named_numbers(source: Source) -> dict[str, float]:
    """Map names to the numbers that assignments, attributes, keywords and defaults give them."""
    found: dict[str, float] = {}
    for node in ast.walk(source.tree) if source.tree is not None else ():
        for name, value in _bindings(node):
            number = _number(value)
            if number is not None:
                found[name] = number
    return found


def _bindings(node: ast.AST) -> list[tuple[str, ast.expr | None]]:
    if isinstance(node, ast.Assign):
        return [
            (t.id if isinstance(t, ast.Name) else t.attr, node.value)
            for t in node.targets
            if isinstance(t, ast.Name | ast.Attribute)
        ]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [(node.target.id, node.value)]
    if isinstance(node, ast.keyword) and node.arg is not None:
        return [(node.arg, node.value)]
    if isinstance(node, ast.FunctionDef | ast.Lambda):
        positional = [*node.args.posonlyargs, *node.args.args]
        defaults = node.args.defaults
        pairs = zip(positional[len(positional) - len(defaults) :], defaults, strict=True)
        named = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
        return [(a.arg, d) for a, d in (*pairs, *named)]
    return []
