"""Find a source fix, and hold it against the failing step, healthy ones and exact arithmetic.

A fix is tried as it will be printed: the patched file is compiled and put in the place of the
running functions. Rewritings of the engine come first, then edits by templates. The removal of one
hazard may uncover the next (a division by a norm, then the gradient of that norm), so a patch that
moves the failure elsewhere is edited further.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from stayfinite.diagnose.float64_run import Float64Run
from stayfinite.diagnose.locate import Diagnosis, diagnose
from stayfinite.diagnose.origin import shown_path
from stayfinite.diagnose.values import as_float
from stayfinite.experiments.changes import SourcePatch
from stayfinite.experiments.comparison import rounding_errors
from stayfinite.experiments.fix_value import AsWritten, Judged, judged, kind_by_facts
from stayfinite.experiments.formulas import Formula, formulas
from stayfinite.experiments.healthy_steps import HealthySteps, Objection
from stayfinite.experiments.moved_activation import MovedActivation, moved_activations
from stayfinite.experiments.rewritings import (
    Rewriting,
    is_last_resort,
    rewritings,
    rewritings_by_value,
    written,
)
from stayfinite.experiments.rollout import is_good
from stayfinite.experiments.source_fix import Description, SourceFix
from stayfinite.experiments.template_edits import edited_op, positive_output, template_edits
from stayfinite.experiments.try_change import Experiment, NotTried, attempt
from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.change import Source, Unchanged
from stayfinite.frameworks.step import Outcome, Step
from stayfinite.graph.graph import Span
from stayfinite.graph.source import callee
from stayfinite.repair import (
    Edit,
    Patch,
    Remade,
    RepairError,
    SourceFile,
    filenames,
    put_in_place,
    swapped,
)
from stayfinite.repair.engine.problem import FixValue, Rewrite

_MAX_EDITS = 3
# Rewritings of one formula that are tried, and formulas of one step.
_MAX_REWRITES = 3
_MAX_FORMULAS = 4
# Seconds: of the whole search, and of it in the engine.
_SECONDS = 25.0
_SECONDS_A_SEARCH = 1.0
_SECONDS_IF_ROUNDED = 0.4  # an exact form needs what the rounded operand has lost
_SECONDS_OF_ENGINE = 3.0  # of processor time, so that a busy machine finds the same
# The formula has an exact value, whether or not a form of it was found.
_REACHABLE = (FixValue.EXACT, FixValue.CHANGED)


def find_source_fix(
    step: Step, diagnosis: Diagnosis, wider: Float64Run, healthy: list[Batch], path: str | None
) -> SourceFix | None:
    """A source fix for `diagnosis`; None where the source is not at fault or not there.

    Args:
        step: The failing step.
        diagnosis: Its cause.
        wider: It in float64.
        healthy: Batches before it, newest first.
        path: How the diff names the file.
    """
    op = diagnosis.evidence.forward_op
    if op is None or op.span is None:
        return None
    return _PatchSearch(step, diagnosis, wider, healthy, path).run()


def library_call(diagnosis: Diagnosis) -> str | None:
    """The library's layer or loss that holds the op at fault, as the user's line calls it."""
    op = diagnosis.evidence.forward_op
    if op is None or op.span is None or op.stack or diagnosis.finding.mechanism is None:
        return None
    called = callee(op.span)
    # These lines start a training; they create no layer or loss.
    return None if called in ("fit", "compile", "train_on_batch") else called


def _span(diagnosis: Diagnosis) -> Span | None:
    op = edited_op(diagnosis)
    return None if op is None else op.span


@dataclass(frozen=True)
class _Edits:
    """The edits of a patch: what they do, and the library objects that some of them remade."""

    descriptions: tuple[Description, ...] = ()
    remade: tuple[Remade, ...] = ()
    rewriting: Rewriting | None = None

    def rewritten(self, rewriting: Rewriting) -> _Edits:
        """These edits and a rewriting after them."""
        return _Edits((*self.descriptions, rewriting.fact), self.remade, rewriting)

    def then(self, edit: Edit, made: Remade | None) -> _Edits:
        """These edits and one more by a template."""
        again = self.remade if made is None else (*self.remade, made)
        return _Edits((*self.descriptions, edit.description), again)

    @property
    def _change_functions(self) -> bool:
        """Whether the patch changes more than the lines that made the remade objects."""
        if any(isinstance(each, MovedActivation) for each in self.descriptions):
            return True
        return len(self.remade) < len(self.descriptions) or not self.remade

    @contextlib.contextmanager
    def in_place(self, patch: Patch) -> Iterator[None]:
        """Run the patched code in the place of the running code inside the block."""
        with contextlib.ExitStack() as stack:
            for made in self.remade:
                stack.enter_context(made.in_place())
            if self._change_functions:
                stack.enter_context(swapped(patch, but_module_code=bool(self.remade)))
            yield


class _PatchSearch:
    """Rewritings of the engine, then depth first over templates, within a budget of seconds."""

    def __init__(
        self,
        step: Step,
        diagnosis: Diagnosis,
        wider: Float64Run,
        healthy: list[Batch],
        path: str | None,
    ) -> None:
        self._step = step
        self._wider = wider
        self._batches = healthy
        self._healthy = HealthySteps(step, healthy)
        self._path = path
        self._diagnosis = diagnosis
        self._until = time.monotonic() + _SECONDS
        self._tried: list[SourceFix] = []
        self._formula: Formula | None = None

    def run(self) -> SourceFix | None:
        """The best patch: the first with the exact value, else the best of all that were tried.

        Where the formula has no value at what a layer gives, another activation of that layer.
        """
        found = self._of_formula()
        if found is None or found.value != "undefined":
            return found
        for made in positive_output(self._diagnosis):
            fix = self._try(
                Patch.start(made.edit.source).then(made.edit), _Edits().then(made.edit, made)
            )
            if fix is not None and fix.removes_failure:
                return dataclasses.replace(fix, guard=found)
        return found

    def _of_formula(self) -> SourceFix | None:
        found = self._rewritten()
        if found is not None or self._diagnosis.finding.mechanism is None:
            # Where something else is at fault, only an exact form of the formula is a fix as well.
            return found
        found = self._by_templates()
        return found or min(self._tried, key=lambda fix: fix.rank, default=None)

    @property
    def _is_late(self) -> bool:
        return time.monotonic() > self._until

    def _rewritten(self) -> SourceFix | None:
        """An exact rewriting; else, where no exact value exists, one that bounds it."""
        others: list[tuple[Formula, Rewrite]] = []
        until = time.thread_time() + _SECONDS_OF_ENGINE
        for number, formula in enumerate(formulas(self._step, self._diagnosis)):
            if number == _MAX_FORMULAS or time.thread_time() > until or self._is_late:
                break
            if self._formula is None:
                self._formula = formula
            seconds = _SECONDS_IF_ROUNDED if formula.has_rounded_operand else _SECONDS_A_SEARCH
            for find in (rewritings, rewritings_by_value):
                rewrites = find(formula, seconds)
                exact = [r for r in rewrites if r.value is FixValue.EXACT and not is_last_resort(r)]
                others += [(formula, r) for r in rewrites if r not in exact]
                found = self._first(((formula, r) for r in exact), FixValue.EXACT)
                if found is not None:
                    return found
                if rewrites and not any(r.value in _REACHABLE for r in rewrites):
                    break
        if self._diagnosis.finding.mechanism is None:
            return None
        found = self._from_logits()
        if found is not None:
            return found
        return self._first(others, FixValue.EXACT, FixValue.BOUNDED)

    def _from_logits(self) -> SourceFix | None:
        """An exact form where the loss reads what goes into the last activation of the network."""
        for move in moved_activations(self._step, self._diagnosis):
            patch, edits = Patch.start(move.edit.source).then(move.edit), _Edits((move.fact,))
            edits = dataclasses.replace(edits, remade=move.remade)
            for rewriting in self._rewritings_after(patch, edits):
                fix = self._try(patch.then(rewriting.edit), edits.rewritten(rewriting))
                if fix is not None and fix.verified and fix.judged.value is FixValue.EXACT:
                    return fix
        return None

    def _rewritings_after(self, patch: Patch, edits: _Edits) -> list[Rewriting]:
        """Exact rewritings of the formulas that fail once a patch is in place."""
        found: list[Rewriting] = []
        with contextlib.ExitStack() as stack:

            def run() -> tuple[Step, Outcome]:
                stack.enter_context(edits.in_place(patch))
                stack.enter_context(patch.source.running_as(filenames(patch)))
                step = self._step.changed(Source(contextlib.nullcontext))
                return step, step.run(Unchanged())

            ran = attempt(run)
            if isinstance(ran, NotTried):
                return []
            step, outcome = ran
            if is_good(outcome):
                return []
            diagnosis = diagnose(step, outcome, Float64Run(step), {})
            for number, formula in enumerate(formulas(step, diagnosis)):
                if number == _MAX_FORMULAS or self._is_late:
                    break
                for rewrite in rewritings(formula, _SECONDS_A_SEARCH):
                    if rewrite.value is not FixValue.EXACT or is_last_resort(rewrite):
                        continue
                    rewriting = written(formula, rewrite)
                    if rewriting is not None and rewriting.holds_on(step, self._batches):
                        found.append(rewriting)
                    if len(found) == _MAX_REWRITES:
                        return found
        return found

    def _first(
        self, rewrites: Iterable[tuple[Formula, Rewrite]], *values: FixValue
    ) -> SourceFix | None:
        """The first rewriting that is verified with one of `values`."""
        count = 0
        for formula, rewrite in rewrites:
            if count == _MAX_REWRITES or self._is_late:
                return None
            rewriting = written(formula, rewrite)
            if rewriting is None or not rewriting.holds_on(self._step, self._batches):
                continue
            count += 1
            fix = self._try_rewriting(rewriting, values)
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
        edits = _Edits((rewriting.fact,), rewriting=rewriting)
        fix = self._try(Patch.start(rewriting.edit.source).then(rewriting.edit), edits)
        return fix if fix is not None and fix.verified and fix.judged.value in values else None

    def _by_templates(self) -> SourceFix | None:
        """An exact edit by templates."""
        span = _span(self._diagnosis)
        assert span is not None
        try:
            source = SourceFile.of(span.file)
        except (OSError, SyntaxError, UnicodeError):
            return None
        return self._from(Patch.start(source), self._diagnosis, _Edits())

    def _from(self, patch: Patch, diagnosis: Diagnosis, done: _Edits) -> SourceFix | None:
        for edit, made in template_edits(patch, diagnosis):
            if self._is_late:
                return None
            fix = self._try(patch.then(edit), done.then(edit, made))
            if fix is not None and fix.verified and fix.judged.value is FixValue.EXACT:
                return fix
        return None

    def _try(self, patch: Patch, edits: _Edits) -> SourceFix | None:
        """The patch if the step is finite with it, or the first such one that begins with it."""
        further: Diagnosis | None = None
        trouble: Objection | NotTried | None = None
        value = Judged(None)
        num_healthy = self._healthy.count()  # run before the patch is in place
        before = self._as_written
        with contextlib.ExitStack() as stack:

            def run() -> tuple[Step, Outcome]:
                stack.enter_context(edits.in_place(patch))
                step = self._step.changed(Source(contextlib.nullcontext))
                return step, step.run(Unchanged())

            # Finding the live functions is most of the cost, so it is done once for all runs.
            ran = attempt(run)
            if isinstance(ran, NotTried):
                return self._found(patch, edits, None, ran, value, 0)
            step, outcome = ran
            if is_good(outcome):
                value = judged(
                    before,
                    outcome,
                    edits.rewriting,
                    lambda: _run_in_float64(Float64Run(step)),
                    lambda: rounding_errors(step),
                )
                trouble = self._healthy.objection(step, outcome)
            elif len(edits.descriptions) < _MAX_EDITS and edits.rewriting is None:
                further = diagnose(step, outcome, Float64Run(step), {})
        if not is_good(outcome):
            return None if further is None else self._further(patch, further, edits)
        experiment = Experiment(SourcePatch(), outcome, outcome.finite)
        count = 0 if trouble is not None else num_healthy
        return self._found(patch, edits, experiment, trouble, value, count)

    def _further(self, patch: Patch, diagnosis: Diagnosis, edits: _Edits) -> SourceFix | None:
        span = _span(diagnosis)
        if span is None or span.file != patch.original.path:
            return None
        return self._from(patch, diagnosis, edits)

    def _found(
        self,
        patch: Patch,
        edits: _Edits,
        experiment: Experiment | None,
        trouble: Objection | NotTried | None,
        value: Judged,
        num_healthy: int,
    ) -> SourceFix:
        op = self._diagnosis.evidence.forward_op
        span = None if op is None else op.span
        own = span is not None and span.file == patch.original.path
        diff = patch.diff(self._path if own else shown_path(patch.original.path))
        fix = SourceFix(
            edits.descriptions,
            diff,
            num_healthy,
            experiment,
            trouble,
            value,
            self._operand(),
            is_far_above=self._is_far_above(experiment, value),
            put_in_place=functools.partial(_put_in_place, patch, edits),
        )
        self._tried.append(fix)
        return fix

    def _is_far_above(self, experiment: Experiment | None, value: Judged) -> bool:
        result = None if experiment is None else experiment.result
        if value.value is not FixValue.BOUNDED or not isinstance(result, Outcome):
            return False
        return self._healthy.is_far_below(result.loss)

    def _operand(self) -> str | None:
        return None if self._formula is None else self._formula.operand(self._diagnosis)

    @functools.cached_property
    def _as_written(self) -> AsWritten:
        outcome = self._step.run(Unchanged())
        as_written = AsWritten(
            outcome,
            _run_in_float64(self._wider),
            self._formula,
            self._diagnosis.finding.mechanism,
            self._healthy.tolerance,
            kind_by_facts(self._diagnosis),
        )
        if not as_written.fails_in_state_alone:
            return as_written  # the new state is not asked about, and takes one more run
        return dataclasses.replace(as_written, has_nan_state=_has_nan_state(self._step, outcome))


def _has_nan_state(step: Step, outcome: Outcome) -> bool:
    numbers = [n for name, n in step.trace.new_state.items() if name in outcome.bad_state]
    return any(bool(np.isnan(as_float(a)).any()) for a in step.fetch(numbers).values())


def _put_in_place(patch: Patch, edits: _Edits) -> bool:
    if any(isinstance(each, MovedActivation) for each in edits.descriptions):
        return False  # the rest of the program would get logits from `predict`
    # Without the formula, which holds the failing step: the patch stays as long as the program.
    edits = dataclasses.replace(edits, rewriting=None)
    try:
        put_in_place(patch, functools.partial(edits.in_place, patch))
    except RepairError:
        return False
    return True


def _run_in_float64(wider: Float64Run) -> Outcome | NotTried:
    return attempt(lambda: wider.outcome)
