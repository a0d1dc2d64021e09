"""The functions on the failing path as formulas, and the edits that rewrite them.

The engine works on the recorded operands of the failing samples and of a few healthy ones. What it
claims of a rewriting is held against the whole step in `source_fix`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import FunctionType
from typing import Literal, cast

import numpy as np

from stayfinite.diagnose.locate import Diagnosis
from stayfinite.frameworks import base
from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.change import OnBatch
from stayfinite.frameworks.step import Step
from stayfinite.graph.graph import Graph, Op
from stayfinite.graph.walk import unwrapped
from stayfinite.numerics.functions import STRUCTURAL
from stayfinite.repair import Edit, live
from stayfinite.repair.engine import last_resort
from stayfinite.repair.engine.evaluate import FLOATING, BadFormula, Evaluation
from stayfinite.repair.engine.pricing import TOLERANCE
from stayfinite.repair.engine.problem import (
    Assumption,
    Claim,
    FixValue,
    FormulaProblem,
    Framework,
    Rewrite,
)
from stayfinite.repair.engine.reference import Reference, reference
from stayfinite.repair.engine.search import search
from stayfinite.repair.extraction import Extraction, ExtractionError, GraphRecorded, extract
from stayfinite.repair.formula import LeafRole, Node, walk
from stayfinite.repair.writing import CannotWriteError, available, write

# Seconds: of one search, and of all searches of an incident.
_SECONDS = 1.0
# Elements of all operands together: up to which a batch is not cut, and beyond which none is tried.
_FEW = 300
_MOST = 4000
_FAILING, _HEALTHY = 3, 3
# An unrolled loop has the exact value, and nobody would merge it.
_MOST_NEW_LINES = 8
# Values that these functions only approach: where a result has one, it has been rounded.
_APPROACHED = {
    "erf": (-1.0, 1.0),
    "exp": (0.0,),
    "exp2": (0.0,),
    "sigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "softplus": (0.0,),
    "tanh": (-1.0, 1.0),
}
_KEEPS_ZERO = STRUCTURAL | {"divide", "multiply"}
_FLOATS = ("float16", "bfloat16", "float32", "float64")


@dataclass(frozen=True, eq=False)
class Formula:
    """The formula of one function of the user's at the operands of the failing step.

    Args:
        extraction: Where it comes from.
        problem: What the engine is asked.
        has_rounded_operand: Whether an operand has a value that its function only approaches, as
            an exponential that is 0 or a sigmoid that is 1. Its exact value is another one, so
            what the formula gives at that operand is no reference.
    """

    extraction: Extraction
    problem: FormulaProblem
    has_rounded_operand: bool = False

    @functools.cached_property
    def reference(self) -> Reference:
        """The exact value and gradient at the failing operands.

        Raises:
            BadFormula: the formula cannot be evaluated.
        """
        return reference(self.problem)

    def operand(self, diagnosis: Diagnosis) -> str | None:
        """The operand at fault of the failing operation, as the user wrote it."""
        operands = self.extraction.failing.operands
        position = diagnosis.finding.operand
        return self.text(operands[position]) if position < len(operands) else None

    def text(self, node: Node) -> str | None:
        """A sub-formula as the user wrote it."""
        origins = self.extraction.origins.get(node, ())
        return origins[0].text if origins else None

    def has_value_in_float64(self) -> bool:
        """Whether the formula as written, in float64, has the exact value at these operands."""
        problem = self.problem
        wide = Evaluation(FLOATING[problem.framework], problem.values, "float64")
        with np.errstate(all="ignore"):
            found = np.asarray(wide.value(problem.root), np.float64)
            exact = self.reference
            near = np.abs(found - exact.value) <= TOLERANCE["float32"] * np.abs(exact.value) + 1e-30
            if not near[exact.known].all():
                return False
            gradients = wide.gradients(problem.root, exact.seed, problem.wanted)
            for leaf, want in exact.gradients.items():
                known = np.isfinite(want)
                size = np.abs(want[known]).max(initial=0.0)
                gap = np.abs(np.asarray(gradients[leaf], np.float64) - want)[known]
                if not np.all(gap <= TOLERANCE["float32"] * size):
                    return False
        return True


Method = Literal["identity", "float64", "bound"]


@dataclass(frozen=True)
class RewrittenFormula:
    """What a rewriting does.

    Args:
        method: By an identity, by float64 for a part, or by a bound for an operand.
        functions: Operations that the formula did not have before.
        assumptions: What it takes for granted of which expression; true in every recorded batch.
    """

    method: Method
    functions: tuple[str, ...]
    assumptions: tuple[tuple[str, Claim], ...] = ()


@dataclass(frozen=True, eq=False)
class Rewriting:
    """A rewritten formula as an edit of the file."""

    formula: Formula
    rewrite: Rewrite
    edit: Edit

    @property
    def fact(self) -> RewrittenFormula:
        """What it does, as a report tells it."""
        before = {node.op for node in walk(self.formula.problem.root)}
        new = [node.op for node in walk(self.rewrite.root) if node.op not in before]
        method: Method = "identity"
        if last_resort.BOUND in self.rewrite.trail:
            method = "bound"
        elif last_resort.ISLAND in self.rewrite.trail:
            method = "float64"
        told = [(self.formula.text(a.node), a.claim) for a in self.rewrite.assumptions]
        assumptions = [(text, claim) for text, claim in told if text is not None]
        return RewrittenFormula(method, tuple(dict.fromkeys(new)), tuple(assumptions))

    @property
    def value(self) -> FixValue:
        """What the engine claims; without a proof that it holds for other signs, less."""
        if self.rewrite.price.regressions and not self.rewrite.assumptions:
            return FixValue.CHANGED
        return self.rewrite.value

    def holds_on(self, step: Step, batches: Sequence[Batch]) -> bool:
        """Whether every assumption of the rewriting is true of the failing and healthy batches.

        An assumption about an expression that is not in the source cannot be stated: False.
        """
        assumptions = self.rewrite.assumptions
        if not assumptions:
            return True
        if any(self.formula.text(each.node) is None for each in assumptions):
            return False
        return all(
            self._holds(each, assumptions)
            for each in (step, *(step.changed(OnBatch(batch)) for batch in batches))
        )

    def _holds(self, step: Step, assumptions: Sequence[Assumption]) -> bool:
        extraction = self.formula.extraction
        recordings = {leaf: extraction.recording(leaf) for leaf in extraction.leaves}
        arrays = extraction.arrays()
        fetched = step.fetch([r.value for r in recordings.values() if r is not None])
        for leaf, recording in recordings.items():
            if recording is not None:
                arrays[leaf] = fetched[recording.value]
        evaluation = Evaluation(FLOATING[self.formula.problem.framework], arrays)
        return all(_is_true(each, evaluation.value(each.node)) for each in assumptions)


def _is_true(assumption: Assumption, array: np.ndarray) -> bool:
    x = np.asarray(array, np.float64)
    match assumption.claim:
        case "positive":
            return bool((x > 0).all())
        case "non-negative":
            return bool((x >= 0).all())
        case "one-hot":
            return bool(((x == 0) | (x == 1)).all())


def formulas(step: Step, diagnosis: Diagnosis) -> Iterator[Formula]:
    """The formulas of the functions on the stack of the op at fault, the innermost first."""
    op = diagnosis.evidence.primal or diagnosis.evidence.op
    if op is None or not op.stack:
        return
    recorded = GraphRecorded(step.trace, step.fetch, _first_failing(step, op))
    functions = live.functions_with(span.code for span in op.stack if span.code is not None)
    roots: set[Node] = set()
    for span in op.stack:
        function = None if span.code is None else functions.get(id(span.code))
        if function is None:
            continue
        try:
            extraction = extract(
                function, op.stack[0], recorded.fresh(), _receiver(step, op, function)
            )
        except ExtractionError:
            continue
        problem = _problem(step, extraction, diagnosis.finding.samples)
        if problem is not None and problem.root not in roots:
            roots.add(problem.root)
            yield Formula(extraction, problem, _has_rounded_operand(step, extraction, problem))


def _first_failing(step: Step, op: Op) -> int:
    """The index of the first op of the same expression that failed: of a helper's calls, the first.

    The operands of a later call may be infinite by what an earlier one returned.
    """
    same = [root.index for root in step.roots().ops if root.stack[:1] == op.stack[:1]]
    return min([op.index, *same])


def _has_rounded_operand(step: Step, extraction: Extraction, problem: FormulaProblem) -> bool:
    for leaf, array in problem.values.items():
        recording = extraction.recording(leaf)
        if recording is None or leaf.attribute("role") is not LeafRole.VARIABLE:
            continue
        if np.isin(array, approached(step.trace, recording.value)).any():
            return True
    return False


def approached(graph: Graph, value: int) -> tuple[float, ...]:
    """The numbers that `value` can only have by rounding."""
    op = graph.producer.get(unwrapped(graph, value, STRUCTURAL))
    if op is not None and op.name == "divide":
        # A softmax as JAX computes it; of any other quotient only a 0 is known to be rounded.
        above = graph.producer.get(unwrapped(graph, op.operands[0], STRUCTURAL))
        below = graph.producer.get(unwrapped(graph, op.operands[1], STRUCTURAL))
        if above is not None and below is not None and (above.name, below.name) == ("exp", "sum"):
            return _APPROACHED["softmax"]
    if op is not None and op.name in _APPROACHED:
        return _APPROACHED[op.name]
    op = graph.producer.get(unwrapped(graph, value, _KEEPS_ZERO))
    return (0.0,) if op is not None and 0.0 in _APPROACHED.get(op.name, ()) else ()


def rewritings(formula: Formula, seconds: float = _SECONDS) -> list[Rewrite]:
    """What the engine finds for a formula, best first; empty where it cannot be evaluated."""
    try:
        return search(formula.problem, seconds=seconds)
    except BadFormula:
        return []


def is_last_resort(rewrite: Rewrite) -> bool:
    """Whether a part is computed in float64, or an operand is bounded."""
    return last_resort.ISLAND in rewrite.trail or last_resort.BOUND in rewrite.trail


def written(formula: Formula, rewrite: Rewrite) -> Rewriting | None:
    """The rewriting as an edit; None where no place is found for it."""
    try:
        edit = write(formula.extraction, rewrite.root).edit
    except CannotWriteError:
        return None
    if edit.apply().count("\n") - edit.source.text.count("\n") > _MOST_NEW_LINES:
        return None
    return Rewriting(formula, rewrite, edit)


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


def _problem(
    step: Step, extraction: Extraction, samples: tuple[int, ...] | None
) -> FormulaProblem | None:
    """The formula with the operands of the failing step; None where some are not known."""
    arrays = extraction.arrays()
    if arrays.keys() != set(extraction.leaves):
        return None
    framework = cast(Framework, base.current().name)
    wanted = tuple(
        leaf for leaf in extraction.leaves if leaf.attribute("role") is LeafRole.VARIABLE
    )
    values = _cut(extraction, arrays, framework, wanted, samples, step.trace.num_samples)
    if values is None:
        return None
    recording = extraction.recording(extraction.failing)
    dtype = "float32" if recording is None else recording.dtype
    return FormulaProblem(
        extraction.root,
        values,
        wanted,
        dtype=dtype if dtype in _FLOATS else "float32",
        framework=framework,
        available=available(extraction),
        float64_island=base.current().has_float64(),
    )


def _cut(
    extraction: Extraction,
    arrays: Mapping[Node, np.ndarray],
    framework: Framework,
    wanted: tuple[Node, ...],
    samples: tuple[int, ...] | None,
    num_samples: int | None,
) -> Mapping[Node, np.ndarray] | None:
    """The operands of the failing samples and of a few healthy ones."""
    if _size(arrays) <= _FEW or num_samples is None:
        return arrays if _size(arrays) <= _MOST and _evaluates(extraction, arrays) else None
    axes = {leaf: _batch_axis(extraction, leaf, arrays[leaf], num_samples) for leaf in arrays}
    failing = samples or _failing(extraction, arrays, axes, framework, wanted)
    others = [sample for sample in range(num_samples) if sample not in failing]
    kept = sorted((*failing[:_FAILING], *others[:_HEALTHY]))
    cut = {
        leaf: array if axes[leaf] is None else np.take(array, kept, axes[leaf])
        for leaf, array in arrays.items()
    }
    for values in (cut, arrays):
        if _size(values) <= _MOST and _evaluates(extraction, values):
            return values
    return None


def _size(arrays: Mapping[Node, np.ndarray]) -> int:
    return sum(array.size for array in arrays.values())


def _batch_axis(
    extraction: Extraction, leaf: Node, array: np.ndarray, num_samples: int
) -> int | None:
    recording = extraction.recording(leaf)
    if recording is not None and recording.batch_axis is not None:
        return recording.batch_axis
    # What the program made for the batch, as an index of each sample.
    return 0 if array.shape[:1] == (num_samples,) else None


def _failing(
    extraction: Extraction,
    arrays: Mapping[Node, np.ndarray],
    axes: Mapping[Node, int | None],
    framework: Framework,
    wanted: tuple[Node, ...],
) -> tuple[int, ...]:
    """The samples at which the gradient of an operand is not finite."""
    evaluation = Evaluation(FLOATING[framework], arrays)
    found: set[int] = set()
    try:
        seed = np.ones(np.shape(evaluation.value(extraction.root)), np.float32)
        gradients = evaluation.gradients(extraction.root, seed, wanted)
    except BadFormula:
        return ()
    for leaf, gradient in gradients.items():
        axis = axes[leaf]
        if axis is not None:
            others = tuple(d for d in range(gradient.ndim) if d != axis)
            found.update(np.flatnonzero(~np.isfinite(gradient).all(axis=others)).tolist())
    return tuple(sorted(found))


def _evaluates(extraction: Extraction, arrays: Mapping[Node, np.ndarray]) -> bool:
    try:
        Evaluation(FLOATING["jax"], arrays).value(extraction.root)
    except BadFormula:
        return False
    return True
