"""Reading: which numerical operation a piece of source is, whatever it is called there."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from types import ModuleType
from typing import Literal

from stayfinite.repair import dialects
from stayfinite.repair.dialects import family
from stayfinite.repair.scope import Scope, dotted, live_object

Style = Literal["function", "method", "operator"]

_OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "add",
    ast.Sub: "subtract",
    ast.Mult: "multiply",
    ast.Div: "divide",
    ast.Pow: "power",
}


@dataclass(frozen=True)
class Operation:
    """One operation: our name for it, its arguments by role, and how it is spelled.

    `complete` is false when the call has arguments that we do not understand.
    """

    name: str
    node: ast.expr | ast.AugAssign
    arguments: dict[str, ast.expr]
    style: Style
    complete: bool = True
    attribute: str = ""
    prefix: str | None = None
    home: str | None = None

    @property
    def call(self) -> ast.Call:
        """The call, for an operation that is one."""
        if not isinstance(self.node, ast.Call):
            raise TypeError(f"`{self.name}` is not a call here")
        return self.node

    def is_receiver(self, operand: ast.expr) -> bool:
        """Whether `operand` is `x` in `x.sqrt()`."""
        function = getattr(self.node, "func", None)
        return self.style == "method" and getattr(function, "value", None) is operand


def recognise(scope: Scope, node: ast.AST) -> Operation | None:
    """The operation that `node` is, or `None`."""
    if isinstance(node, ast.BinOp):
        name = _OPERATORS.get(type(node.op))
        pair = {"left": node.left, "right": node.right}
        return None if name is None else Operation(name, node, pair, "operator")
    if isinstance(node, ast.AugAssign):
        name = _OPERATORS.get(type(node.op))
        pair = {"left": node.target, "right": node.value}
        return None if name is None else Operation(name, node, pair, "operator")
    return _recognise_call(scope, node) if isinstance(node, ast.Call) else None


def _recognise_call(scope: Scope, call: ast.Call) -> Operation | None:
    parts = dotted(call.func)
    if parts is not None and parts[0] in ("pow", "abs") and len(parts) == 1:
        if parts[0] in scope.taken and parts[0] not in scope.paths:
            return None
        if parts[0] not in scope.taken:
            return _build(scope, call, parts[0], None, None)
    path = scope.path(call.func)
    if path is not None:
        module, _, attribute = path.rpartition(".")
        home = _home(module)
        if home is None:
            return None
        prefix = ".".join(parts[:-1]) if parts and len(parts) > 1 else ""
        return _build(scope, call, attribute, home, prefix)
    if not isinstance(call.func, ast.Attribute):
        return None  # a function of the user's own
    return _build_of_value(call, call.func)


def is_pure_call(scope: Scope, call: ast.Call) -> bool:
    """Whether a call surely gives the same when it is made twice.

    All of `keras.ops` and of JAX's numerical modules is pure, they keep random numbers apart.
    """
    if recognise(scope, call) is not None:
        return True
    home = _home((scope.path(call.func) or "").rpartition(".")[0])
    return home is not None and home != "keras.backend" and family(home) in ("keras", "jax")


def _home(module: str) -> str | None:
    """The home of a module as the user calls it, else as it calls itself."""
    home = dialects.home_of(module)
    if home is None and isinstance(live := live_object(module), ModuleType):
        home = dialects.home_of(live.__name__)
    return home


def _roles(attribute: str, name: str, home: str | None) -> tuple[str, ...]:
    table = dialects.SIGNATURES
    return table.get(f"{home}.{attribute}") or table.get(attribute) or table.get(name, ("x",))


def _build(
    scope: Scope, call: ast.Call, attribute: str, home: str | None, prefix: str | None
) -> Operation | None:
    name = dialects.OPERATIONS.get(attribute)
    if name is None:
        return None
    roles = _roles(attribute, name, home)
    arguments, complete = _arguments(call, roles, attribute)
    if roles[0] not in arguments:
        return None
    return Operation(name, call, arguments, "function", complete, attribute, prefix, home)


def _build_of_value(call: ast.Call, function: ast.Attribute) -> Operation | None:
    """`a.b(...)` where nothing says what `a` is: a tensor's method, or a module kept somewhere.

    A method of one operand takes no tensor, so `self.ops.sqrt(x)` can be told from `x.sqrt()`.
    """
    name = dialects.OPERATIONS.get(function.attr)
    if name is None or name == "where":
        return None
    roles = _roles(function.attr, name, None)
    if call.args and roles[0] == "x" and not _is_option(call.args[0]):
        arguments, complete = _arguments(call, roles, function.attr)
        return Operation(name, call, arguments, "function", complete, function.attr)
    arguments, complete = _arguments(call, roles[1:], function.attr)
    arguments[roles[0]] = function.value
    return Operation(name, call, arguments, "method", complete, function.attr)


def _is_option(node: ast.expr) -> bool:
    """Whether an argument can only be an option: an axis, an order, a bound."""
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError):
        return False
    return True


def _arguments(
    call: ast.Call, roles: tuple[str, ...], attribute: str
) -> tuple[dict[str, ast.expr], bool]:
    starred = any(isinstance(argument, ast.Starred) for argument in call.args)
    arguments = {} if starred else dict(zip(roles, call.args, strict=False))
    complete = not starred and len(call.args) <= len(roles)
    for keyword in call.keywords:
        role = dialects.role_of(keyword.arg, roles, attribute) if keyword.arg else None
        if role is None:
            complete = complete and keyword.arg == "name"
        else:
            arguments[role] = keyword.value
    return arguments, complete
