"""Repairs of the line that made a library's object: a layer, a loss, an operation of the graph.

Such a line runs once, so patched code in its place would never run again. Instead the printed text
is evaluated as it stands, and the living object is made to do what the new one does.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from stayfinite.repair.edit import Edit, Replacement
from stayfinite.repair.errors import NotSwappableError
from stayfinite.repair.expression import Expression
from stayfinite.repair.rewrites.limits import ceiling
from stayfinite.repair.rewrites.site import Facts, Site
from stayfinite.repair.scope import Scope
from stayfinite.repair.source import SourceFile


@dataclass(frozen=True)
class Remade:
    """An edit of the line that made `owner`: `node` of the old text becomes `text`."""

    edit: Edit
    owner: Any
    node: ast.expr
    text: str
    names: dict[str, object]

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The living object does what `text` says inside this context.

        Raises:
            NotSwappableError: the text cannot be evaluated among the names of its module.
        """
        with _set(self.owner, self._attributes()):
            yield

    def _attributes(self) -> dict[str, Any]:
        if _is(self.owner, "Loss"):
            made = self._evaluated(self.text)
            if type(made) is type(self.owner):
                return dict(vars(made))
            return {"call": getattr(made, "call", made)}
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
    """What may repair a layer or a loss of the library, best first."""
    node = _made(expression.node, owner)
    if node is None:
        return []
    found = []
    for text, description in _texts(Site(expression.source, node, Facts(dtype)), owner, mechanism):
        start, end = expression.source.range_of(node)
        pieces = (Replacement(start, end, text),)
        edit = Edit(expression.source, "object", description, pieces, 1)
        found.append(Remade(edit, owner, node, text, Scope(expression.source, node).module_names))
    return found


def _made(node: ast.AST, owner: Any) -> ast.expr | None:
    """The expression for the object itself, which `compile(loss="poisson")` holds inside."""
    if not isinstance(node, ast.Call):
        return None
    function = node.func.attr if isinstance(node.func, ast.Attribute) else None
    if _is(owner, "Loss") and function == "compile":
        keyword = next((k.value for k in node.keywords if k.arg == "loss"), None)
        return keyword or (node.args[1] if len(node.args) > 1 else None)
    return node


def _texts(site: Site, owner: Any, mechanism: str) -> Iterator[tuple[str, str]]:
    ops, keras = _prefixes(site)
    if ops is None:
        return
    if _is(owner, "Loss"):
        yield from _loss_texts(site, owner, mechanism, ops, keras)
    elif _is(owner, "Layer"):
        yield from _layer_texts(site, owner, mechanism, ops)


def _loss_texts(
    site: Site, owner: Any, mechanism: str, ops: str, keras: str | None
) -> Iterator[tuple[str, str]]:
    if site.facts.dtype in ("float16", "bfloat16") and isinstance(site.node, ast.Call):
        yield _with_keyword(site, "dtype", '"float32"'), "compute the loss in float32"
    function = getattr(getattr(owner, "fn", None), "__name__", None)
    if function is None or keras is None or mechanism == "overflow":
        return
    guarded = f"{ops}.maximum(y_pred, {site.limits.logarithm})"
    yield (
        f"lambda y_true, y_pred: {keras}.losses.{function}(y_true, {guarded})",
        "keep the predictions that the loss sees above 0",
    )


def _layer_texts(site: Site, owner: Any, mechanism: str, ops: str) -> Iterator[tuple[str, str]]:
    if mechanism == "half-overflow":
        yield _with_keyword(site, "dtype", '"float32"'), "compute this layer in float32"
    activation = getattr(getattr(owner, "activation", None), "__name__", None)
    if mechanism in ("overflow", "half-overflow") and activation == "exponential":
        for bound in dict.fromkeys((f"{ceiling(site.facts.dtype, 'exp')}.0", "20.0")):
            bounded = f"lambda x: {ops}.exp({ops}.minimum(x, {bound}))"
            size = bound.removesuffix(".0")
            yield (
                _with_keyword(site, "activation", bounded),
                f"keep what the activation sees below {size}",
            )
    if type(owner).__name__ == "UnitNormalization":
        yield _unit_normalization(site, owner, ops), "keep the length that is divided by above 0"


def _unit_normalization(site: Site, owner: Any, ops: str) -> str:
    axis = getattr(owner, "axis", -1)
    total = f"{ops}.sum({ops}.square(x), axis={axis}, keepdims=True)"
    length = f"{ops}.sqrt({ops}.maximum({total}, {site.limits.radicand}))"
    function = site.text(site.node.func) if isinstance(site.node, ast.Call) else ""
    lambda_layer = function.rpartition(".")[0]
    prefix = f"{lambda_layer}." if lambda_layer else "keras.layers."
    return f"{prefix}Lambda(lambda x: x / {length})"


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


def _prefixes(site: Site) -> tuple[str | None, str | None]:
    """How the file says `keras.ops` and `keras`."""
    names = {name: site.scope.path_of_name(name) for name in site.scope.names}
    keras = next((name for name, path in names.items() if path == "keras"), None)
    spelling = site.api.spell("maximum")
    if keras is not None:
        return f"{keras}.ops", keras
    if spelling is None or spelling.import_line or spelling.family != "keras":
        return None, None
    return spelling.text.rpartition(".")[0] or None, None


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
    before = {name: vars(owner).get(name, missing) for name in attributes}
    shown = {name: getattr(owner, name) for name in attributes}
    try:
        for name, value in attributes.items():
            setattr(owner, name, value)
        yield
    finally:
        for name, value in before.items():
            if value is missing and name == "call":
                delattr(owner, name)
            else:
                setattr(owner, name, shown[name])


class _Operands(ast.NodeTransformer):
    def __init__(self, names: dict[str, str]) -> None:
        self._names = names

    def visit(self, node: ast.AST) -> Any:
        name = self._names.get(ast.dump(node)) if isinstance(node, ast.expr) else None
        if name is None:
            return self.generic_visit(copy.copy(node))
        return ast.Name(name, ast.Load())
