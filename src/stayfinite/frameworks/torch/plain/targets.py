"""What a header or an assignment binds to its names."""

from __future__ import annotations

import ast
from typing import Any

from stayfinite.frameworks.source_loops import named_in_header


def batch_target(node: ast.For | ast.While) -> ast.expr | None:
    """The part of the target of a header that a batch is bound to: all but the number."""
    if isinstance(node, ast.While):
        named = named_in_header(node)
        return named[0].target if len(named) == 1 else None
    target, source = node.target, node.iter
    while isinstance(source, ast.Call):
        name = getattr(source.func, "attr", getattr(source.func, "id", ""))
        if name == "zip":
            return None
        if name == "enumerate":
            if not isinstance(target, ast.Tuple) or len(target.elts) != 2:
                return None
            target = target.elts[1]
        if not source.args:
            break
        source = source.args[0]
    return target


def bind(target: ast.expr | None, value: Any) -> dict[str, object] | None:
    """The names that the assignment of `value` to `target` binds; None where that is not known."""
    if isinstance(target, ast.Name):
        return {target.id: value}
    if isinstance(target, ast.Tuple | ast.List) and isinstance(value, list | tuple):
        if len(target.elts) != len(value):
            return None
        found: dict[str, object] = {}
        for element, part in zip(target.elts, value, strict=True):
            bound = bind(element, part)
            if bound is None:
                return None
            found.update(bound)
        return found
    return None
