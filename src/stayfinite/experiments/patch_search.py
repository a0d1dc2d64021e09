"""The order in which patches are looked for: rewritings of the engine, then edits by templates.

The removal of one hazard may uncover the next (a division by a norm, then the gradient of that
norm), so a patch that moves the failure elsewhere is edited further.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterable, Iterator
from enum import Enum, auto

from stayfinite.diagnose.locate import Diagnosis
from stayfinite.experiments.applied_patch import AppliedPatch
from stayfinite.experiments.formulas import Formula, formulas
from stayfinite.experiments.moved_activation import moved_activations
from stayfinite.experiments.patch_trials import PatchTrials
from stayfinite.experiments.rewritings import (
    Rewriting,
    in_float32,
    is_bound,
    is_last_resort,
    rewritings,
    rewritings_by_value,
    written,
)
from stayfinite.experiments.source_fix import SourceFix
from stayfinite.experiments.template_edits import edited_op, positive_output, template_edits
from stayfinite.experiments.time_limit import TimeLimit
from stayfinite.experiments.wider_edits import half_of, wider_edits
from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.step import Step
from stayfinite.graph.graph import Span
from stayfinite.repair import Remade, SourceFile, TemplateEdit
from stayfinite.repair.engine.problem import FixValue, Rewrite

# Rewritings of one formula that are tried, and formulas of one step.
_MAX_REWRITES = 3
_MAX_FORMULAS = 4
# Seconds of the search in the engine.
_SECONDS_A_SEARCH = 0.65  # the slowest find so far took 0.55 s; last resorts take up to 0.25 more
_SECONDS_IF_ROUNDED = 0.4  # an exact form needs what the rounded operand has lost
_SECONDS_OF_ENGINE = 3.0  # of processor time, so that a busy machine finds the same
# The formula has an exact value, whether or not a form of it was found.
_REACHABLE = (FixValue.EXACT, FixValue.CHANGED)

_Edit = tuple[TemplateEdit, Remade | None]


class Form(Enum):
    """The kinds of fixes that are searched for."""

    REWRITING = auto()
    MOVED_ACTIVATION = auto()
    LAST_RESORT = auto()
    FLOAT32 = auto()
    TEMPLATE = auto()


def _span(diagnosis: Diagnosis) -> Span | None:
    op = edited_op(diagnosis)
    return None if op is None else op.span


def is_exact(fix: SourceFix | None) -> bool:
    """Whether a patch is verified with the exact value; no other one is better."""
    return fix is not None and fix.verified and fix.judged.value is FixValue.EXACT


class PatchSearch:
    """Rewritings of the engine, then depth first over templates, within a budget of seconds."""

    def __init__(
        self,
        step: Step,
        diagnosis: Diagnosis,
        batches: list[Batch],
        trials: PatchTrials,
        limit: TimeLimit,
    ) -> None:
        self._step = step
        self._diagnosis = diagnosis
        self._batches = batches
        self._trials = trials
        self._others: list[tuple[Formula, Rewrite]] = []
        self._limit = limit
        self.left_out: list[Form] = []

    def run(self) -> SourceFix | None:
        """The best patch: the first with the exact value, else the best of all that were tried.

        Where the formula has no value at what a layer gives, another activation of that layer.
        """
        found = self._of_formula()
        if found is None or found.value != "undefined":
            return found
        for edit, made in positive_output(self._diagnosis):
            fix = self._try(AppliedPatch.start(edit.source).edited(edit, made))
            if fix is not None and fix.removes_failure:
                return dataclasses.replace(fix, guard=found)
        return found

    def _of_formula(self) -> SourceFix | None:
        mechanism = self._diagnosis.finding.mechanism
        if mechanism is None:
            # The formula is not at fault. An exact form of it is a fix, a bound is not.
            return self._rewritten()
        is_half = half_of(self._diagnosis) is not None
        ways = [self._rewritten, self._by_last_resort, self._by_templates]
        if mechanism == "half-overflow":
            ways = [self._by_templates, self._rewritten, self._by_last_resort]
        elif is_half:
            # Half precision needs float32 for a part, and float64 for none.
            ways = [self._rewritten, self._by_templates, self._by_last_resort]
            if self._diagnosis.finding.cause == "epsilon-underflow":
                ways.insert(0, self._by_float32)
        for find in (*ways, self._by_any_bound):
            found = find()
            if found is not None and found.is_near:
                return found
        return self._trials.best

    def _is_late(self, form: Form) -> bool:
        """Whether the limit is reached, so that others of this form are left out."""
        if self._limit.is_over:
            self.left_out.append(form)
        return self._limit.is_over

    def _rewritten(self) -> SourceFix | None:
        """An exact rewriting."""
        until = time.thread_time() + _SECONDS_OF_ENGINE
        for number, formula in enumerate(formulas(self._step, self._diagnosis)):
            if number == _MAX_FORMULAS or time.thread_time() > until:
                break
            if self._is_late(Form.REWRITING):
                break
            if self._trials.formula is None:
                self._trials.formula = formula
            seconds = _SECONDS_IF_ROUNDED if formula.has_rounded_operand else _SECONDS_A_SEARCH
            for find in (rewritings, rewritings_by_value):
                rewrites = find(formula, seconds)
                exact = [r for r in rewrites if r.value is FixValue.EXACT and not is_last_resort(r)]
                self._others += [(formula, r) for r in rewrites if r not in exact]
                pairs = ((formula, r) for r in exact)
                found = self._first(pairs, Form.REWRITING, FixValue.EXACT)
                if found is not None:
                    return found
                if rewrites and not any(r.value in _REACHABLE for r in rewrites):
                    break
        if self._diagnosis.finding.mechanism is None:
            return None
        return self._from_logits()

    def _by_last_resort(self) -> SourceFix | None:
        """Float64 for a part with the exact value; a bound, where no exact value exists."""
        if is_exact(self._trials.best):
            return None  # in half precision, one that is exact but for its roundings
        exact = [other for other in self._others if other[1].value is FixValue.EXACT]
        left = [*exact, *self._arbitrary]
        bounds = [other for other in self._others if other not in left]
        values = FixValue.EXACT, FixValue.BOUNDED
        first = self._first(exact, Form.LAST_RESORT, *values)
        return first or self._first(bounds, Form.LAST_RESORT, *values)

    @property
    def _arbitrary(self) -> list[tuple[Formula, Rewrite]]:
        """Bounds of formulas without a value, of which none is nearer to it than another."""
        return [(f, r) for f, r in self._others if r.value is FixValue.UNDEFINED and is_bound(r)]

    def _by_any_bound(self) -> SourceFix | None:
        """A bound of a formula without a value, where no usual edit removes the failure."""
        best = self._trials.best
        if best is not None and best.removes_failure and best.far_gradients is None:
            return None
        return self._first(self._arbitrary, Form.LAST_RESORT, FixValue.EXACT, FixValue.BOUNDED)

    def _from_logits(self) -> SourceFix | None:
        """An exact form where the loss reads what goes into the last activation of the network."""
        for move in moved_activations(self._step, self._diagnosis):
            applied = AppliedPatch.start(move.edit.source).then(move.edit, move.fact, move.remade)
            for rewriting in self._rewritings_after(applied):
                fix = self._try(applied.rewritten(rewriting))
                if is_exact(fix):
                    return fix
        return None

    def _rewritings_after(self, applied: AppliedPatch) -> list[Rewriting]:
        """Exact rewritings of the formulas that fail once a patch is in place."""
        found: list[Rewriting] = []
        with contextlib.ExitStack() as stack:
            failing = self._trials.failing_with(applied, stack)
            if failing is None:
                return []
            for number, formula in enumerate(formulas(*failing)):
                if number == _MAX_FORMULAS or self._is_late(Form.MOVED_ACTIVATION):
                    break
                for rewrite in rewritings(formula, _SECONDS_A_SEARCH):
                    if rewrite.value is not FixValue.EXACT or is_last_resort(rewrite):
                        continue
                    rewriting = written(formula, rewrite)
                    if rewriting is not None and rewriting.holds_on(failing[0], self._batches):
                        found.append(rewriting)
                    if len(found) == _MAX_REWRITES:
                        return found
        return found

    def _first(
        self, rewrites: Iterable[tuple[Formula, Rewrite]], form: Form, *values: FixValue
    ) -> SourceFix | None:
        """The first rewriting that is verified with one of `values`."""
        count = 0
        for formula, rewrite in rewrites:
            if count == _MAX_REWRITES or self._is_late(form):
                return None
            rewriting = written(formula, rewrite)
            if rewriting is None or not rewriting.holds_on(self._step, self._batches):
                continue
            count += 1
            fix = self._try_rewriting(rewriting, values)
            if fix is None or not fix.is_near:
                wide = in_float32(formula, rewrite)
                wider = None if wide is None else written(formula, wide)
                again = None if wider is None else self._try_rewriting(wider, values)
                fix = again if again is not None and (fix is None or again.is_near) else fix
            if fix is None:
                continue
            # The operands of the other places may be the next to meet a singular point.
            at_singular_point = self._diagnosis.finding.mechanism == "singular-gradient"
            everywhere = rewriting.at_all_places() if at_singular_point else None
            again = None if everywhere is None else self._try_rewriting(everywhere, values)
            return again or fix
        return None

    def _try_rewriting(
        self, rewriting: Rewriting, values: tuple[FixValue, ...]
    ) -> SourceFix | None:
        """The fix by a rewriting, if it is verified with one of `values`."""
        fix = self._try(AppliedPatch.start(rewriting.edit.source).rewritten(rewriting))
        return fix if fix is not None and fix.is_settled and fix.judged.value in values else None

    def _by_float32(self) -> SourceFix | None:
        """Float32 for one part and nothing else: it holds the epsilon that half precision loses."""
        found = self._edits()
        if found is None:
            return None
        start, wider, templates = found
        for edit, made in [*wider, *templates]:
            applied = start.edited(edit, made)
            if not applied.only_casts or self._is_late(Form.FLOAT32):
                continue
            fix = self._trials.trial(applied)
            if isinstance(fix, SourceFix) and is_exact(fix) and fix.is_near:
                return fix
        return None

    def _edits(self) -> tuple[AppliedPatch, Iterator[_Edit], list[_Edit]] | None:
        """The file at fault without a change, with casts and templates that may be made in it.

        None where it cannot be read.
        """
        span = _span(self._diagnosis)
        assert span is not None
        try:
            start = AppliedPatch.start(SourceFile.of(span.file))
        except (OSError, SyntaxError, UnicodeError):
            return None
        wider = wider_edits(start.patch.source, self._step, self._diagnosis)
        return start, wider, template_edits(start.patch, self._diagnosis)

    def _by_templates(self) -> SourceFix | None:
        """An exact edit by templates."""
        found = self._edits()
        if found is None:
            return None
        start, wider, templates = found
        # The templates of another mechanism are bounds.
        is_half = self._diagnosis.finding.mechanism == "half-overflow"
        for each in (templates, wider) if is_half else (wider, templates):
            fix = self._first_edit(each, start)
            if fix is not None:
                return fix
        return None

    def _first_edit(self, edits: Iterable[_Edit], applied: AppliedPatch) -> SourceFix | None:
        """The first edit that is exact, and not only as far as half precision is."""
        for edit, made in edits:
            if self._is_late(Form.TEMPLATE):
                return None
            fix = self._try(applied.edited(edit, made))
            if fix is not None and is_exact(fix) and fix.is_near:
                return fix
        return None

    def _try(self, applied: AppliedPatch) -> SourceFix | None:
        """The patch if the step is finite with it, or the first such one that begins with it."""
        tried = self._trials.trial(applied)
        if not isinstance(tried, Diagnosis):
            return tried
        span = _span(tried)
        if span is None or span.file != applied.patch.original.path:
            return None
        return self._first_edit(template_edits(applied.patch, tried), applied)
