"""From a formula to text, over what one statement can see."""

from __future__ import annotations

import ast
import builtins
import functools
import math
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from stayfinite.repair.extraction import Extraction, Moment, Pending, SourceOrigin, Tensor
from stayfinite.repair.extraction.shapes import python_key
from stayfinite.repair.extraction.syntax import place_of
from stayfinite.repair.formula import REDUCTIONS, Node
from stayfinite.repair.writing.spelling import OPERATORS, NoSpellingError, Speller

COMPARE, SUM, PRODUCT, SIGN, POWER, ATOM = range(1, 7)
_LEVELS: dict[type[ast.AST], int] = {
    ast.Add: SUM,
    ast.Sub: SUM,
    ast.Mult: PRODUCT,
    ast.Div: PRODUCT,
    ast.FloorDiv: PRODUCT,
    ast.Mod: PRODUCT,
    ast.MatMult: PRODUCT,
    ast.Pow: POWER,
}
WIDTHS = (88, 66, 50, 38)  # characters; longer operations get names, the fewest that suffice
LINE = 99  # characters
# What texts consist of that are repeated rather than named.
_SHORT = (
    ast.Name,
    ast.Attribute,
    ast.Subscript,
    ast.Constant,
    ast.Slice,
    ast.Tuple,
    ast.UnaryOp,
    ast.USub,
    ast.expr_context,
)
_LONG = 40  # characters; a longer text is not repeated
# Numbers that belong to formulas as such, and are seldom the value of a parameter that has a name.
_COMMON = frozenset((0.0, 0.5, 1.0, 2.0, 4.0, -0.5, -1.0, -2.0))
_NAMES = {
    "abs": "magnitude",
    "add": "added",
    "divide": "ratio",
    "equal": "at_zero",
    "exp": "weight",
    "less": "near",
    "less_equal": "near",
    "log": "log_value",
    "log_sigmoid": "log_p",
    "log_softmax": "log_p",
    "logaddexp": "log_total",
    "logsumexp": "log_total",
    "max": "largest",
    "maximum": "largest",
    "mean": "mean",
    "multiply": "product",
    "power": "power",
    "negative": "opposite",
    "sigmoid": "p",
    "softmax": "p",
    "softplus": "log_total",
    "sqrt": "root",
    "square": "squared",
    "stop_gradient": "scale",
    "subtract": "difference",
    "sum": "total",
    "where": "safe",
}


@dataclass(frozen=True)
class Text:
    """A text and how tightly its outermost operator binds."""

    text: str
    level: int

    def at(self, level: int) -> str:
        """The text where an operator of `level` is next to it."""
        return self.text if self.level >= level else f"({self.text})"


class CannotPrintError(Exception):
    """A part of the formula cannot be computed from what is in scope."""


@dataclass
class Printer:
    """Prints formulas at the place of `origin`.

    `lines` are the assignments that have to stand before the statement, in order; there are none
    without `may_assign`, where nothing can stand before it.
    """

    extraction: Extraction
    origin: SourceOrigin
    speller: Speller
    may_assign: bool = True
    width: int = WIDTHS[0]
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._moment = self.origin.moment
        self._names = dict(self._visible(self._moment))
        self._printed: dict[Node, Text] = {}
        self._uses: dict[Node, int] = {}
        self._taken: set[str] = set()

    def print(self, node: Node) -> Text:
        """The text of `node`; what it uses twice is in `lines`.

        Raises:
            CannotPrintError: an operand is not visible here.
            NoSpellingError: the library has no such operation.
        """
        self._count(node)
        self._root = node
        return self._text(node)

    def _count(self, root: Node) -> None:
        """How often each node is printed."""
        stack = [root]
        while stack:
            node = stack.pop()
            self._uses[node] = self._uses.get(node, 0) + 1
            if self._uses[node] == 1 and self._spelled(node) is None:
                stack.extend(node.operands)

    def _text(self, node: Node) -> Text:
        if node in self._printed:
            return self._printed[node]
        text = self._spelled(node)
        too_long = False
        if text is None:
            text = self._operation(node)
            too_long = self.may_assign and len(text.text) > self.width and node is not self._root
        if too_long or self._deserves_name(node, text):
            text = self._assigned(node, text)
        self._printed[node] = text
        return text

    def _assigned(self, node: Node, text: Text) -> Text:
        """A new name for what `text` computes."""
        name = self._free_name(node)
        self.lines.append(f"{name} = {text.text}")
        return Text(name, ATOM)

    def _deserves_name(self, node: Node, text: Text) -> bool:
        if self._uses.get(node, 0) < 2 or not self.may_assign or node.op == "constant":
            return False
        tree = ast.parse(text.text, mode="eval").body
        simple = all(isinstance(part, _SHORT) for part in ast.walk(tree))
        return not simple or len(text.text) > _LONG

    def _free_name(self, node: Node) -> str:
        word = self._word(node)
        number = 1
        name = word
        while name in self._taken or not self._is_free(name):
            number += 1
            name = f"{word}_{number}"
        self._taken.add(name)
        return name

    def _word(self, node: Node) -> str:
        """A name that says what was computed, of what the user has a name for."""
        if node.op == "equal" and not _is_zero(node.operands[1]):
            return "same"
        word = _NAMES.get(node.op, "result")
        if node.op == "divide" and node.operands[1].op == "stop_gradient":
            word = "scaled"
        if node.op not in ("divide", "square", "power", "abs"):
            return word
        of = node.operands[0]
        text = self._printed.get(of) or self._names.get(of)
        if text is None or not text.text.isidentifier() or text.text in self._taken:
            return word
        return f"{word}_{text.text}" if node.op == "divide" else f"{text.text}_{word}"

    def _is_free(self, name: str) -> bool:
        frame = self._moment.frame
        return (
            self.speller.scope.is_free(name)
            and name not in self._moment.scope
            and name not in frame.globals
            and name not in frame.cells
            and not hasattr(builtins, name)
        )

    # What the statement can see

    def _visible(self, moment: Moment) -> Iterator[tuple[Node, Text]]:
        for name, value in moment.scope.items():
            tensor = value.tensor if isinstance(value, Pending) else value
            if isinstance(tensor, Tensor) and name.isidentifier():
                yield tensor.node, Text(name, ATOM)

    def _spelled(self, node: Node) -> Text | None:
        """A name of the value, or the user's own expression for it."""
        if node in self._names:
            return self._names[node]
        for origin in self.extraction.origins.get(node, ()):
            if not isinstance(origin.expression, ast.AugAssign) and self._is_readable(node, origin):
                self._names[node] = _user_text(origin)
                return self._names[node]
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
        if place_of(origin.source, call) in self.extraction.pure_calls:
            return True
        return any(part is call for part in ast.walk(self.origin.expression))

    def _same_name(self, name: str, there: Moment) -> bool:
        here = self._moment
        missing = object()
        one, other = here.scope.get(name, missing), there.scope.get(name, missing)
        if one is missing and other is missing:
            return self._around(here, name) is self._around(there, name)
        return _identical(one, other)

    def _around(self, moment: Moment, name: str) -> object:
        """What a name means that is not local."""
        frame = moment.frame
        outer = frame.outer
        while outer is not None:
            if name in outer.names:
                return outer.names[name]
            outer = outer.outer
        if name in frame.cells:
            return frame.cells[name]
        return frame.globals.get(name, getattr(builtins, name, None))

    def _is_meant(self, node: Node) -> bool:
        """Whether a number of the formula is the named number of the user's, not just equal."""
        value = node.attribute("value")
        assert isinstance(value, bool | int | float)
        if float(value) not in _COMMON:
            return True
        here = self._moment.frame.function
        return not any(
            isinstance(part, ast.Constant) and part.value == abs(value) for part in ast.walk(here)
        )

    def _number(self, node: Node) -> Text:
        """A number as a maintainer writes it: `1 / 16`, and `np.log(2.0)` where that is at hand."""
        value = node.attribute("value")
        if isinstance(value, float) and math.isfinite(value) and len(f"{value:.9g}") > 7:
            for module in (math, np):
                name = next(
                    (n for n in ("math", "np", "numpy") if self._is_module(n, module)), None
                )
                found = None if name is None else _closed_form(abs(value), name)
                if found is not None:
                    return found if value > 0 else Text(f"-{found.text}", found.level)
        return _plain_number(value)

    def _is_module(self, name: str, module: object) -> bool:
        frame = self._moment.frame
        return name not in self._moment.scope and frame.globals.get(name) is module

    # Operations

    def _operation(self, node: Node) -> Text:
        if node.op == "leaf":
            raise CannotPrintError(f"{node.attribute('name')} is not visible here")
        if node.op == "constant":
            return self._number(node)
        if node.op == "negative":
            return _opposite(node.operands[0], self._text(node.operands[0]))
        if node.op == "index":
            base = self._text(node.operands[0])
            return Text(f"{base.at(ATOM)}[{_key_text(node.attribute('key'))}]", ATOM)
        if node.op == "reciprocal" and not self.speller.can_spell("reciprocal"):
            return Text(f"1.0 / {self._text(node.operands[0]).at(SIGN)}", PRODUCT)
        if node.op in OPERATORS and not self._compares_by_call(node):
            return self._operator(node)
        operands = [self._text(operand).text for operand in node.operands]
        return Text(self.speller.call(node, operands, self._axis(node)), ATOM)

    def _compares_by_call(self, node: Node) -> bool:
        return node.op in ("equal", "not_equal") and self.speller.family in ("keras", "tensorflow")

    def _operator(self, node: Node) -> Text:
        op, (left, right) = node.op, node.operands
        sign = OPERATORS[op]
        if op == "add" and right.op == "negative" and right not in self._names:
            op, sign, right = "subtract", "-", right.operands[0]
        elif op == "add" and left.op == "negative" and left not in self._names:
            op, sign, left, right = "subtract", "-", right, left.operands[0]
        elif op == "multiply" and right.op == "constant" and left.op != "constant":
            left, right = right, left
        elif op == "multiply" and left.op == "constant" and left.attribute("value") in (-1, -1.0):
            return _opposite(right, self._text(right))
        one, other = self._text(left), self._text(right)
        if len(one.text) + len(other.text) > self.width and self.may_assign:
            if len(one.text) > len(other.text):
                one = self._assigned(left, one)
            else:
                other = self._assigned(right, other)
        if op == "power":
            return Text(f"{one.at(ATOM)} ** {other.at(SIGN)}", POWER)
        if sign in ("+", "-"):
            return Text(f"{one.at(SUM)} {sign} {other.at(PRODUCT)}", SUM)
        if sign in ("*", "/", "//", "%"):
            return Text(f"{one.at(PRODUCT)} {sign} {other.at(SIGN)}", PRODUCT)
        return Text(f"{one.at(SUM)} {sign} {other.at(SUM)}", COMPARE)

    def _axis(self, node: Node) -> str | None:
        """The axis as the user writes it: from the end for the last one, unless it was not."""
        axis = dict(node.attributes).get("axis")
        if axis is None:
            return None
        shape = self._shape(node.operands[0])
        rank = None if shape is None else len(shape)
        axes = axis if isinstance(axis, tuple) else (axis,)
        if (
            node.op in ("softmax", "log_softmax")
            and self._leaves_axis_out
            and rank is not None
            and axes == (rank - 1,)
        ):
            return None
        written = self._written_axes.get((rank, axes))
        if written is not None and node.op != "stack":
            return written
        if node.op in REDUCTIONS and rank is not None and axes == tuple(range(rank)):
            # PyTorch's `logsumexp` asks for the axes.
            if rank != 1 and not (node.op == "logsumexp" and self.speller.family == "torch"):
                return None
            if rank == 1 and node.op != "logsumexp":
                return None
        if len(axes) == 1 and rank is not None and axes[0] == rank - 1 + (node.op == "stack"):
            return "-1"
        return str(axes[0]) if len(axes) == 1 else f"({', '.join(map(str, axes))})"

    @functools.cached_property
    def _written_axes(self) -> dict[tuple[int | None, tuple[int, ...]], str]:
        """How the user writes the axes of operands of some rank."""
        found: dict[tuple[int | None, tuple[int, ...]], str] = {}
        for origin, node in self.extraction.evaluated:
            axis = dict(node.attributes).get("axis")
            text = _axis_argument(origin)
            if axis is None or text is None or node.op == "stack":
                continue
            shape = self._shape(node.operands[0])
            axes = axis if isinstance(axis, tuple) else (axis,)
            if shape is not None:
                found.setdefault((len(shape), axes), text)
        return found

    @functools.cached_property
    def _leaves_axis_out(self) -> bool:
        """Whether the user calls `softmax` without an axis: it is the last one."""
        return any(
            node.op in ("softmax", "log_softmax")
            and isinstance(origin.expression, ast.Call)
            and len(origin.expression.args) == 1
            and not origin.expression.keywords
            for origin, node in self.extraction.evaluated
        )

    def _shape(self, node: Node) -> tuple[int, ...] | None:
        """The shape of a node of the rewritten formula."""
        return self.extraction.shape_of(node)


def _opposite(node: Node, text: Text) -> Text:
    """The text with its sign changed, before the first factor of a product."""
    if node.op in ("multiply", "divide") and text.level == PRODUCT and text.text[0] != "-":
        return Text(f"-{text.text}", PRODUCT)
    return Text(f"-{text.at(SIGN)}", SIGN)


def _axis_argument(origin: SourceOrigin) -> str | None:
    """The literal that a call passes as its axis."""
    expression = origin.expression
    if not isinstance(expression, ast.Call):
        return None
    given = [k.value for k in expression.keywords if k.arg in ("axis", "dim")]
    given += expression.args[-1:]
    for value in given:
        try:
            literal = ast.literal_eval(value)
        except (ValueError, TypeError):
            continue
        if isinstance(literal, int | tuple) and not isinstance(literal, bool):
            return origin.source.text_of(value)
    return None


def _identical(one: object, other: object) -> bool:
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
    level = ATOM
    if isinstance(expression, ast.BinOp):
        level = _LEVELS.get(type(expression.op), COMPARE)
    elif isinstance(expression, ast.UnaryOp):
        level = SIGN
    elif isinstance(expression, ast.Compare):
        level = COMPARE
    elif not isinstance(
        expression, ast.Name | ast.Attribute | ast.Subscript | ast.Call | ast.Constant
    ):
        level = 0
    return Text(origin.text, level)


def _plain_number(value: object) -> Text:
    if isinstance(value, int):
        return Text(repr(value), ATOM if value >= 0 else SIGN)
    assert isinstance(value, float)
    if math.isinf(value) or math.isnan(value):
        return Text(f'float("{value}")', ATOM)
    short = f"{value:.9g}"
    near = Fraction(value).limit_denominator(64)
    if len(short) > 7 and near.numerator / near.denominator == value:
        return Text(f"{near.numerator} / {near.denominator}", PRODUCT)
    text = short if any(c in short for c in ".en") else f"{short}.0"
    return Text(text, ATOM if value >= 0 else SIGN)


def _closed_form(value: float, module: str) -> Text | None:
    """A logarithm or a root of a short number, or what stands before a normal density."""
    tau = f"2.0 * {module}.pi"
    for wanted, text, level in (
        (math.pi, f"{module}.pi", ATOM),
        (math.tau, tau, PRODUCT),
        (math.log(math.tau), f"{module}.log({tau})", ATOM),
        (0.5 * math.log(math.tau), f"0.5 * {module}.log({tau})", PRODUCT),
        (math.sqrt(math.tau), f"{module}.sqrt({tau})", ATOM),
    ):
        if math.isclose(value, wanted, rel_tol=1e-15):
            return Text(text, level)
    if value < 20:
        for sign in (1, -1):
            inner = float(f"{math.exp(sign * value):.6g}")
            short = len(f"{inner:g}") <= 4 and inner > 0
            if short and math.isclose(sign * math.log(inner), value, rel_tol=1e-15):
                text = f"{module}.log({_plain_number(inner).text})"
                return Text(text if sign > 0 else f"-{text}", ATOM if sign > 0 else SIGN)
    square = float(f"{value * value:.6g}")
    if len(f"{square:g}") <= 4 and math.isclose(math.sqrt(square), value, rel_tol=1e-15):
        return Text(f"{module}.sqrt({_plain_number(square).text})", ATOM)
    return None


def _key_text(key: Hashable) -> str:
    parts = []
    for part in python_key(key):
        if isinstance(part, slice):
            start, stop = ("" if b is None else str(b) for b in (part.start, part.stop))
            step = "" if part.step is None else f":{part.step}"
            parts.append(f"{start}:{stop}{step}")
        else:
            parts.append("..." if part is Ellipsis else repr(part))
    return ", ".join(parts)


def _is_zero(node: Node) -> bool:
    return node.op == "constant" and node.attribute("value") == 0


def precedence(text: str) -> int:
    """How tightly the outermost operator of a text binds."""
    tree = ast.parse(text, mode="eval").body
    if isinstance(tree, ast.BinOp):
        return _LEVELS.get(type(tree.op), COMPARE)
    if isinstance(tree, ast.UnaryOp):
        return SIGN
    if isinstance(tree, ast.Compare):
        return COMPARE
    atoms = ast.Name | ast.Attribute | ast.Subscript | ast.Call | ast.Constant
    return ATOM if isinstance(tree, atoms) else 0


def needed(parent: ast.AST | None, child: ast.AST) -> int:
    """The least precedence that a text needs in the place of `child`, not in parentheses."""
    if isinstance(parent, ast.BinOp):
        level = _LEVELS.get(type(parent.op), COMPARE)
        if isinstance(parent.op, ast.Pow):
            return ATOM if child is parent.left else SIGN
        return level if child is parent.left else level + 1
    if isinstance(parent, ast.UnaryOp):
        return COMPARE if isinstance(parent.op, ast.Not) else SIGN
    if isinstance(parent, ast.Attribute | ast.Await):
        return ATOM
    if isinstance(parent, ast.Subscript):
        return ATOM if child is parent.value else 0
    if isinstance(parent, ast.Call):
        return ATOM if child is parent.func else 0
    if isinstance(parent, ast.Compare | ast.Starred):
        return SUM
    if isinstance(parent, ast.BoolOp | ast.IfExp | ast.NamedExpr):
        return COMPARE
    return 0


__all__ = [
    "LINE",
    "WIDTHS",
    "CannotPrintError",
    "NoSpellingError",
    "Printer",
    "Text",
    "needed",
    "precedence",
]
