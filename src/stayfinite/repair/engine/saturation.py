"""Applies all identities together and takes out the formulas that float32 computes best."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from stayfinite.numerics.exact_functions import FUNCTIONS
from stayfinite.repair.engine import build
from stayfinite.repair.engine.context import Context
from stayfinite.repair.engine.egraph import EGraph, ENode
from stayfinite.repair.engine.evaluate import BadFormula, to_float64
from stayfinite.repair.engine.lowering import ALWAYS
from stayfinite.repair.engine.matching import saturate
from stayfinite.repair.engine.patterns import rules
from stayfinite.repair.engine.pricing import COST, TOLERANCE
from stayfinite.repair.engine.problem import Assumption
from stayfinite.repair.formula import Node, walk

ROUNDS, NODES, SECONDS = 5, 1500, 0.35
ALTERNATIVES = 4
# Functions that nothing else can be written for: not used where the dialect lacks them.
NEEDED = frozenset(
    "i0 i0e i1 i1e erfc log_ndtr lgamma gamma digamma erfinv expm1 log1p erf".split()
)
Best = tuple[int, float, Node]


def proposals(context: Context, root: Node) -> Iterator[tuple[Node, str, tuple[Assumption, ...]]]:
    """The best formulas equal to `root`."""
    graph = EGraph(context)
    try:
        start = graph.add_formula(root)
    except BadFormula:
        return
    deadline = min(time.thread_time() + SECONDS, context.deadline)
    saturate(graph, rules(), rounds=ROUNDS, nodes=NODES, deadline=deadline)
    allowed = ALWAYS | context.problem.available | {x.op for x in walk(context.problem.root)}
    top = graph.find(start)
    seen: set[Node] = {root}
    faults = Faults(context, graph)
    for counts_inner in (True, False):
        best = extracted(graph, faults, allowed, counts_inner)
        found = [best[top]] if top in best else []
        for enode in graph.classes[top].nodes:
            made = _made(graph, faults, graph.canonical(enode), best, allowed, counts_inner)
            if made is not None:
                found.append(made)
        found.sort(key=lambda item: item[:2])
        for _, _, formula in found[: ALTERNATIVES + 1]:
            if formula not in seen:
                seen.add(formula)
                yield formula, "identities", ()
        if found and not found[0][0]:
            return


class Faults:
    """How many elements of a formula float32 computes wrong, for the formulas of one e-graph."""

    def __init__(self, context: Context, graph: EGraph) -> None:
        self._context = context
        self._graph = graph
        self._counts: dict[tuple[Node, int | None], int | None] = {}
        self._wanted: dict[int, np.ndarray] = {}

    def count(self, formula: Node, number: int | None) -> int | None:
        """Elements with another value than the class `number`, and those at a pole of a derivative.

        None where the formula cannot be evaluated.
        """
        key = formula, None if number is None else self._graph.find(number)
        if key not in self._counts:
            try:
                self._counts[key] = self._wrong(*key) + self._steep(formula)
            except BadFormula:
                self._counts[key] = None
        return self._counts[key]

    def _wrong(self, formula: Node, number: int | None) -> int:
        if number is None:
            return 0
        if number not in self._wanted:
            self._wanted[number] = to_float64(self._graph.classes[number].values)
        want = self._wanted[number]
        found = to_float64(self._context.floating.value(formula))
        if found.shape != want.shape:
            raise BadFormula("shape")
        tolerance = TOLERANCE.get(self._context.problem.dtype, 1e-3)
        return int((~(np.abs(found - want) <= tolerance * np.abs(want))).sum())

    def _steep(self, formula: Node) -> int:
        """Elements at which a derivative of the outer operation is not finite."""
        row = FUNCTIONS.get(formula.op)
        if row is None:
            return 0
        floating = self._context.floating
        x = [np.asarray(floating.value(operand)) for operand in formula.operands]
        y = floating.value(formula)
        count = 0
        for operand, derivative in zip(formula.operands, row.derivatives, strict=True):
            if derivative is not None and operand.op != "constant":
                slope = np.asarray(derivative(floating.m, *x, y))
                count += int((~np.isfinite(slope.astype(np.float64))).sum())
        return count


def extracted(
    graph: EGraph, faults: Faults, allowed: frozenset[str], counts_inner: bool = True
) -> dict[int, Best]:
    """For each class the formula with the fewest wrong elements, then the least cost.

    With `counts_inner` those of its sub-formulas count, too: gradients go through them. Without, a
    mean of squares may be right whose deviations are not.
    """
    best: dict[int, Best] = {}
    changed, rounds = True, 0
    while changed and rounds < 12:
        changed, rounds = False, rounds + 1
        for number, each in graph.classes.items():
            for enode in each.nodes:
                made = _made(graph, faults, graph.canonical(enode), best, allowed, counts_inner)
                if made is not None and (number not in best or made[:2] < best[number][:2]):
                    best[number] = made
                    changed = True
    return best


def _made(
    graph: EGraph,
    faults: Faults,
    enode: ENode,
    best: dict[int, Best],
    allowed: frozenset[str],
    counts_inner: bool,
) -> Best | None:
    if enode.op in NEEDED and enode.op not in allowed:
        return None
    parts = [best.get(graph.find(child)) for child in enode.children]
    if any(part is None for part in parts):
        return None
    children = [part for part in parts if part is not None]
    formula = build.made(enode.op, *(part[2] for part in children), **dict(enode.attributes))
    wrong = faults.count(formula, graph.index.get(enode))
    if wrong is None:
        return None
    cost = COST.get(enode.op, 1.0) + sum(part[1] for part in children)
    inner = sum(part[0] for part in children) if counts_inner else 0
    return wrong + inner, cost, formula
