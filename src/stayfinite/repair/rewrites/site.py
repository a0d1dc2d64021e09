"""The place of a rewrite, with everything that a rule reads of it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

from stayfinite.repair.api import Api, Calls
from stayfinite.repair.dialects import home_of
from stayfinite.repair.edit import Replacement
from stayfinite.repair.edit_facts import EditFact
from stayfinite.repair.locals import Locals
from stayfinite.repair.operation import Operation, is_pure_call, recognise
from stayfinite.repair.rewrites.limits import Limits, limits
from stayfinite.repair.scope import Scope
from stayfinite.repair.source import SourceFile

_ATOMS = (ast.Name, ast.Call, ast.Attribute, ast.Subscript, ast.Constant, ast.List)
_MARK = "\0"


@dataclass(frozen=True)
class Facts:
    """From the graph: the dtype of the failing op, and the range of the finite elements of
    the operand whose value is critical (the radicand, the divisor, the argument of `log`).
    `counts` says that the operand was made of an integer alone, such as the number of a step.
    `is_whole` is false where a divisor of 0 has other elements that are no whole numbers.
    `infinity` is what a maximum or minimum of no elements gave. `shift` is the decimal exponent of
    the least number that makes a singular matrix regular."""

    dtype: str = "float32"
    minimum: float | None = None
    maximum: float | None = None
    counts: bool = False
    is_whole: bool = True
    infinity: float | None = None
    shift: int | None = None


@dataclass(frozen=True)
class Template:
    """One way to write one place differently."""

    kind: str
    does: EditFact
    replacements: tuple[Replacement, ...]
    imports: tuple[str, ...] = ()


class Site:
    """One expression of a file, as the place of a repair."""

    def __init__(self, source: SourceFile, node: ast.expr | ast.AugAssign, facts: Facts) -> None:
        self.source = source
        self.node = node
        self.facts = facts

    @cached_property
    def scope(self) -> Scope:
        """The names in reach."""
        return Scope(self.source, self.node)

    @cached_property
    def api(self) -> Api:
        """The functions in reach."""
        return Api(self.scope, self.node)

    @cached_property
    def locals(self) -> Locals:
        """The variables of the function around."""
        return Locals(self.source, self.node)

    @cached_property
    def operation(self) -> Operation | None:
        """What the expression does."""
        return recognise(self.scope, self.node)

    @property
    def limits(self) -> Limits:
        """The bounds for the dtype at hand."""
        return limits(self.facts.dtype)

    @cached_property
    def calls(self) -> Calls:
        """Writes calls with the names of the file."""
        return Calls(self.api)

    def text(self, node: ast.expr) -> str:
        """`node` as the user wrote it, for use as an argument."""
        return self.source.text_of(node)

    def atom(self, node: ast.expr) -> str:
        """`node` as the user wrote it, for use beside an operator."""
        text = self.text(node)
        return text if isinstance(node, _ATOMS) and "\n" not in text else f"({text})"

    def number(self, node: ast.expr | None) -> float | None:
        """The value of a literal number, with its sign."""
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            value = self.number(node.operand)
            return None if value is None else -value
        if not isinstance(node, ast.Constant) or isinstance(node.value, bool):
            return None
        return float(node.value) if isinstance(node.value, int | float) else None

    def is_repeatable(self, node: ast.expr) -> bool:
        """Whether evaluating `node` twice gives the same: known functions of plain values only."""
        for part in ast.walk(node):
            if isinstance(part, ast.Await | ast.NamedExpr | ast.Yield | ast.YieldFrom):
                return False
            if isinstance(part, ast.Call) and not is_pure_call(self.scope, part):
                return False
        return True

    def twice(self, node: ast.expr, *names: str) -> tuple[str, str]:
        """The text of `node` for its first use, and for its later ones."""
        text = self.text(node)
        if self.is_repeatable(node):
            return text, text
        name = self.scope.free_name(*names)
        return f"({name} := {text})", name

    def wrap(
        self, operand: ast.expr, template: Callable[[str], str], inner: ast.expr | None = None
    ) -> list[Replacement]:
        """Put text around `operand`, or around its part `inner` while the rest goes.

        What is inside keeps its line breaks and comments.
        """
        before, after = template(_MARK).split(_MARK)
        start, end = self.source.grouped_range(operand)
        inner_start, inner_end = self.source.range_of(inner or operand)
        return [Replacement(start, inner_start, before), Replacement(inner_end, end, after)]

    def replace(self, node: ast.expr, text: str, *, is_atom: bool = True) -> Replacement:
        """Put `text` in the place of `node`, in parentheses where an operator asks for them."""
        start, end = self.source.range_of(node)
        if not is_atom and self._binds_tightly(node, text) and not self.source.is_grouped(node):
            text = f"({text})"
        return Replacement(start, end, text)

    def _binds_tightly(self, node: ast.expr, text: str) -> bool:
        """Whether the operator around `node` binds tighter than those of `text`."""
        parent = self.source.parents.get(node)
        if isinstance(parent, ast.BinOp):
            is_sum = isinstance(parent.op, ast.Add | ast.Sub)
            return not is_sum or (parent.right is node and text.startswith("-"))
        return isinstance(parent, ast.UnaryOp | ast.Attribute | ast.Subscript | ast.Await)

    def rewrite(self, kind: str, does: EditFact, pieces: Iterable[Replacement]) -> Template:
        """The finished proposal, with the imports of the calls since the last one."""
        return Template(kind, does, tuple(pieces), self.calls.take_imports())


def is_library_call(scope: Scope, call: ast.Call) -> bool:
    """Whether `call` is of a function of a numerical library: `ops.einsum(...)`."""
    module = (scope.path(call.func) or "").rpartition(".")[0]
    return home_of(module) is not None


def spelled(operation: Operation) -> str:
    """The operation by the name that the user has for it."""
    if operation.style != "operator":
        return operation.attribute
    return {"divide": "/", "power": "**"}.get(operation.name, operation.name)
