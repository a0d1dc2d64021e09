"""The numbers that stand in the user's source, before a dtype rounded them."""

from __future__ import annotations

import ast
import functools
import linecache
import sys

from stayfinite.graph.graph import Span
from stayfinite.graph.source_text import expression_text


def numbers_in(span: Span | None) -> list[float]:
    """Every number in an expression, written there or under a name that its file gives a number."""
    text = None if span is None else expression_text(span)
    if span is None or text is None:
        return []
    try:
        tree = ast.parse(text, mode="eval")
    except SyntaxError:
        return []
    found = [_number(node) for node in ast.walk(tree)]
    known = _named_numbers(span.file)
    for node in ast.walk(tree):
        name = node.id if isinstance(node, ast.Name) else getattr(node, "attr", None)
        if isinstance(name, str):
            live = _live(span.file, name) if isinstance(node, ast.Name) else None
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


def _live(file: str, name: str) -> float | None:
    """What the module of `file` holds under `name`, if that is a number."""
    for module in list(sys.modules.values()):
        if getattr(module, "__file__", None) == file:
            value = vars(module).get(name)
            if isinstance(value, int | float) and not isinstance(value, bool):
                return float(value)
    return None


@functools.lru_cache(maxsize=32)
def _named_numbers(file: str) -> dict[str, float]:
    """Names that the file gives a number: assignments, attributes, keywords, defaults."""
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):
        return {}
    found: dict[str, float] = {}
    for node in ast.walk(tree):
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
