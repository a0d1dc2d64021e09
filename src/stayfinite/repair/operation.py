"""Reading: which numerical operation a piece of source is, whatever it is called there."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from types import ModuleType
from typing import Literal

from stayfinite.numerics import functions
from stayfinite.repair import dialects
from stayfinite.repair.dialects import family
from stayfinite.repair.formula import BINARY, REDUCTIONS, UNARY
from stayfinite.repair.libraries import LIBRARIES, Function, Parameter
from stayfinite.repair.scope import Scope, dotted, live_object

Style = Literal["function", "method", "operator"]

_OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "add",
    ast.Sub: "subtract",
    ast.Mult: "multiply",
    ast.Div: "divide",
    ast.Pow: "power",
}
# Methods that only tensors have.
_METHODS = UNARY | BINARY | REDUCTIONS | frozenset("clip log_softmax norm softmax std var".split())


def _function(op: str, *roles: str, name: str | None = None) -> Function:
    return Function("", name or op, op, tuple(Parameter(role, role) for role in roles))


# Functions that can be guarded, and are none of a formula under this name.
_FURTHER = {
    function.name: function
    for function in (
        _function("cumprod", "x", "axis"),
        _function("normalize", "x", "axis", "ord", "epsilon"),
        _function("logit", "x"),
        _function("power", "x", "y", name="pow"),
        _function("abs", "x"),
    )
}


@dataclass(frozen=True)
class Operation:
    """One operation: its name in `keras.ops`, its arguments by role, and how it is spelled.

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

    @property
    def critical(self) -> ast.expr | None:
        """The operand on which it depends whether the operation fails."""
        second = "y" in self.arguments and functions.row(self.name).critical == 1
        return self.arguments.get("y" if second else "x")

    def is_receiver(self, operand: ast.expr) -> bool:
        """Whether `operand` is `x` in `x.sqrt()`."""
        function = getattr(self.node, "func", None)
        return self.style == "method" and getattr(function, "value", None) is operand


def recognise(scope: Scope, node: ast.AST) -> Operation | None:
    """The operation that `node` is, or `None`."""
    if isinstance(node, ast.BinOp):
        return _recognise_operator(node, node.left, node.right)
    if isinstance(node, ast.AugAssign):
        return _recognise_operator(node, node.target, node.value)
    return _recognise_call(scope, node) if isinstance(node, ast.Call) else None


def is_pure_call(scope: Scope, call: ast.Call) -> bool:
    """Whether a call surely gives the same when it is made twice.

    All of `keras.ops` and of JAX's numerical modules is pure, they keep random numbers apart.
    """
    if recognise(scope, call) is not None:
        return True
    home = _home((scope.path(call.func) or "").rpartition(".")[0])
    return home is not None and home != "keras.backend" and family(home) in ("keras", "jax")


def _recognise_operator(
    node: ast.BinOp | ast.AugAssign, left: ast.expr, right: ast.expr
) -> Operation | None:
    name = _OPERATORS.get(type(node.op))
    return None if name is None else Operation(name, node, {"x": left, "y": right}, "operator")


def _recognise_call(scope: Scope, call: ast.Call) -> Operation | None:
    parts = dotted(call.func)
    if parts is not None and parts[0] in ("pow", "abs") and len(parts) == 1:
        if parts[0] in scope.taken and parts[0] not in scope.paths:
            return None
        if parts[0] not in scope.taken:
            return _of_function(call, _FURTHER[parts[0]])
    path = scope.path(call.func)
    if path is not None:
        module, _, attribute = path.rpartition(".")
        home = _home(module)
        if home is None:
            # Other libraries offer functions of these as their own: `flax.linen.softmax`.
            row = LIBRARIES.of(live_object(path))
            home = None if row is None else row.home
        else:
            row = LIBRARIES.named(home, attribute) or _named(attribute)
        prefix = ".".join(parts[:-1]) if parts and len(parts) > 1 else ""
        return None if row is None else _of_function(call, row, attribute, prefix, home)
    # Any other name is that of a function of the user's own.
    return _of_value(call, call.func) if isinstance(call.func, ast.Attribute) else None


def _home(module: str) -> str | None:
    """The home of a module as the user calls it, else as it calls itself."""
    home = dialects.home_of(module)
    if home is None and isinstance(live := live_object(module), ModuleType):
        home = dialects.home_of(live.__name__)
    return home


def _named(name: str) -> Function | None:
    """What functions of this name compute in all libraries."""
    rows = (f for f in LIBRARIES.functions if f.name == name)
    return _FURTHER.get(name) or next(rows, None)


def _of_function(
    call: ast.Call,
    row: Function,
    attribute: str | None = None,
    prefix: str | None = None,
    home: str | None = None,
) -> Operation | None:
    arguments, complete = _arguments(call, row)
    if row.parameters[0].role not in arguments:
        return None
    attribute = attribute or row.name
    return Operation(row.op, call, arguments, "function", complete, attribute, prefix, home)


def _of_value(call: ast.Call, function: ast.Attribute) -> Operation | None:
    """`a.b(...)` where `a` is not known: a tensor's method, or a module in an attribute. A method
    of one operand takes no tensor, which distinguishes `self.ops.sqrt(x)` from `x.sqrt()`.
    """
    row = _method(function.attr)
    if row is None:
        return None
    roles = [parameter.role for parameter in row.parameters]
    if call.args and "y" not in roles and not _is_option(call.args[0]):
        return _of_function(call, row)
    rest = Function(row.home, row.name, row.op, row.parameters[1:])
    arguments, complete = _arguments(call, rest)
    arguments[roles[0]] = function.value
    return Operation(row.op, call, arguments, "method", complete, function.attr)


def _method(name: str) -> Function | None:
    if name in _FURTHER:
        return _FURTHER[name]
    homes = ("torch", "jax.numpy", "torch.special", "keras.ops")
    rows = (LIBRARIES.named(home, name) for home in homes)
    row = next(filter(None, rows), None)
    return row if row is not None and row.op in _METHODS else None


def _is_option(node: ast.expr) -> bool:
    """Whether an argument can only be an option: an axis, an order, a bound."""
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError):
        return False
    return True


def _arguments(call: ast.Call, row: Function) -> tuple[dict[str, ast.expr], bool]:
    """The arguments by role, and whether all are understood."""
    starred = any(isinstance(argument, ast.Starred) for argument in call.args)
    roles = [parameter.role for parameter in row.parameters]
    arguments = {} if starred else dict(zip(roles, call.args, strict=False))
    complete = not starred and len(call.args) <= len(roles)
    for keyword in call.keywords:
        role = row.role(keyword.arg, arguments) if keyword.arg else None
        if role is None:
            complete = complete and keyword.arg == "name"
        else:
            arguments[role] = keyword.value
    return arguments, complete
