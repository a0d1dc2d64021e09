"""The values of the interpreter, with their places in the source."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import CodeType

from stayfinite.graph.running_loops import Loop
from stayfinite.graph.source import Definition
from stayfinite.repair.formula import Node
from stayfinite.repair.source import SourceFile

Shape = tuple[int, ...]
# What a frame runs.
Body = Definition | Loop


@dataclass(frozen=True)
class Tensor:
    """A tensor of the user's: the formula of its value."""

    node: Node


@dataclass(eq=False)
class Pending:
    """A value of which only the text is known, until it is used: a tensor or any other object.

    `parts` are the elements and attributes read of it, by text. `function` and `name` are set for a
    parameter.
    """

    text: str
    tensor: Tensor | None = None
    parts: dict[str, Pending] = field(default_factory=dict)


@dataclass(eq=False)
class Frame:
    """One call of a function, or one iteration of a loop, that is interpreted.

    `caller` is where it was called from; `names` are its local variables at present; `outer` is
    the frame in whose body the function was defined, if that was interpreted too. `left_out` are
    the parameters of a function that a library calls, as far as they have a default value.
    `skipped` are statements of a loop whose names have their values already, as `ast.dump` gives
    them.
    """

    source: SourceFile
    body: Body
    names: dict[str, object]
    globals: Mapping[str, object]
    cells: Mapping[str, object]
    code: CodeType | None = None
    outer: Frame | None = None
    caller: SourceOrigin | None = None
    left_out: frozenset[str] = frozenset()
    skipped: frozenset[str] = frozenset()

    def text_of(self, expression: ast.expr | ast.AugAssign) -> str:
        """An expression as the user wrote it, or the target of an assignment, on one line."""
        if isinstance(expression, ast.AugAssign):
            expression = expression.target
        return " ".join(self.source.text_of(expression).split())


@dataclass(frozen=True, eq=False)
class Moment:
    """One execution of a statement (or of the body of a lambda), with the names as it began."""

    frame: Frame
    statement: ast.stmt | ast.Lambda
    scope: Mapping[str, object]


@dataclass(frozen=True, eq=False)
class SourceOrigin:
    """One evaluation of an expression of the user's."""

    moment: Moment
    expression: ast.expr | ast.AugAssign

    @property
    def source(self) -> SourceFile:
        """The file that holds it."""
        return self.moment.frame.source

    @property
    def text(self) -> str:
        """The expression as the user wrote it."""
        return self.source.text_of(self.expression)


@dataclass(frozen=True, eq=False)
class Call:
    """A call in interpreted code: what is called, and with what."""

    called: object
    positional: list[object]
    named: dict[str, object]
    expression: ast.Call
    frame: Frame

    @property
    def text(self) -> str:
        """The call as the user wrote it, on one line."""
        return self.frame.text_of(self.expression)

    @property
    def arguments(self) -> list[object]:
        """All arguments, without the names."""
        return [*self.positional, *self.named.values()]


@dataclass(frozen=True, eq=False)
class Closure:
    """A function that was defined in interpreted code."""

    function: Definition
    frame: Frame
    defaults: tuple[object, ...]
    named_defaults: Mapping[str, object]


class NamedInt(int):
    """An integer that the program has under a name: a parameter, an attribute, a global."""

    name: str

    @property
    def plain(self) -> int:
        """The number alone."""
        return int(self)


class NamedFloat(float):
    """A number that the program has under a name: a parameter, an attribute, a global."""

    name: str

    @property
    def plain(self) -> float:
        """The number alone."""
        return float(self)


def named_number(value: object, text: str) -> object:
    """`value` with the name `text`, if it is a number."""
    if isinstance(value, NamedInt | NamedFloat):
        value = value.plain
    made: NamedInt | NamedFloat
    if type(value) is int:
        made = NamedInt(value)
    elif type(value) is float:
        made = NamedFloat(value)
    else:
        return value
    made.name = text
    return made


@dataclass(frozen=True, eq=False)
class DType:
    """The dtype of a tensor, where the user asks for it."""

    name: str


@dataclass(frozen=True, eq=False)
class Method:
    """`x.name` of a tensor, before it is called."""

    receiver: object
    name: str
    text: str


@dataclass(frozen=True, eq=False)
class ValuesAndIndices:
    """What PyTorch's `max` along an axis gives: values and positions."""

    parts: tuple[object, object]
