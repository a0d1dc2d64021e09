"""A value that float16 has no room for: do this operation, or what is around it, in float32."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from stayfinite.numerics.dtypes import largest
from stayfinite.repair.edit import Replacement
from stayfinite.repair.edit_facts import ComputedInFloat32, FormWritten, NewForm, WidePart
from stayfinite.repair.operation import recognise
from stayfinite.repair.rewrites import guards
from stayfinite.repair.rewrites.autocast import is_number, without_autocast
from stayfinite.repair.rewrites.site import Site, Template, is_library_call
from stayfinite.repair.scope import bound_names, enclosing, enclosing_function

_HALF = ("float16", "bfloat16", "half")


def rewrites(site: Site) -> Iterator[Template]:
    """The repairs of one operation, best first."""
    if isinstance(site.node, ast.AugAssign):
        return
    yield from _smaller_literal(site)
    yield from _wider_cast(site)
    for operands in _operands(site):
        inside = [tensor for operand in operands for tensor in _inside(site, operand)]
        if inside:
            pieces = [site.replace(n, site.calls.float32(site.text(n))) for n in inside]
            yield site.rewrite("float32", ComputedInFloat32(WidePart.OPERATION), pieces)
        pieces = [_in_float32(site, operand) for operand in operands]
        yield site.rewrite("float32", ComputedInFloat32(WidePart.OPERATION), pieces)
    yield from _islands(site)
    yield from without_autocast(site)
    yield from guards.rewrites(site, guards.OVERFLOW)


def _smaller_literal(site: Site) -> Iterator[Template]:
    """`-1e9` of a mask -> `-3e4`, which float16 can hold and softmax still makes 0 of."""
    for node in ast.walk(site.node):
        if not isinstance(node, ast.UnaryOp | ast.Constant):
            continue
        number = site.number(node)
        if number is not None and abs(number) > largest("float16"):
            piece = site.replace(node, "-3e4" if number < 0 else "3e4")
            does = FormWritten(NewForm.NUMBER_OF_FLOAT16, number=site.text(node))
            yield site.rewrite("literal", does, [piece])
            return


def _wider_cast(site: Site) -> Iterator[Template]:
    """`cast(x, "float16")` -> `cast(x, "float32")`, and `x.half()` -> `x.float()`."""
    if not isinstance(site.node, ast.Call):
        return
    words = [*site.node.args, *(keyword.value for keyword in site.node.keywords)]
    for word in words:
        text = site.text(word)
        name = next((n for n in _HALF if text.strip("\"'").rpartition(".")[2] == n), None)
        if name is not None:
            piece = site.replace(word, text.replace(name, "float32"))
            yield site.rewrite("cast", FormWritten(NewForm.NO_CAST), [piece])
            return
    function = site.node.func
    if isinstance(function, ast.Attribute) and function.attr == "half" and not words:
        start = site.source.range_of(site.node.func)[1] - len("half")
        piece = Replacement(start, start + 4, "float")
        yield site.rewrite("cast", FormWritten(NewForm.NO_CAST), [piece])


def _operands(site: Site) -> Iterator[list[ast.expr]]:
    """What to have in float32: the first operand, where the library converts the others.

    A function without a row, such as `einsum`, may need all of them.
    """
    if site.operation is not None:
        operand = site.operation.arguments.get("x")
        if operand is not None:
            yield [operand]
    elif isinstance(site.node, ast.BinOp):  # a matrix product
        yield [site.node.left]
    elif isinstance(site.node, ast.Call) and is_library_call(site.scope, site.node):
        operands = [
            node
            for node in site.node.args
            if not (_is_written_out(node) or _is_function(site, node))
        ]
        if operands:
            yield operands[:1]
        if len(operands) > 1:
            yield operands


def _inside(site: Site, operand: ast.expr) -> list[ast.expr]:
    """The tensors of which an operand is computed here, as its own operations have no more room."""
    computes = isinstance(operand, ast.BinOp | ast.UnaryOp) or (
        isinstance(operand, ast.Call) and recognise(site.scope, operand) is not None
    )
    return list(_tensors(site, operand)) if computes else []


def _in_float32(site: Site, operand: ast.expr) -> Replacement:
    start, end = site.source.grouped_range(operand)
    is_receiver = site.operation is not None and site.operation.is_receiver(operand)
    inside = site.atom(operand) if is_receiver else site.text(operand)
    return Replacement(start, end, site.calls.float32(inside))


def _islands(site: Site) -> Iterator[Template]:
    """Every operand of the statement, or of the function, in float32.

    Some libraries refuse to mix two dtypes, so it is not enough to cast what failed.
    """
    around = (n for n in site.source.ancestors(site.node) if isinstance(n, ast.stmt))
    statement = getattr(next(around, site.node), "value", None) or site.node
    function = enclosing_function(site.source, site.node)
    for part, wide in ((statement, WidePart.STATEMENT), (function, WidePart.FUNCTION)):
        operands = [] if part is None else list(_tensors(site, part))
        if len(operands) > 1:
            pieces = [site.replace(n, site.calls.float32(site.text(n))) for n in operands]
            yield site.rewrite("island", ComputedInFloat32(wide), pieces)


def _tensors(site: Site, part: ast.AST) -> Iterator[ast.expr]:
    """The outermost expressions of `part` that bring a tensor of their own dtype into it."""
    for child in ast.iter_child_nodes(part):
        if isinstance(child, ast.expr) and _is_tensor(site, child):
            yield child
        else:
            yield from _tensors(site, child)


def _is_tensor(site: Site, node: ast.expr) -> bool:
    parent = site.source.parents.get(node)
    if isinstance(node, ast.Name | ast.Attribute):
        if not isinstance(node.ctx, ast.Load):
            return False
    elif not isinstance(node, ast.Call) or is_library_call(site.scope, node):
        return False  # its result has the dtype of what goes into it
    elif is_number(site.scope, node) or _is_wide(node):
        return False
    if isinstance(parent, ast.BinOp | ast.UnaryOp):
        return True
    if not isinstance(parent, ast.Call):
        return False
    operation = recognise(site.scope, parent)
    if operation is not None and operation.name == "cast":
        return False  # its result has the dtype that is asked for
    if operation is not None:
        return node in (operation.arguments.get("x"), operation.arguments.get("y"))
    return is_library_call(site.scope, parent) and node in parent.args


def _is_wide(call: ast.Call) -> bool:
    """Whether the result is in float32 already, as that of `x.float()`."""
    return isinstance(call.func, ast.Attribute) and call.func.attr in ("float", "double")


def _is_written_out(node: ast.expr) -> bool:
    """Whether an argument is computed from nothing, as the text of an `einsum` or a shape."""
    return not any(isinstance(part, ast.Name | ast.Call | ast.Subscript) for part in ast.walk(node))


def _is_function(site: Site, node: ast.expr) -> bool:
    """Whether an argument is a function of the program, as the body of a `scan`."""
    if isinstance(node, ast.Lambda):
        return True
    if not isinstance(node, ast.Name):
        return False
    scopes = (*enclosing(site.source, site.node), site.source.tree)
    made_by = (by for scope in scopes for name, by in bound_names(scope) if name == node.id)
    return isinstance(next(made_by, None), ast.FunctionDef)
