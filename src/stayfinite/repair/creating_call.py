"""The expression that created an object of a library: a layer, a loss."""

from __future__ import annotations

import ast

from stayfinite.repair.expression import Expression
from stayfinite.repair.scope import Scope, dotted, live_object


def made_by(expression: Expression, owner: object) -> ast.expr | None:
    """The expression for the object itself, which `compile(loss="poisson")` holds inside.

    None where `expression` does not make `owner`.
    """
    node = expression.node
    if not isinstance(node, ast.Call):
        return None
    scope = Scope(expression.source, node)
    if is_of_class(owner, "Loss") and _last_name(node.func) == "compile":
        keyword = next((k.value for k in node.keywords if k.arg == "loss"), None)
        given = keyword or (node.args[1] if len(node.args) > 1 else None)
        return None if given is None else _one_loss(scope, given, owner)
    path = scope.path(node.func) or ".".join(dotted(node.func) or ())
    made = live_object(path) or _value_of(scope, node.func)
    if isinstance(made, type):
        return node if isinstance(owner, made) else None
    return node if path.rpartition(".")[2] == type(owner).__name__ else None


def _one_loss(scope: Scope, given: ast.expr, owner: object) -> ast.expr | None:
    """The part of `given` that stands for `owner`; None where two parts may."""
    parts = given.values if isinstance(given, ast.Dict) else [given]
    if isinstance(given, ast.List | ast.Tuple):
        parts = given.elts
    if len(parts) > 1:
        parts = [part for part in parts if _stands_for(scope, part, owner)]
    return parts[0] if len(parts) == 1 else None


def _stands_for(scope: Scope, node: ast.expr, owner: object) -> bool:
    """Whether `node` is the name or the function that the library made the loss `owner` of."""
    function = getattr(owner, "fn", None)
    if function is None:
        return False
    if isinstance(node, ast.Constant):
        get = live_object("keras.losses.get")
        if not callable(get) or not isinstance(node.value, str):
            return False
        try:
            found = get(node.value)
        except ValueError:
            return False
        return found is function or getattr(found, "fn", None) is function
    path = scope.path(node)
    return path is not None and live_object(path) is function


def _value_of(scope: Scope, node: ast.expr) -> object | None:
    name = node.id if isinstance(node, ast.Name) else None
    return None if name is None or name in scope.local else scope.module_names.get(name)


def _last_name(function: ast.expr) -> str | None:
    return function.attr if isinstance(function, ast.Attribute) else None


def is_of_class(owner: object, kind: str) -> bool:
    """Whether `kind` is the name of the class of `owner`, or of one that it inherits from."""
    return any(base.__name__ == kind for base in type(owner).__mro__)
