"""A stretch of half-precision code in float32: every tensor that goes into it is cast.

Some libraries refuse to mix two dtypes, so it is not enough to cast what failed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from stayfinite.repair.operation import recognise
from stayfinite.repair.rewrites.site import Site, Template, is_library_call
from stayfinite.repair.scope import enclosing_function


def islands(site: Site) -> Iterator[Template]:
    """Every operand of the statement, or of the function, in float32."""
    function = enclosing_function(site.source, site.node)
    for part, words in ((_statement(site), "statement"), (function, "function")):
        if part is None:
            continue
        emit = site.emitter()
        operands = list(_operands(site, part))
        pieces = [site.replace(node, emit.float32(site.text(node))) for node in operands]
        if len(pieces) > 1:
            yield site.rewrite("island", f"compute this {words} in float32", pieces, emit)


def is_written_out(node: ast.expr) -> bool:
    """Whether an argument is computed from nothing, as the text of an `einsum` or a shape."""
    return not any(isinstance(part, ast.Name | ast.Call | ast.Subscript) for part in ast.walk(node))


def _statement(site: Site) -> ast.AST:
    around = (n for n in site.source.ancestors(site.node) if isinstance(n, ast.stmt))
    found = next(around, site.node)
    return getattr(found, "value", None) or site.node


def _operands(site: Site, part: ast.AST) -> Iterator[ast.expr]:
    """The outermost expressions of `part` that bring a tensor of their own dtype into it."""
    for child in ast.iter_child_nodes(part):
        if isinstance(child, ast.expr) and _is_operand(site, child):
            yield child
        else:
            yield from _operands(site, child)


def _is_operand(site: Site, node: ast.expr) -> bool:
    parent = site.source.parents.get(node)
    if isinstance(node, ast.Name | ast.Attribute):
        if not isinstance(node.ctx, ast.Load):
            return False
    elif not isinstance(node, ast.Call) or is_library_call(site.scope, node):
        return False  # its result has the dtype of what goes into it
    if isinstance(parent, ast.BinOp | ast.UnaryOp):
        return True
    if not isinstance(parent, ast.Call):
        return False
    operation = recognise(site.scope, parent)
    if operation is not None:
        roles = ("x", "left", "right")
        return node in [operation.arguments.get(role) for role in roles]
    return is_library_call(site.scope, parent) and node in parent.args
