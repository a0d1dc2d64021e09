"""A value that float16 has no room for: do this operation in float32."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from stayfinite.repair.edit import Replacement
from stayfinite.repair.emit import Emitter
from stayfinite.repair.rewrites import overflow
from stayfinite.repair.rewrites.islands import is_written_out, islands
from stayfinite.repair.rewrites.site import Site, Template, is_library_call

_LARGEST = 65504
_HALF = ("float16", "bfloat16", "half")


def rewrites(site: Site) -> Iterator[Template]:
    """The repairs of one operation, best first."""
    if isinstance(site.node, ast.AugAssign):
        return
    yield from _smaller_literal(site)
    yield from _wider_cast(site)
    for operands in _operands(site):
        emit = site.emitter()
        pieces = [_in_float32(site, operand, emit) for operand in operands]
        yield site.rewrite("float32", "compute this in float32", pieces, emit)
    yield from islands(site)
    yield from overflow.rewrites(site)


def _smaller_literal(site: Site) -> Iterator[Template]:
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


def _operands(site: Site) -> Iterator[list[ast.expr]]:
    """What to have in float32: the first operand, where the library brings the others along.

    A function that we do not know, such as `einsum`, may ask for all of them.
    """
    if site.operation is not None:
        arguments = site.operation.arguments
        operand = arguments.get("x") or arguments.get("left")
        if operand is not None:
            yield [operand]
    elif isinstance(site.node, ast.BinOp):  # a matrix product
        yield [site.node.left]
    elif isinstance(site.node, ast.Call) and is_library_call(site.scope, site.node):
        operands = [node for node in site.node.args if not is_written_out(node)]
        if operands:
            yield operands[:1]
        if len(operands) > 1:
            yield operands


def _in_float32(site: Site, operand: ast.expr, emit: Emitter) -> Replacement:
    start, end = site.source.grouped_range(operand)
    inside = site.atom(operand) if _is_receiver(site, operand) else site.text(operand)
    return Replacement(start, end, emit.float32(inside))


def _is_receiver(site: Site, operand: ast.expr) -> bool:
    return site.operation is not None and site.operation.is_receiver(operand)


def _wider_cast(site: Site) -> Iterator[Template]:
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
