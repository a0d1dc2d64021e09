"""What the engine finds for a formula, as edits of the file.

What it claims of a rewriting is checked on the whole step in `patch_trials`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from stayfinite.experiments.formulas import Formula
from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.change import OnBatch
from stayfinite.frameworks.step import Step
from stayfinite.numerics.dtypes import HALF
from stayfinite.repair import Edit
from stayfinite.repair.engine import build, last_resort
from stayfinite.repair.engine.evaluate import EXACT, FLOATING, BadFormula, Evaluation, to_float64
from stayfinite.repair.engine.problem import Assumption, Claim, FixValue, FormulaProblem, Rewrite
from stayfinite.repair.engine.search import search
from stayfinite.repair.formula import LeafRole, name_of, node, walk
from stayfinite.repair.writing import CannotWriteError, Changes, repeated, write

# An unrolled loop has the exact value, but is no readable fix.
_MOST_NEW_LINES = 10

Method = Literal["identity", "float64", "bound"]


@dataclass(frozen=True)
class RewrittenFormula:
    """What a rewriting does.

    Args:
        method: By an identity, by float64 for a part, or by a bound for an operand.
        functions: Operations that the formula did not have before.
        assumptions: What it assumes of which expression; true in every recorded batch.
        values: Names of numbers for whose present value only it is right, with that value.
        num_places: How many expressions of the function are rewritten alike.
    """

    method: Method
    functions: tuple[str, ...]
    assumptions: tuple[tuple[str, Claim], ...] = ()
    values: tuple[tuple[str, float], ...] = ()
    num_places: int = 1


@dataclass(frozen=True, eq=False)
class Rewriting:
    """A rewritten formula as an edit of the file."""

    formula: Formula
    rewrite: Rewrite
    edit: Edit
    changes: Changes | None = None

    @property
    def bounds(self) -> bool:
        """Whether it bounds an operand, which is no other form of the same formula."""
        return is_bound(self.rewrite)

    @property
    def fact(self) -> RewrittenFormula:
        """What it does, for the report."""
        before = {node.op for node in walk(self.formula.extraction.root)}
        new = [node.op for node in walk(self.rewrite.root) if node.op not in before]
        method: Method = "identity"
        if self.bounds:
            method = "bound"
        elif last_resort.ISLAND in self.rewrite.trail:
            method = "float64"
        stated = [(self.formula.text(a.node), a.claim) for a in self.rewrite.assumptions]
        assumptions = [(text, claim) for text, claim in stated if text is not None]
        return RewrittenFormula(
            method,
            tuple(dict.fromkeys(new)),
            tuple(assumptions),
            tuple(self._values_taken()),
            self.edit.num_places,
        )

    def _values_taken(self) -> Iterator[tuple[str, float]]:
        """The names of numbers for whose value alone the rewriting is right."""
        problem = self.formula.problem
        rewritten = self.formula.posed(self.rewrite.root)
        kept = {name_of(x) for x in walk(rewritten)}
        for x in walk(problem.root):
            name, number = name_of(x), build.value(x)
            if name in kept or name is None or number is None:
                continue
            if self.bounds:
                continue
            other = {x: build.real(1.25 * number + 0.125)}
            try:
                evaluation = Evaluation(EXACT, problem.values)
                before, after = (
                    to_float64(evaluation.value(build.substituted(root, other)))
                    for root in (problem.root, rewritten)
                )
            except BadFormula:
                continue
            if not np.allclose(before, after, rtol=1e-6, atol=0, equal_nan=True):
                yield name, number

    def at_all_places(self) -> Rewriting | None:
        """It at each place of the function that does the same to another operand.

        Only the derivative with respect to what depends on weights is computed.
        """
        if self.changes is None:
            return None
        places = {
            origin.expression
            for origin, node in self.formula.extraction.evaluated
            if any(
                part.op == "leaf" and part.attribute("role") is LeafRole.VARIABLE
                for part in walk(node)
            )
        }
        edit = repeated(self.changes, places)
        return None if edit is None else replace(self, edit=edit, changes=None)

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
        case "one-hot" | "0 or 1":
            return bool(((x == 0) | (x == 1)).all())


def rewritings(formula: Formula, seconds: float) -> list[Rewrite]:
    """What the engine finds for a formula, best first; empty where it cannot be evaluated."""
    return _found(formula, formula.problem, seconds)


def rewritings_by_value(formula: Formula, seconds: float) -> list[Rewrite]:
    """The same with every named number as the number that it is at present.

    An identity may hold for these values only, or the names are not visible at the only place for
    an edit; the report states the values. Empty for a formula without names.
    """
    problem = formula.problem
    names = [x for x in walk(problem.root) if name_of(x) is not None]
    if not names:
        return []
    plain = {x: build.real(build.value(x) or 0.0) for x in names}
    return _found(formula, replace(problem, root=build.substituted(problem.root, plain)), seconds)


def _found(formula: Formula, problem: FormulaProblem, seconds: float) -> list[Rewrite]:
    """What the engine finds, over the leaves of the source."""
    try:
        found = search(problem, seconds=seconds)
    except BadFormula:
        return []
    return [
        replace(
            rewrite,
            root=formula.restored(rewrite.root),
            assumptions=tuple(
                replace(each, node=formula.restored(each.node)) for each in rewrite.assumptions
            ),
        )
        for rewrite in found
    ]


def is_last_resort(rewrite: Rewrite) -> bool:
    """Whether a part is computed in float64, or an operand is bounded."""
    return not last_resort.RULES.isdisjoint(rewrite.trail)


def is_bound(rewrite: Rewrite) -> bool:
    """Whether an operand is bounded."""
    return not {last_resort.BOUND, last_resort.BOUNDS}.isdisjoint(rewrite.trail)


def in_float32(formula: Formula, rewrite: Rewrite) -> Rewrite | None:
    """The rewriting of operands that are made float32; None where none is in half precision."""
    halves = []
    for x in walk(rewrite.root):
        recording = formula.extraction.recording(x) if x.op == "leaf" else None
        if recording is not None and recording.dtype in HALF:
            halves.append(x)
    if not halves:
        return None
    casts = {x: node("cast", x, dtype="float32") for x in halves}
    return replace(rewrite, root=build.substituted(rewrite.root, casts))


def written(formula: Formula, rewrite: Rewrite) -> Rewriting | None:
    """The rewriting as an edit; None where no place is found for it."""
    try:
        found = write(formula.extraction, rewrite.root)
    except CannotWriteError:
        return None
    edit = found.edit
    if edit.apply().count("\n") - edit.source.text.count("\n") > _MOST_NEW_LINES:
        return None
    return Rewriting(formula, rewrite, edit, found.changes)
