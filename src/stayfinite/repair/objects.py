"""Repairs of the line that made a library's object: a layer, a loss, an operation of the graph.

Such a line runs once, so patched code in its place would never run again. Instead the printed text
is evaluated as it stands, and the live object is made to do what the new one does.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from stayfinite.repair.edit import Edit, Replacement, insert_imports
from stayfinite.repair.errors import NotSwappableError
from stayfinite.repair.expression import Expression
from stayfinite.repair.rewrites.limits import ceiling
from stayfinite.repair.rewrites.site import Facts, Site
from stayfinite.repair.scope import Scope, dotted, live_object
from stayfinite.repair.source import SourceFile

# The one setting that a live object gets, with its value: an argument of its constructor, or its
# whole `call`, which is `forward` in PyTorch.
Setting = tuple[Literal["dtype", "activation", "call", "forward"], str]
_METHODS = ("call", "forward")
# The one argument of a layer that is set for a mechanism.
_SETTINGS: dict[str, Setting] = {
    "half-overflow": ("dtype", "float32"),
    "out-of-domain": ("activation", "softplus"),
}


@dataclass(frozen=True)
class Remade:
    """An edit of the line that made `owner`: `node` of the old text becomes `text`.

    `setting` is all that the new text changes, where that is known. Then the text needs no
    evaluation, so its arguments may be local variables of a function.
    """

    edit: Edit
    owner: Any
    node: ast.expr
    text: str
    names: dict[str, object]
    setting: Setting | None = None

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The live object does what `text` says inside this context.

        Raises:
            NotSwappableError: the text cannot be evaluated among the names of its module.
        """
        with _set(self.owner, self._attributes()):
            yield

    def _attributes(self) -> dict[str, Any]:
        if self.setting is not None:
            return _attribute(*self.setting)
        if _is(self.owner, "Loss"):
            made = self._evaluated(self.text)
            if type(made) is type(self.owner):
                return dict(vars(made))
            if _is(made, "Loss"):
                # The object that calls it also casts its operands, and takes the mean.
                return {**vars(made), "call": made.call}
            return {"call": made}
        if _is(self.owner, "Layer"):
            made = self._evaluated(self.text)
            if type(made) is type(self.owner):
                return {
                    name: getattr(made, name)
                    for name in ("activation", "dtype_policy")
                    if hasattr(made, name)
                }
            return {"call": made.call}
        return {"call": self._operation()}

    def _operation(self) -> Callable[..., Any]:
        """The new expression as a function of the operands that the old one was called with."""
        operands = _operands(self.node)
        names = [f"operand_{position}" for position in range(len(operands))]
        tree = ast.parse(self.text, mode="eval").body
        body = _Operands(dict(zip(map(ast.dump, operands), names, strict=True))).visit(tree)
        arguments = ast.arguments([], [ast.arg(name) for name in names], None, [], [], None, [])
        function = ast.Lambda(arguments, body)
        return self._compiled(ast.Expression(function))  # type: ignore[no-any-return]

    def _evaluated(self, text: str) -> Any:
        return self._compiled(ast.parse(text, mode="eval"))

    def _compiled(self, tree: ast.Expression) -> Any:
        ast.fix_missing_locations(tree)
        ast.increment_lineno(tree, self.node.lineno - 1)
        try:
            code = compile(tree, self.edit.source.path, "eval")
            return eval(code, self.names)
        except Exception as error:
            raise NotSwappableError(
                f"the new line cannot be tried by itself: {type(error).__name__}: {error}"
            ) from None


def remade(expression: Expression, owner: Any, edits: list[Edit]) -> list[Remade]:
    """The edits of the line that made an operation, as far as they stay inside the expression."""
    node = expression.node
    if isinstance(node, ast.AugAssign) or _is(owner, "Layer") or _is(owner, "Loss"):
        return []
    found = []
    for edit in edits:
        text = _inside(expression.source, node, edit)
        if text is not None:
            names = Scope(expression.source, node).module_names
            found.append(Remade(edit, owner, node, text, names))
    return found


def proposals(expression: Expression, owner: Any, mechanism: str, dtype: str) -> list[Remade]:
    """What may repair a layer or a loss of the library, best first.

    Empty where `expression` does not make `owner`: it may also be the line that starts the
    training, or a function of a library that makes a whole model.
    """
    node = made_by(expression, owner)
    if node is None:
        return []
    found = []
    for text, description in _texts(Site(expression.source, node, Facts(dtype)), owner, mechanism):
        start, end = expression.source.range_of(node)
        pieces = [Replacement(start, end, text)]
        scope = Scope(expression.source, node)
        names = {**scope.module_names, **_imported(scope)}
        if text.startswith("losses.") and "losses" not in names:
            pieces += insert_imports(expression.source, node, ["from keras import losses"])
            names["losses"] = live_object("keras.losses")
        edit = Edit(expression.source, "object", description, tuple(pieces), 1)
        setting = _SETTINGS.get(mechanism) if description == _as_set(owner, mechanism) else None
        found.append(Remade(edit, owner, node, text, names, setting))
    return found


def made_by(expression: Expression, owner: Any) -> ast.expr | None:
    """The expression for the object itself, which `compile(loss="poisson")` holds inside.

    None where `expression` does not make `owner`.
    """
    node = expression.node
    if not isinstance(node, ast.Call):
        return None
    scope = Scope(expression.source, node)
    if _is(owner, "Loss") and _last_name(node.func) == "compile":
        keyword = next((k.value for k in node.keywords if k.arg == "loss"), None)
        given = keyword or (node.args[1] if len(node.args) > 1 else None)
        return None if given is None else _one_loss(scope, given, owner)
    path = scope.path(node.func) or ".".join(dotted(node.func) or ())
    made = live_object(path) or _value_of(scope, node.func)
    if isinstance(made, type):
        return node if isinstance(owner, made) else None
    return node if path.rpartition(".")[2] == type(owner).__name__ else None


def _one_loss(scope: Scope, given: ast.expr, owner: Any) -> ast.expr | None:
    """The part of `given` that stands for `owner`; None where two parts may."""
    parts = given.values if isinstance(given, ast.Dict) else [given]
    if isinstance(given, ast.List | ast.Tuple):
        parts = given.elts
    if len(parts) > 1:
        parts = [part for part in parts if _stands_for(scope, part, owner)]
    return parts[0] if len(parts) == 1 else None


def _stands_for(scope: Scope, node: ast.expr, owner: Any) -> bool:
    """Whether `node` is the name or the function that the library made the loss `owner` of."""
    if isinstance(node, ast.Constant):
        get = live_object("keras.losses.get")
        if not callable(get) or not isinstance(node.value, str):
            return False
        try:
            found = get(node.value)
        except ValueError:
            return False
        return found is owner.fn or getattr(found, "fn", None) is owner.fn
    path = scope.path(node)
    return path is not None and live_object(path) is owner.fn


def _value_of(scope: Scope, node: ast.expr) -> object | None:
    name = node.id if isinstance(node, ast.Name) else None
    return None if name is None or name in scope.local else scope.module_names.get(name)


def _last_name(function: ast.expr) -> str | None:
    return function.attr if isinstance(function, ast.Attribute) else None


def _texts(site: Site, owner: Any, mechanism: str) -> Iterator[tuple[str, str]]:
    ops, losses = prefix_of(site, "ops"), prefix_of(site, "losses")
    if _is(owner, "Loss"):
        yield from _loss_texts(site, owner, mechanism, ops, losses)
    elif _is(owner, "Layer"):
        yield from _layer_texts(site, owner, mechanism, ops)


def _loss_texts(
    site: Site, owner: Any, mechanism: str, ops: str | None, losses: str | None
) -> Iterator[tuple[str, str]]:
    if site.facts.dtype in ("float16", "bfloat16"):
        if isinstance(site.node, ast.Call):
            yield _with_keyword(site, "dtype", '"float32"'), "compute the loss in float32"
        elif losses is not None and (name := _class_name(owner)) is not None:
            yield f'{losses}.{name}(dtype="float32")', "compute the loss in float32"
    function = getattr(getattr(owner, "fn", None), "__name__", None)
    if function is None or ops is None or losses is None or mechanism == "overflow":
        return
    guarded = f"{ops}.maximum(y_pred, {site.limits.logarithm})"
    yield (
        f"lambda y_true, y_pred: {losses}.{function}(y_true, {guarded})",
        "keep the predictions above 0 in the loss",
    )


def _class_name(owner: Any) -> str | None:
    """The class of `keras.losses` whose objects do by default what the function in `owner` does."""
    function = getattr(owner, "fn", None)
    losses = live_object("keras.losses")
    for name, made in sorted(vars(losses).items()) if function is not None else ():
        is_loss = isinstance(made, type) and any(base.__name__ == "Loss" for base in made.__mro__)
        if is_loss and getattr(made(), "fn", None) is function:
            return name
    return None


def _layer_texts(
    site: Site, owner: Any, mechanism: str, ops: str | None
) -> Iterator[tuple[str, str]]:
    if mechanism == "half-overflow":
        yield _with_keyword(site, "dtype", '"float32"'), _as_set(owner, mechanism)
    if mechanism == "out-of-domain" and is_unbounded(owner):
        yield _with_keyword(site, "activation", '"softplus"'), _as_set(owner, mechanism)
    if ops is None:
        return
    activation = getattr(getattr(owner, "activation", None), "__name__", None)
    if mechanism in ("overflow", "half-overflow") and activation == "exponential":
        for bound in dict.fromkeys((f"{ceiling(site.facts.dtype, 'exp')}.0", "20.0")):
            bounded = f"lambda x: {ops}.exp({ops}.minimum(x, {bound}))"
            size = bound.removesuffix(".0")
            yield (
                _with_keyword(site, "activation", bounded),
                f"keep the operand of the activation below {size}",
            )
    if type(owner).__name__ == "UnitNormalization":
        yield _unit_normalization(site, owner, ops), "keep the divisor above 0"


def _unit_normalization(site: Site, owner: Any, ops: str) -> str:
    axis = getattr(owner, "axis", -1)
    total = f"{ops}.sum({ops}.square(x), axis={axis}, keepdims=True)"
    length = f"{ops}.sqrt({ops}.maximum({total}, {site.limits.radicand}))"
    function = site.text(site.node.func) if isinstance(site.node, ast.Call) else ""
    lambda_layer = function.rpartition(".")[0]
    prefix = f"{lambda_layer}." if lambda_layer else "keras.layers."
    return f"{prefix}Lambda(lambda x: x / {length})"


def is_unbounded(layer: Any) -> bool:
    """Whether the activation of a layer is none, so that what it gives may have any sign."""
    return getattr(getattr(layer, "activation", None), "__name__", None) == "linear"


def _as_set(layer: Any, mechanism: str) -> str:
    name = type(layer).__name__
    if mechanism == "out-of-domain":
        return f"give this `{name}` layer the activation softplus"
    return f"compute this `{name}` layer in float32"


def _attribute(argument: str, value: str) -> dict[str, object]:
    """The attribute of a layer that the constructor sets for an argument."""
    if argument in _METHODS:
        return {argument: _identity}
    if argument == "activation":
        return {"activation": live_object(f"keras.activations.{value}")}
    policy = live_object("keras.DTypePolicy")
    if not callable(policy):
        raise NotSwappableError("the program has not loaded Keras")
    return {"dtype_policy": policy(value)}


def _identity(x: object, **options: object) -> object:
    return x


def _with_keyword(site: Site, name: str, value: str) -> str:
    """The call with one keyword set, be it there already or not."""
    node = site.node
    assert isinstance(node, ast.Call)
    text, start = site.text(node), site.source.range_of(node)[0]
    for keyword in node.keywords:
        if keyword.arg == name:
            first, last = site.source.range_of(keyword.value)
            return f"{text[: first - start]}{value}{text[last - start :]}"
    if name == "activation" and len(node.args) > 1:
        first, last = site.source.range_of(node.args[1])
        return f"{text[: first - start]}{value}{text[last - start :]}"
    body = text[:-1].rstrip()
    comma = "" if body.endswith(("(", ",")) else ", "
    return f"{body}{comma}{' ' if body.endswith(',') else ''}{name}={value})"


def _imported(scope: Scope) -> dict[str, object]:
    """What the imports in reach of an expression have bound, also those of a function."""
    found = {name: live_object(path) for name, path in scope.paths.items()}
    return {name: value for name, value in found.items() if value is not None}


def prefix_of(site: Site, module: str) -> str | None:
    """How the file names a module of Keras, as `keras.ops` or `keras.losses`."""
    names = {name: site.scope.path_of_name(name) for name in site.scope.names}
    for keras in ("keras", "tensorflow.keras"):
        for name, path in names.items():
            if path in (keras, f"{keras}.{module}"):
                return name if path != keras else f"{name}.{module}"
    if "tensorflow" in names.values():
        return next(f"{n}.keras.{module}" for n, path in names.items() if path == "tensorflow")
    if module != "ops":
        return module if site.scope.is_free(module) else None
    spelling = site.api.spell("maximum")
    if spelling is None or spelling.import_line or spelling.family != "keras":
        return None
    return spelling.text.rpartition(".")[0] or None


def _operands(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp):
        return [node.left, node.right]
    if isinstance(node, ast.UnaryOp):
        return [node.operand]
    return list(node.args) if isinstance(node, ast.Call) else []


def _inside(source: SourceFile, node: ast.expr, edit: Edit) -> str | None:
    """The new text of `node`; None where the edit reaches out of it."""
    start, end = source.grouped_range(node)
    text = source.text[start:end]
    for piece in sorted(edit.replacements, reverse=True):
        if piece.start == piece.end and piece.text.startswith(("import ", "from ")):
            return None
        if piece.start < start or piece.end > end:
            return None
        text = text[: piece.start - start] + piece.text + text[piece.end - start :]
    return text


def _is(owner: Any, kind: str) -> bool:
    return any(base.__name__ == kind for base in type(owner).__mro__)


@contextmanager
def _set(owner: Any, attributes: dict[str, Any]) -> Iterator[None]:
    missing = object()
    is_method = [name for name in attributes if name not in vars(owner) and name in _METHODS]
    before = {name: getattr(owner, name, missing) for name in attributes}
    try:
        for name, value in attributes.items():
            setattr(owner, name, value)
        yield
    finally:
        for name, value in before.items():
            if value is missing or name in is_method:
                delattr(owner, name)
            else:
                setattr(owner, name, value)


class _Operands(ast.NodeTransformer):
    def __init__(self, names: dict[str, str]) -> None:
        self._names = names

    def visit(self, node: ast.AST) -> Any:
        name = self._names.get(ast.dump(node)) if isinstance(node, ast.expr) else None
        if name is None:
            return self.generic_visit(copy.copy(node))
        return ast.Name(name, ast.Load())
