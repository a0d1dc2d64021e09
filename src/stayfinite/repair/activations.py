"""The edit that takes an activation away from a layer, or from an expression."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

from stayfinite.graph.object_sites import site_of
from stayfinite.repair.creating_call import made_by
from stayfinite.repair.edit import Replacement
from stayfinite.repair.expression import Expression
from stayfinite.repair.objects import Setting
from stayfinite.repair.operation import recognise
from stayfinite.repair.scope import Scope, dotted
from stayfinite.repair.source import SourceFile
from stayfinite.repair.writing.text import needed, precedence

SATURATING = ("sigmoid", "softmax", "tanh")


@dataclass(frozen=True)
class Removal:
    """Pieces of text without which an activation is gone.

    Args:
        op: The activation: sigmoid, softmax or tanh.
        axis: The axis of a softmax.
        source: The file.
        pieces: What to change in it.
        node: The expression that made the activation, or that is it.
        owner: The library object that has it, where that was made by code that runs only once.
        setting: What the object has to do instead.
    """

    op: str
    axis: int | None
    source: SourceFile
    pieces: tuple[Replacement, ...]
    node: ast.expr
    owner: object | None = None
    setting: Setting | None = None


def applied_at(expression: Expression) -> Removal | None:
    """The removal of an activation that the user's code applies at `expression`."""
    source, node = expression.source, expression.node
    operation = recognise(Scope(source, node), node)
    if isinstance(node, ast.AugAssign) or operation is None or not operation.complete:
        return None
    operand = operation.arguments.get("x")
    if operation.name not in SATURATING or operand is None:
        return None
    axis = _integer(operation.arguments.get("axis")) if operation.name == "softmax" else None
    if axis is None and operation.name == "softmax":
        return None
    return Removal(operation.name, axis, source, (_by(source, node, operand),), node)


def activation_of(owner: object, expression: Expression) -> Removal | None:
    """The removal of the activation of a library's object that was made at `expression`."""
    if _is(owner, "Layer"):
        return _of_layer(owner, expression)
    if _is(owner, "Module"):
        return _of_module(owner, expression)
    found = applied_at(expression)
    if found is None or not _is(owner, "Operation"):
        return None
    return Removal(
        found.op, found.axis, found.source, found.pieces, found.node, owner, ("call", "identity")
    )


def _of_layer(layer: object, expression: Expression) -> Removal | None:
    source, node = expression.source, made_by(expression, layer)
    if not isinstance(node, ast.Call):
        return None
    setting: Setting = ("activation", "linear")
    kind = type(layer).__name__
    if kind == "Softmax":
        axis = getattr(layer, "axis", None)
        op, pieces, setting = "softmax", _without_layer(source, node), ("call", "identity")
    else:
        op = getattr(getattr(layer, "activation", None), "__name__", "")
        axis = -1 if op == "softmax" else None
        if kind == "Activation":
            pieces = _without_layer(source, node) or _made_linear(source, node)
        else:
            pieces = _without_argument(source, node)
    if op not in SATURATING or not pieces or not isinstance(axis, int | None):
        return None
    return Removal(op, axis, source, pieces, node, layer, setting)


def _of_module(module: object, expression: Expression) -> Removal | None:
    """Of an activation among the arguments of `nn.Sequential`."""
    source, node = expression.source, made_by(expression, module)
    op, axis = _module_activation(module)
    if op is None or not isinstance(node, ast.Call):
        return None
    pieces = _without_layer(source, node)
    if not pieces:
        return None
    return Removal(op, axis, source, pieces, node, module, ("forward", "identity"))


def called_at(expression: Expression, module: object) -> Removal | None:
    """The removal of the call of a module of PyTorch, which may be called elsewhere, too."""
    source, node = expression.source, expression.node
    op, axis = _module_activation(module)
    if op is None or not isinstance(node, ast.Call) or len(node.args) != 1 or node.keywords:
        return None
    path = dotted(node.func)
    if path is None or path[-1] not in _names_of(module, source):
        return None
    return Removal(op, axis, source, (_by(source, node, node.args[0]),), node)


def _names_of(module: object, source: SourceFile) -> set[str]:
    """What the statement that made a module calls it."""
    site = site_of(module)
    if site is None or site.file != source.path:
        return set()
    start = site.line, site.column
    statements = [n for n in ast.walk(source.tree) if isinstance(n, ast.Assign)]
    made = [n for n in statements if (n.value.lineno, n.value.col_offset) == start]
    paths = [dotted(target) for statement in made for target in statement.targets]
    return {path[-1] for path in paths if path is not None}


def _module_activation(module: object) -> tuple[str | None, int | None]:
    """The operation of a module of PyTorch that is nothing but an activation, and its axis."""
    op = {"Sigmoid": "sigmoid", "Softmax": "softmax", "Tanh": "tanh"}.get(type(module).__name__)
    axis = getattr(module, "dim", None) if op == "softmax" else None
    if not _is(module, "Module") or (op == "softmax" and not isinstance(axis, int)):
        return None, None
    return op, axis


def _is(owner: object, kind: str) -> bool:
    return any(base.__name__ == kind for base in type(owner).__mro__)


def _integer(node: ast.expr | None) -> int | None:
    """The value of an argument; -1, the default of every library's softmax, where there is none."""
    if node is None:
        return -1
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError):
        return None
    return value if isinstance(value, int) else None


def _by(source: SourceFile, node: ast.expr, operand: ast.expr) -> Replacement:
    """`operand` in the place of `node`."""
    text = source.text_of(operand)
    is_loose = "\n" in text or precedence(text) < needed(source.parents.get(node), node)
    return Replacement(*source.range_of(node), f"({text})" if is_loose else text)


def _without_argument(source: SourceFile, call: ast.Call) -> tuple[Replacement, ...]:
    """The call of a constructor without `activation`, its second parameter."""
    keyword = next((k for k in call.keywords if k.arg == "activation"), None)
    items: list[ast.expr | ast.keyword] = [*call.args, *call.keywords]
    if keyword is not None:
        return (_without_item(source, items, items.index(keyword)),)
    return (_without_item(source, items, 1),) if len(call.args) == 2 else ()


def _without_item(
    source: SourceFile, items: Sequence[ast.expr | ast.keyword], position: int
) -> Replacement:
    """Arguments or elements without one of them."""
    ranges = [_range(source, item) for item in items]
    if position + 1 < len(items):
        return Replacement(ranges[position][0], ranges[position + 1][0], "")
    if position:
        return Replacement(ranges[position - 1][1], ranges[position][1], "")
    return Replacement(*ranges[0], "")


def _range(source: SourceFile, item: ast.expr | ast.keyword) -> tuple[int, int]:
    if isinstance(item, ast.keyword):
        return source.index(item.lineno, item.col_offset), source.grouped_range(item.value)[1]
    return source.grouped_range(item)


def _without_layer(source: SourceFile, made: ast.Call) -> tuple[Replacement, ...]:
    """The model without a layer that is nothing but an activation; empty if it takes more."""
    parent = source.parents.get(made)
    if isinstance(parent, ast.Call) and made in parent.args and len(parent.args) > 1:
        return (_without_item(source, parent.args, parent.args.index(made)),)
    if isinstance(parent, ast.List | ast.Tuple) and len(parent.elts) > 1:
        return (_without_item(source, parent.elts, parent.elts.index(made)),)
    if not isinstance(parent, ast.Call):
        return ()
    if parent.func is made:
        is_plain = len(parent.args) == 1 and not parent.keywords
        return (_by(source, parent, parent.args[0]),) if is_plain else ()
    statement = source.parents.get(parent)
    is_add = isinstance(parent.func, ast.Attribute) and parent.func.attr == "add"
    if not is_add or not isinstance(statement, ast.Expr):
        return ()
    starts = [*source.line_starts, len(source.text)]
    start, end = starts[statement.lineno - 1], starts[statement.end_lineno or statement.lineno]
    is_alone = source.text[start:end].strip() == source.text_of(statement)
    return (Replacement(start, end, ""),) if is_alone else ()


def _made_linear(source: SourceFile, made: ast.Call) -> tuple[Replacement, ...]:
    argument = made.args[0] if made.args else made.keywords[0].value if made.keywords else None
    return () if argument is None else (Replacement(*source.range_of(argument), '"linear"'),)
