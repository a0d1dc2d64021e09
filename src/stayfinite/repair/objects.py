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

from stayfinite.repair.creating_call import is_of_class
from stayfinite.repair.edit import TemplateEdit
from stayfinite.repair.errors import NotSwappableError
from stayfinite.repair.expression import Expression
from stayfinite.repair.scope import Scope, live_object
from stayfinite.repair.source import SourceFile

# The one setting that a live object gets, with its value: an argument of its constructor, or its
# whole `call`, which is `forward` in PyTorch.
Setting = tuple[Literal["dtype", "activation", "call", "forward"], str]
_METHODS = ("call", "forward")


@dataclass(frozen=True)
class Remade:
    """The object that an edit makes again: `node`, which made `owner`, becomes `text`.

    `setting` is all that the new text changes, where that is known. Then the text needs no
    evaluation, so its arguments may be local variables of a function.
    """

    path: str
    owner: object
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

    def _attributes(self) -> dict[str, object]:
        if self.setting is not None:
            return _attribute(*self.setting)
        if is_of_class(self.owner, "Loss"):
            made = self._evaluated(self.text)
            if type(made) is type(self.owner):
                return dict(vars(made))
            if is_of_class(made, "Loss"):
                # The object that calls it also casts its operands, and takes the mean.
                return {**vars(made), "call": made.call}
            return {"call": made}
        if is_of_class(self.owner, "Layer"):
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
            code = compile(tree, self.path, "eval")
            return eval(code, self.names)
        except Exception as error:
            raise NotSwappableError(
                f"the new line cannot be tried by itself: {type(error).__name__}: {error}"
            ) from None


ObjectEdit = tuple[TemplateEdit, Remade]


def remade(expression: Expression, owner: object, edits: list[TemplateEdit]) -> list[ObjectEdit]:
    """Those of `edits` of the line that made an operation which stay inside the expression."""
    node = expression.node
    if isinstance(node, ast.AugAssign) or is_of_class(owner, "Layer") or is_of_class(owner, "Loss"):
        return []
    found = []
    for edit in edits:
        text = _inside(expression.source, node, edit)
        if text is not None:
            names = Scope(expression.source, node).module_names
            found.append((edit, Remade(edit.source.path, owner, node, text, names)))
    return found


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


def _operands(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp):
        return [node.left, node.right]
    if isinstance(node, ast.UnaryOp):
        return [node.operand]
    return list(node.args) if isinstance(node, ast.Call) else []


def _inside(source: SourceFile, node: ast.expr, edit: TemplateEdit) -> str | None:
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


@contextmanager
def _set(owner: object, attributes: dict[str, object]) -> Iterator[None]:
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
