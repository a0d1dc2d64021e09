"""What is in scope of one statement: names of values, and expressions that may be written once
more."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator

from stayfinite.repair.extraction import Extraction, Frame, Moment, Pending, SourceOrigin, Tensor
from stayfinite.repair.extraction.syntax import place_of
from stayfinite.repair.formula import Node, name_of
from stayfinite.repair.writing.text import ATOM, Text, precedence_of

# Numbers that belong to formulas as such, and are seldom the value of a parameter that has a name.
_COMMON = frozenset((0.0, 0.5, 1.0, 2.0, 4.0, -0.5, -1.0, -2.0))


class Visible:
    """The scope of the statement at `origin`.

    `names` has for a node the name or expression of the user's with its value.
    """

    def __init__(self, extraction: Extraction, origin: SourceOrigin) -> None:
        self._extraction = extraction
        self._expression = origin.expression
        self._moment = origin.moment
        self.names = dict(_named(self._moment))

    def spelled(self, node: Node) -> Text | None:
        """A name of the value, or the user's own expression for it."""
        if node in self.names:
            return self.names[node]
        for origin in self._extraction.origins.get(node, ()):
            if not isinstance(origin.expression, ast.AugAssign) and self._is_readable(node, origin):
                self.names[node] = _user_text(origin)
                return self.names[node]
        return None

    def _is_readable(self, node: Node, origin: SourceOrigin) -> bool:
        expression = origin.expression
        here, there = self._moment, origin.moment
        if "#" in origin.text or "\n" in origin.text:
            return False
        if node.op == "constant" and not self._is_meant(node):
            return False
        if (
            here.frame.source != there.frame.source
            and here.frame.globals is not there.frame.globals
        ):
            return False
        for part in ast.walk(expression):
            if isinstance(part, ast.Call) and not self._may_repeat(part, origin):
                return False
            if isinstance(part, ast.Lambda | ast.NamedExpr | ast.Await | ast.comprehension):
                return False
            if isinstance(part, ast.Name) and not self._same_name(part.id, there):
                return False
        return True

    def _may_repeat(self, call: ast.Call, origin: SourceOrigin) -> bool:
        """Whether a call may be written once more, or is moved."""
        if place_of(origin.source, call) in self._extraction.pure_calls:
            return True
        return any(part is call for part in ast.walk(self._expression))

    def _same_name(self, name: str, there: Moment) -> bool:
        here = self._moment
        missing = object()
        one, other = here.scope.get(name, missing), there.scope.get(name, missing)
        if one is missing and other is missing:
            return meaning(here.frame, name) is meaning(there.frame, name)
        return same_value(one, other)

    def _is_meant(self, node: Node) -> bool:
        """Whether a number of the formula is the named number of the user's, not just equal."""
        value = node.attribute("value")
        assert isinstance(value, bool | int | float)
        if name_of(node) is not None or float(value) not in _COMMON:
            return True
        here = self._moment.frame.body
        return not any(
            isinstance(part, ast.Constant) and part.value == abs(value) for part in ast.walk(here)
        )

    def is_free(self, name: str) -> bool:
        """Whether a new name may be called `name`."""
        return is_free(self._moment, name)

    def is_module(self, name: str, module: object) -> bool:
        """Whether `name` means `module` here."""
        frame = self._moment.frame
        return name not in self._moment.scope and frame.globals.get(name) is module


def meaning(frame: Frame, name: str) -> object:
    """What a name means that is not local."""
    outer = frame.outer
    while outer is not None:
        if name in outer.names:
            return outer.names[name]
        outer = outer.outer
    if name in frame.cells:
        return frame.cells[name]
    return frame.globals.get(name, getattr(builtins, name, None))


def is_free(moment: Moment, name: str) -> bool:
    """Whether a new name may be called `name` at a moment."""
    frame = moment.frame
    return (
        name not in moment.scope
        and name not in frame.globals
        and name not in frame.cells
        and not hasattr(builtins, name)
    )


def _named(moment: Moment) -> Iterator[tuple[Node, Text]]:
    for name, value in moment.scope.items():
        tensor = value.tensor if isinstance(value, Pending) else value
        if isinstance(tensor, Tensor) and name.isidentifier():
            yield tensor.node, Text(name, ATOM)


def same_value(one: object, other: object) -> bool:
    """Whether two values of names are the same tensor, object or number."""
    if isinstance(one, Pending):
        one = one.tensor or one
    if isinstance(other, Pending):
        other = other.tensor or other
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.node is other.node
    plain = (bool, int, float, str, type(None))
    if isinstance(one, plain) and isinstance(other, plain):
        return type(one) is type(other) and one == other
    return one is other


def _user_text(origin: SourceOrigin) -> Text:
    expression = origin.expression
    level = 0 if isinstance(expression, ast.AugAssign) else precedence_of(expression)
    return Text(origin.text, level)
