"""The other places of a function with the same mistake in the same form. A triplet loss takes the
same square root for the positive and for the negative, so a fix edits both.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from stayfinite.repair.operation import Operation, recognise
from stayfinite.repair.rewrites import Site
from stayfinite.repair.rewrites.guards import is_guarded
from stayfinite.repair.scope import enclosing_function, own_nodes


def siblings(site: Site, kind: str) -> Iterator[ast.expr | ast.AugAssign]:
    """The operations of the same function and form as `site`, itself left out."""
    operation = site.operation
    function = enclosing_function(site.source, site.node)
    if operation is None or function is None:
        return
    for node in own_nodes(function, skip=ast.JoinedStr):
        if node is site.node or not isinstance(node, ast.expr | ast.AugAssign):
            continue
        other = recognise(site.scope, node)
        if other is not None and _alike(site, operation, other, kind):
            yield node


def _alike(site: Site, first: Operation, second: Operation, kind: str) -> bool:
    if (first.name, first.style, first.attribute) != (second.name, second.style, second.attribute):
        return False
    one, two = first.critical, second.critical
    if one is None or two is None or is_guarded(site, two):
        return False
    if kind == "clip" and first.style != "operator":
        return ast.dump(_unscaled(one)) == ast.dump(_unscaled(two))
    is_count = first.name == "divide" and isinstance(one, ast.Name | ast.Attribute)
    if (kind == "clip" or is_count) and ast.dump(_unsigned(one)) != ast.dump(_unsigned(two)):
        return False  # x / n and y / m are independent
    if first.style == "operator":
        return _shape(first.node) == _shape(second.node)
    return _form(one) == _form(two)


def _unsigned(node: ast.expr) -> ast.expr:
    return _unsigned(node.operand) if isinstance(node, ast.UnaryOp) else node


def _unscaled(node: ast.expr) -> ast.expr:
    """`x` for `-x`, `0.5 * x` and `x / 2`, which are nearly as large."""
    node = _unsigned(node)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult | ast.Div):
        if isinstance(node.left, ast.Constant) and isinstance(node.op, ast.Mult):
            return _unscaled(node.right)
        if isinstance(node.right, ast.Constant):
            return _unscaled(node.left)
    return node


def _form(node: ast.expr) -> str:
    """The outermost operation of an operand; `-p` and `1 - p` count as `p`."""
    node = _unsigned(node)
    if isinstance(node, ast.BinOp):
        left = node.left
        if isinstance(node.op, ast.Sub) and isinstance(left, ast.Constant) and left.value == 1:
            return _form(node.right)
        return type(node.op).__name__
    return ast.dump(node.func) if isinstance(node, ast.Call) else type(node).__name__


def _shape(node: ast.AST) -> str:
    """The whole expression with all variables called alike; names of functions are kept."""
    if isinstance(node, ast.Name):
        return "_"
    if isinstance(node, ast.Call):
        parts = [ast.dump(node.func), *(_shape(n) for n in (*node.args, *node.keywords))]
    else:
        parts = [_shape(child) for child in ast.iter_child_nodes(node)]
    extra = repr(node.value) if isinstance(node, ast.Constant) else getattr(node, "arg", "")
    return f"{type(node).__name__}({extra}, {', '.join(parts)})"
