"""An e-graph: many equal formulas at once, each class with its exact values on samples.

A union of two classes whose values differ is refused, so an identity that does not hold at the
operands, or under other signs of them, does no harm.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

import numpy as np
from mpmath import mp

from stayfinite.numerics.exact import Array, Floating, Rules
from stayfinite.repair.engine.context import Context
from stayfinite.repair.engine.evaluate import Evaluation, to_float64
from stayfinite.repair.formula import Node, node, walk

Attributes = tuple[tuple[str, Hashable], ...]
SAME_EXACT = 1e-15  # relative difference of equal exact values
SAME_FLOAT = 1e-6  # of equal values in float64, at mild operands
_FLOAT64 = Floating(Rules())


@dataclass(frozen=True)
class ENode:
    """An operation on classes."""

    op: str
    children: tuple[int, ...]
    attributes: Attributes = ()


@dataclass
class EClass:
    """Equal formulas. `node` is one of them; `values` are exact, `mild` in float64."""

    node: Node
    values: Array
    mild: list[np.ndarray]
    positive: bool
    non_negative: bool
    nodes: set[ENode] = field(default_factory=set)
    parents: set[ENode] = field(default_factory=set)


class EGraph:
    """The classes of all sub-formulas that were added, under the unions made."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.classes: dict[int, EClass] = {}
        self.leader: list[int] = []
        self.index: dict[ENode, int] = {}
        self.refused = 0
        probes = [Evaluation(_FLOAT64, v, "float64") for _, v in context.samples.probe_values]
        # Only where the formula as written has a value: a positive rate stays positive.
        root = context.problem.root
        self.probes = [p for p in probes if np.isfinite(to_float64(p.value(root))).all()][:4]

    def find(self, number: int) -> int:
        """The class that `number` is in now."""
        while self.leader[number] != number:
            self.leader[number] = self.leader[self.leader[number]]
            number = self.leader[number]
        return number

    def add_formula(self, root: Node) -> int:
        """The class of a formula.

        Raises:
            BadFormula: it cannot be evaluated.
        """
        made: dict[Node, int] = {}
        for x in walk(root):
            made[x] = self.add(
                ENode(x.op, tuple(made[operand] for operand in x.operands), x.attributes)
            )
        return made[root]

    def add(self, enode: ENode) -> int:
        """The class of an operation on classes, made if it is new.

        Raises:
            BadFormula: it cannot be evaluated.
        """
        enode = self.canonical(enode)
        found = self.index.get(enode)
        if found is not None:
            return self.find(found)
        formula = node(
            enode.op,
            *(self.classes[child].node for child in enode.children),
            **dict(enode.attributes),
        )
        context = self.context
        number = len(self.leader)
        values = context.value(formula)
        mild = [to_float64(probe.value(formula)) for probe in self.probes]
        new = EClass(
            formula,
            values,
            mild,
            context.signs.positive(formula),
            context.signs.non_negative(formula),
            {enode},
        )
        self.leader.append(number)
        self.classes[number] = new
        self.index[enode] = number
        for child in enode.children:
            self.classes[child].parents.add(enode)
        return number

    def canonical(self, enode: ENode) -> ENode:
        """The operation with the present numbers of its classes."""
        children = tuple(self.find(child) for child in enode.children)
        return enode if children == enode.children else ENode(enode.op, children, enode.attributes)

    def union(self, a: int, b: int) -> bool:
        """Makes two classes one, unless their values differ."""
        a, b = self.find(a), self.find(b)
        if a == b:
            return False
        first, second = self.classes[a], self.classes[b]
        if not self._same(first, second):
            self.refused += 1
            return False
        if len(first.parents) < len(second.parents):
            a, b, first, second = b, a, second, first
        self.leader[b] = a
        first.nodes |= second.nodes
        first.parents |= second.parents
        first.positive |= second.positive
        first.non_negative |= second.non_negative
        del self.classes[b]
        return True

    def rebuild(self) -> None:
        """Restores that equal operations on equal classes are in one class."""
        changed = True
        while changed:
            changed = False
            index: dict[ENode, int] = {}
            for number, each in list(self.classes.items()):
                if number not in self.classes:
                    continue
                each.nodes = {self.canonical(enode) for enode in each.nodes}
                for enode in list(each.nodes):
                    other = index.get(enode)
                    if other is not None and self.find(other) != self.find(number):
                        changed |= self.union(other, number)
                    index[enode] = self.find(number)
            self.index = index

    def _same(self, a: EClass, b: EClass) -> bool:
        if np.shape(a.values) != np.shape(b.values):
            return False
        if a.values.dtype == bool or b.values.dtype == bool:
            return bool(np.array_equal(a.values, b.values))
        if not _equal(a.values, b.values, SAME_EXACT, self.context.digits):
            return False
        return all(_close(x, y) for x, y in zip(a.mild, b.mild, strict=True) if x.shape == y.shape)

    def size(self) -> int:
        """The number of operations."""
        return len(self.index)


def _equal(x: Array, y: Array, tolerance: float, digits: int) -> bool:
    with mp.workdps(digits):
        for p, q in zip(np.ravel(x), np.ravel(y), strict=True):
            if p == q or p != p or q != q:
                continue
            if not abs(p - q) <= tolerance * max(abs(p), abs(q)) + mp.mpf(10) ** (15 - digits):
                return False
    return True


def _close(x: np.ndarray, y: np.ndarray) -> bool:
    near = np.abs(x - y) <= SAME_FLOAT * np.maximum(np.abs(x), np.abs(y)) + 1e-12
    return bool((near | (x == y) | ~np.isfinite(x) | ~np.isfinite(y)).all())
