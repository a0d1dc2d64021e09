"""A value that float16 has no room for: do this operation in float32."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from stayfinite.repair.edit import Replacement
from stayfinite.repair.operation import recognise
from stayfinite.repair.rewrites import overflow
from stayfinite.repair.rewrites.site import Rewrite, Site, is_library_call
from stayfinite.repair.scope import enclosing_function

_LARGEST = 65504
_HALF = ("float16", "bfloat16", "half")


def rewrites(site: Site) -> Iterator[Rewrite]:
    """The repairs of one operation, best first."""
    if isinstance(site.node, ast.AugAssign):
        return
    yield from _smaller_literal(site)
    yield from _wider_cast(site)
    operand = _operand(site)
    if operand is not None:
        emit = site.emitter()
        start, end = site.source.grouped_range(operand)
        inside = site.atom(operand) if _is_receiver(site, operand) else site.text(operand)
        pieces = [Replacement(start, end, emit.float32(inside))]
        yield site.rewrite("float32", "compute this in float32", pieces, emit)
    yield from _islands(site)
    yield from overflow.rewrites(site)


def _islands(site: Site) -> Iterator[Rewrite]:
    """Every operand of the statement, or of the function, in float32.

    Some libraries refuse to mix two dtypes.
    """
    function = enclosing_function(site.source, site.node)
    for part, words in ((_statement(site), "statement"), (function, "function")):
        if part is None:
            continue
        emit = site.emitter()
        names = [n for n in ast.walk(part) if isinstance(n, ast.Name | ast.Attribute)]
        operands = [node for node in names if _is_operand(site, node)]
        pieces = [site.replace(node, emit.float32(site.text(node))) for node in operands]
        if len(pieces) > 1:
            yield site.rewrite("island", f"compute this {words} in float32", pieces, emit)


def _statement(site: Site) -> ast.AST:
    around = (n for n in site.source.ancestors(site.node) if isinstance(n, ast.stmt))
    found = next(around, site.node)
    return getattr(found, "value", None) or site.node


def _is_operand(site: Site, node: ast.expr) -> bool:
    """Whether a name is a number that something is computed from, and no function or option."""
    if not isinstance(getattr(node, "ctx", None), ast.Load):
        return False
    parent = site.source.parents.get(node)
    if isinstance(parent, ast.BinOp | ast.UnaryOp):
        return True
    operation = recognise(site.scope, parent) if isinstance(parent, ast.Call) else None
    return operation is not None and node in (
        operation.arguments.get(role) for role in ("x", "left", "right")
    )


def _smaller_literal(site: Site) -> Iterator[Rewrite]:
    """`-1e9` of a mask -> `-3e4`, which float16 can hold and softmax still makes 0 of."""
    for node in ast.walk(site.node):
        if not isinstance(node, ast.UnaryOp | ast.Constant):
            continue
        number = site.number(node)
        if number is not None and abs(number) > _LARGEST:
            piece = site.replace(node, "-3e4" if number < 0 else "3e4")
            text = site.text(node)
            yield site.rewrite(
                "literal", f"use a number that float16 holds for {text}", [piece], site.emitter()
            )
            return


def _operand(site: Site) -> ast.expr | None:
    if site.operation is not None:
        arguments = site.operation.arguments
        return arguments.get("x") or arguments.get("left")
    if isinstance(site.node, ast.BinOp):  # a matrix product
        return site.node.left
    if isinstance(site.node, ast.Call) and site.node.args and is_library_call(site):
        return site.node.args[0]
    return None


def _is_receiver(site: Site, operand: ast.expr) -> bool:
    return site.operation is not None and site.operation.is_receiver(operand)


def _wider_cast(site: Site) -> Iterator[Rewrite]:
    """`cast(x, "float16")` -> `cast(x, "float32")`, and `x.half()` -> `x.float()`."""
    if not isinstance(site.node, ast.Call):
        return
    emit = site.emitter()
    words = [*site.node.args, *(keyword.value for keyword in site.node.keywords)]
    for word in words:
        text = site.text(word)
        name = next((n for n in _HALF if text.strip("\"'").rpartition(".")[2] == n), None)
        if name is not None:
            piece = site.replace(word, text.replace(name, "float32"))
            yield site.rewrite("cast", "stay in float32", [piece], emit)
            return
    function = site.node.func
    if isinstance(function, ast.Attribute) and function.attr == "half" and not words:
        start = site.source.range_of(site.node.func)[1] - len("half")
        yield site.rewrite(
            "cast", "stay in float32", [Replacement(start, start + 4, "float")], emit
        )
