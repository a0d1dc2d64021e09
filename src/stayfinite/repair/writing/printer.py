"""From a formula to text, with the names in scope of one statement."""

from __future__ import annotations

import ast
import math
from collections.abc import Hashable
from dataclasses import dataclass, field

import numpy as np

from stayfinite.repair.extraction import Extraction, SourceOrigin
from stayfinite.repair.extraction.shapes import python_key
from stayfinite.repair.formula import Node, name_of
from stayfinite.repair.writing.axes import AxisWriter
from stayfinite.repair.writing.numbers import closed_form, plain_number
from stayfinite.repair.writing.spelling import OPERATORS, Speller
from stayfinite.repair.writing.text import (
    ATOM,
    COMPARE,
    POWER,
    PRODUCT,
    SIGN,
    SUM,
    Text,
    opposite,
)
from stayfinite.repair.writing.visible import Visible

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
# New operations of a fix. The iterations of a loop are one after the other in its formula.
_MOST_OPERATIONS = 100
_NAMES = {
    "abs": "magnitude",
    "add": "added",
    "divide": "ratio",
    "equal": "at_zero",
    "exp": "weight",
    "greater": "near",
    "greater_equal": "near",
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
        self._visible = Visible(self.extraction, self.origin)
        self._axes = AxisWriter(self.extraction, self.speller.family)
        self._printed: dict[Node, Text] = {}
        self._uses: dict[Node, int] = {}
        self._taken: set[str] = set()

    def print(self, node: Node) -> Text:
        """The text of `node`; what it uses twice is in `lines`.

        Raises:
            CannotPrintError: an operand is not visible here, or there are too many operations.
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
            if self._uses[node] == 1 and self._visible.spelled(node) is None:
                stack.extend(node.operands)
        if len(self._uses) > _MOST_OPERATIONS:
            raise CannotPrintError("it has too many operations")

    def _text(self, node: Node) -> Text:
        if node in self._printed:
            return self._printed[node]
        text = self._visible.spelled(node)
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
        while name in self._taken or not (
            self.speller.scope.is_free(name) and self._visible.is_free(name)
        ):
            number += 1
            name = f"{word}_{number}"
        self._taken.add(name)
        return name

    def _word(self, node: Node) -> str:
        """A name for what was computed, made of the names of the user."""
        if node.op == "equal" and not _is_zero(node.operands[1]):
            return "same"
        word = _NAMES.get(node.op, "result")
        if node.op == "divide" and node.operands[1].op == "stop_gradient":
            word = "scaled"
        if node.op not in ("divide", "square", "power", "abs"):
            return word
        of = node.operands[0]
        text = self._printed.get(of) or self._visible.names.get(of)
        if text is None or not text.text.isidentifier() or text.text in self._taken:
            return word
        return f"{word}_{text.text}" if node.op == "divide" else f"{text.text}_{word}"

    def _number(self, node: Node) -> Text:
        """A number as a maintainer writes it: `1 / 16`, and `np.log(2.0)` where that is at hand."""
        value = node.attribute("value")
        of_named = self._of_named(node)
        if of_named is not None:
            return of_named
        if isinstance(value, float) and math.isfinite(value) and len(f"{value:.9g}") > 7:
            for module in (math, np):
                name = next(
                    (n for n in ("math", "np", "numpy") if self._visible.is_module(n, module)), None
                )
                found = None if name is None else closed_form(abs(value), name)
                if found is not None:
                    if value > 0:
                        return found
                    positive = found.text.removeprefix("-")
                    if positive != found.text:
                        return Text(positive, ATOM)
                    return Text(f"-{found.text}", min(found.level, SIGN))
        return plain_number(value)

    def _of_named(self, node: Node) -> Text | None:
        """A function of a number that has a name here, where the user has a module for it."""
        function, _, inner = (name_of(node) or "").partition("(")
        module = next(
            (n for n, m in (("math", math), ("np", np)) if self._visible.is_module(n, m)), None
        )
        if not inner.endswith(")") or module is None or function not in ("exp", "log", "sqrt"):
            return None
        for other in self.extraction.origins:
            if name_of(other) == inner[:-1]:
                text = self._visible.spelled(other)
                if text is not None:
                    return Text(f"{module}.{function}({text.text})", ATOM)
        return None

    def _operation(self, node: Node) -> Text:
        if node.op == "leaf":
            raise CannotPrintError(f"{node.attribute('name')} is not visible here")
        if node.op == "constant":
            return self._number(node)
        if node.op == "negative":
            return self._opposite(node.operands[0])
        if node.op == "index":
            base = self._text(node.operands[0])
            return Text(f"{base.at(ATOM)}[{_key_text(node.attribute('key'))}]", ATOM)
        if node.op == "pick":
            base, *keys = map(self._text, node.operands)
            return Text(f"{base.at(ATOM)}[{', '.join(key.text for key in keys)}]", ATOM)
        if node.op == "reciprocal" and not self.speller.can_spell("reciprocal"):
            return Text(f"1.0 / {self._text(node.operands[0]).at(SIGN)}", PRODUCT)
        if node.op in OPERATORS and not self._compares_by_call(node):
            return self._operator(node)
        operands = [self._argument(operand) for operand in node.operands]
        return Text(self.speller.call(node, operands, self._axes.text(node)), ATOM)

    def _argument(self, node: Node) -> str:
        """The text of an argument of a function."""
        text = self._text(node).text
        if self.speller.family != "jax" or text.endswith(".value"):
            return text
        return f"{text}.value" if self.extraction.is_wrapped(node) else text

    def _opposite(self, node: Node) -> Text:
        return opposite(self._text(node), node.op in ("multiply", "divide"))

    def _compares_by_call(self, node: Node) -> bool:
        return node.op in ("equal", "not_equal") and self.speller.family in ("keras", "tensorflow")

    def _operator(self, node: Node) -> Text:
        op, (left, right) = node.op, node.operands
        sign = OPERATORS[op]
        if op == "add" and right.op == "negative" and right not in self._visible.names:
            op, sign, right = "subtract", "-", right.operands[0]
        elif op == "add" and left.op == "negative" and left not in self._visible.names:
            op, sign, left, right = "subtract", "-", right, left.operands[0]
        elif op == "multiply" and right.op == "constant" and left.op != "constant":
            left, right = right, left
        elif op == "multiply" and left.op == "constant" and left.attribute("value") in (-1, -1.0):
            return self._opposite(right)
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
