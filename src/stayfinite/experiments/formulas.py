"""The functions on the failing path as formulas, at the operands of the failing step."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import FunctionType

import numpy as np

from stayfinite.diagnose.locate import Diagnosis
from stayfinite.experiments.operands import Posed, problem_of
from stayfinite.experiments.rounding import approached, may_be_rounded_to_zero
from stayfinite.frameworks.step import Step
from stayfinite.graph.graph import Op
from stayfinite.graph.walk import unwrapped
from stayfinite.numerics.functions import STRUCTURAL, row
from stayfinite.repair.engine import build
from stayfinite.repair.engine.evaluate import FLOATING, BadFormula, Evaluation
from stayfinite.repair.engine.gradient_exists import divergent, has_gradient, is_cusp
from stayfinite.repair.engine.pricing import TOLERANCE
from stayfinite.repair.engine.problem import FormulaProblem
from stayfinite.repair.engine.reference import Reference, reference
from stayfinite.repair.extraction import Extraction, GraphRecorded, extractions
from stayfinite.repair.formula import LeafRole, Node, replaced, walk


@dataclass(frozen=True, eq=False)
class Formula:
    """The formula of one function of the user's at the operands of the failing step.

    Args:
        extraction: Where it comes from.
        problem: What the engine is asked.
        has_rounded_operand: Whether an operand has a value that its function only approaches, as
            an exponential that is 0 or a sigmoid that is 1. Its exact value is another one, so
            what the formula gives at that operand is no reference.
        stand_ins: Leaves of the problem that stand for sub-formulas of the source.
        rounded_to_zero: Leaves whose value 0 may be that of a number which was rounded to 0.
        weights: Leaves that are weights, or elements of them.
    """

    extraction: Extraction
    problem: FormulaProblem
    has_rounded_operand: bool = False
    stand_ins: Mapping[Node, Node] = field(default_factory=dict)
    rounded_to_zero: frozenset[Node] = frozenset()
    weights: frozenset[Node] = frozenset()

    @functools.cached_property
    def reference(self) -> Reference:
        """The exact value and gradient at the failing operands.

        Raises:
            BadFormula: the formula cannot be evaluated.
        """
        return reference(self.problem)

    @functools.cached_property
    def has_gradient(self) -> bool:
        """Whether the exact gradient exists at the failing operands, by itself or as a limit.

        Raises:
            BadFormula: the formula cannot be evaluated.
        """
        return has_gradient(self.problem)

    @functools.cached_property
    def is_cusp(self) -> bool:
        """Whether the gradient is infinite with both signs, as that of `sqrt(abs(w))` at 0.

        Raises:
            BadFormula: the formula cannot be evaluated.
        """
        return is_cusp(self.problem)

    @functools.cached_property
    def has_infinite_gradient_of_weight(self) -> bool:
        """Whether the exact gradient is infinite at a weight, as that of `w * log(w)` at 0.

        What an infinite gradient at another operand does to the weights is not known: its factor
        may be 0.

        Raises:
            BadFormula: the formula cannot be evaluated.
        """
        return bool(self.weights) and not self.weights.isdisjoint(divergent(self.problem))

    @functools.cached_property
    def depends_on_rounding(self) -> bool:
        """Whether an operand that was rounded to 0 decides the exact value.

        So it is in a quotient of two sums of exponentials, where one is known by its value only;
        the smallest number in the place of its 0 shows it.

        Raises:
            BadFormula: the formula cannot be evaluated.
        """
        if not self.rounded_to_zero:
            return False
        values = dict(self.problem.values)
        for leaf in self.rounded_to_zero:
            array = values[leaf]
            smallest = np.finfo(array.dtype).smallest_subnormal
            values[leaf] = np.where(array == 0, smallest, array).astype(array.dtype)
        exact, moved = self.reference, reference(dataclasses.replace(self.problem, values=values))
        if not np.array_equal(exact.known, moved.known):
            return True
        one, other = exact.value[exact.known], moved.value[exact.known]
        size = np.abs(one).max(initial=0.0)
        return bool((np.abs(one - other) > TOLERANCE["float32"] * size + 1e-30).any())

    def operand(self, diagnosis: Diagnosis) -> str | None:
        """The operand at fault of the failing operation, as the user wrote it."""
        failing, position = self.extraction.failing, diagnosis.finding.operand
        if failing.op != diagnosis.finding.op:
            # A library may compute it otherwise, as `2 / x` by a reciprocal of one operand.
            position = row(failing.op).critical
        operands = failing.operands
        return self.text(operands[position]) if position < len(operands) else None

    def restored(self, node: Node) -> Node:
        """A formula over the leaves of the problem as one over those of the source."""
        for stand_in, picked in self.stand_ins.items():
            node = replaced(node, stand_in, picked)
        return node

    def posed(self, node: Node) -> Node:
        """A formula over the leaves of the source as one over those of the problem."""
        for stand_in, picked in self.stand_ins.items():
            node = replaced(node, picked, stand_in)
        return node

    def text(self, node: Node) -> str | None:
        """A sub-formula as the user wrote it."""
        origins = self.extraction.origins.get(node, ())
        return origins[0].text if origins else None

    def has_value_in_float64(self, *, with_gradient: bool = True) -> bool:
        """Whether the formula as written, in float64, has the exact value at these operands."""
        problem = self.problem
        wide = Evaluation(FLOATING[problem.framework], problem.values, "float64")
        with np.errstate(all="ignore"):
            # A library rounds numbers before the step is widened: a bound of 1 - 1e-8 is 1 then.
            found = np.asarray(wide.value(_with_rounded_numbers(problem.root)), np.float64)
            exact = self.reference
            near = np.abs(found - exact.value) <= TOLERANCE["float32"] * np.abs(exact.value) + 1e-30
            if not near[exact.known].all():
                return False
            if not with_gradient:
                return True
            gradients = wide.gradients(problem.root, exact.seed, problem.wanted)
            for leaf, want in exact.gradients.items():
                known = np.isfinite(want)
                size = np.abs(want[known]).max(initial=0.0)
                gap = np.abs(np.asarray(gradients[leaf], np.float64) - want)[known]
                if not np.all(gap <= TOLERANCE["float32"] * size):
                    return False
        return True


def _with_rounded_numbers(root: Node) -> Node:
    numbers = {x: value for x in walk(root) if (value := build.value(x)) is not None}
    rounded = {x: build.real(float(np.float32(value))) for x, value in numbers.items()}
    return build.substituted(root, {x: rounded[x] for x in numbers if numbers[x] not in (0, 1)})


def answer(
    formula: Formula | None, question: Callable[[Formula], bool], *, otherwise: bool
) -> bool:
    """The answer to a question about a formula; `otherwise` without one that can be evaluated."""
    if formula is None:
        return otherwise
    try:
        return question(formula)
    except BadFormula:
        return otherwise


def formulas(step: Step, diagnosis: Diagnosis) -> Iterator[Formula]:
    """The formulas of the functions on the stack of the op at fault, the innermost first."""
    roots: set[Node] = set()
    for extraction in extracted(step, diagnosis):
        if extraction.failing.op == "leaf":
            continue  # what failed is no part of the formula, as a product of matrices
        posed = problem_of(step, extraction, diagnosis.finding.samples)
        if posed is not None and extraction.root not in roots:
            roots.add(extraction.root)
            rounded = _has_rounded_operand(step, extraction, posed)
            zeros = _rounded_to_zero(step, extraction, posed)
            weights = _weights(step, extraction, posed)
            yield Formula(extraction, posed.problem, rounded, posed.stand_ins, zeros, weights)


def extracted(step: Step, diagnosis: Diagnosis) -> Iterator[Extraction]:
    """What the functions on the stack of the op at fault compute, the innermost first."""
    op = diagnosis.evidence.forward_op
    if op is None or not op.stack:
        return
    recorded = GraphRecorded(step.trace, step.fetch, _first_failing(step, op))
    yield from extractions(op.stack, recorded, lambda f: _receiver(step, op, f))


def _first_failing(step: Step, op: Op) -> int:
    """The index of the first op of the same expression that failed: of a helper's calls, the first.

    The operands of a later call may be infinite by what an earlier one returned.
    """
    same = [root.index for root in step.roots().ops if root.stack[:1] == op.stack[:1]]
    return min([op.index, *same])


def _has_rounded_operand(step: Step, extraction: Extraction, posed: Posed) -> bool:
    for leaf, array in posed.problem.values.items():
        recording = extraction.recording(posed.stand_ins.get(leaf, leaf))
        if recording is None or leaf.attribute("role") is not LeafRole.VARIABLE:
            continue
        if np.isin(array, approached(step.trace, recording.value)).any():
            return True
    return False


def _rounded_to_zero(step: Step, extraction: Extraction, posed: Posed) -> frozenset[Node]:
    found = set()
    for leaf, array in posed.problem.values.items():
        if leaf.attribute("role") is not LeafRole.VARIABLE or array.dtype.kind != "f":
            continue
        recording = extraction.recording(posed.stand_ins.get(leaf, leaf))
        if recording is None or not (array == 0).any():
            continue
        if may_be_rounded_to_zero(step.trace, recording.value):
            found.add(leaf)
    return frozenset(found)


def _weights(step: Step, extraction: Extraction, posed: Posed) -> frozenset[Node]:
    graph, found = step.trace, set()
    for leaf in posed.problem.wanted:
        recording = extraction.recording(posed.stand_ins.get(leaf, leaf))
        if recording is not None:
            source = graph.leaves.get(unwrapped(graph, recording.value, STRUCTURAL))
            if source is not None and source.role == "weight":
                found.add(leaf)
    return frozenset(found)


def _receiver(step: Step, op: Op, function: FunctionType) -> Mapping[str, object]:
    """The layer of the step as `self` of a method of it."""
    code = function.__code__
    layer = None if op.layer is None else step.subject.layer(op.layer)
    if layer is None or not code.co_argcount:
        return {}
    method = getattr(type(layer), function.__name__, None)
    if not callable(method) or inspect.unwrap(method) is not function:
        return {}
    return {code.co_varnames[0]: layer}
