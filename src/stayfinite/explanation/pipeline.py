"""The pipeline from a bad step to its incident.

Failure -> Step -> Diagnosis -> samples at fault -> source fix -> remedy -> Incident. Each stage
takes values and returns one; `report` has the sentences.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from stayfinite.diagnose.facts.growth import ChangedOutside
from stayfinite.diagnose.float64_run import Float64Run
from stayfinite.diagnose.locate import Diagnosis, diagnose
from stayfinite.diagnose.origin import file_of
from stayfinite.diagnose.provenance import ProvenanceFact, facts
from stayfinite.experiments import outside_steps
from stayfinite.experiments.advice import Advice, try_advice, try_other_samples
from stayfinite.experiments.counted_step import CountedStep
from stayfinite.experiments.earlier_state import earlier_state, usable_snapshots
from stayfinite.experiments.fidelity import fidelity
from stayfinite.experiments.fix_search import FixSearch, find_source_fix, library_call
from stayfinite.experiments.recent_steps import measure_recent_steps, scheduled_rates
from stayfinite.experiments.recurrence import run_again
from stayfinite.experiments.remedies.catalog import find_remedy
from stayfinite.experiments.remedies.try_remedy import FailureContext, RemedySearch
from stayfinite.experiments.samples_at_fault import SamplesAtFault, find_samples, with_samples
from stayfinite.experiments.try_change import NotTried, attempt
from stayfinite.explanation.proved import Explained, ProvedRemedy, remedy_of, repair_of
from stayfinite.explanation.stage import ExplanationProgress, optional
from stayfinite.frameworks import base, optimizers
from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.change import Unchanged
from stayfinite.frameworks.failure import Failure
from stayfinite.frameworks.state_log import MadeAgain
from stayfinite.frameworks.step import CannotRemakeError, Outcome, Step
from stayfinite.incident import Incident
from stayfinite.report import assemble, folder
from stayfinite.report.assemble import Explanation, NotReproduced
from stayfinite.report.figures import Figures
from stayfinite.report.wording import made_again
from stayfinite.report.wording import progress as wording
from stayfinite.report.wording.progress import ExplanationStage
from stayfinite.strict import caught


def explain_failure(failure: Failure, progress: ExplanationProgress) -> Explained:
    """The incident of a bad step, on disk when this returns, and what its trials proved.

    An internal error does not hide the rest: the incident has a note of it, and the cause `unknown`
    if there is none yet. Strict mode raises it. Ctrl-C ends the explanation in the same way.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed again.
    """
    stages = _Stages(failure, progress)
    note: str | None = None
    interruption: str | None = None
    try:
        stages.keep()
        stages.run()
        stages.keep_figures()
    except KeyboardInterrupt:
        note = interruption = wording.interrupted(progress.stage)
    except CannotRemakeError as error:
        note = made_again.cannot_remake(str(progress.stage), error.why)
    except Exception as error:
        at_replay = stages.path is not None and progress.stage is ExplanationStage.REPLAY
        note = caught(str(progress.stage) if at_replay else "the explanation", error)
    progress.stage = ExplanationStage.REPORT
    if interruption is not None and stages.path is None:
        stages.keep()
    incident = stages.incident()
    incident = replace(
        incident,
        notes=incident.notes if note is None else (note, *incident.notes),
        seconds=round(stages.seconds, 2),
    )
    incident = incident if stages.path is None else folder.finish(stages.path, incident)
    found, not_reproduced = stages.found, stages.not_reproduced
    if interruption is not None:
        return Explained(incident, interruption=interruption)
    if not_reproduced is not None and not_reproduced.recurrences.kind == "transient":
        return Explained(incident, ProvedRemedy())
    if found is None:
        return Explained(incident)
    remedy = remedy_of(found, failure.snapshots, stages.again)
    return Explained(incident, remedy, repair_of(found))


class _Stages:
    """The stages, and what they have found so far.

    Attributes:
        path: The folder of the incident, once it was made.
        found: What was found, from the diagnosis on.
        not_reproduced: What was found of a step that is finite op by op.
        again: The state that the steps before make, if that is another one than the training had.
    """

    def __init__(self, failure: Failure, progress: ExplanationProgress) -> None:
        self._began = time.perf_counter()
        self.path: Path | None = None
        self.found: Explanation | None = None
        self._failure = failure
        self._progress = progress
        self._incident = assemble.unexplained(failure)
        self.not_reproduced: NotReproduced | None = None
        self.again: MadeAgain | None = None
        self._notes: tuple[str, ...] = ()
        self._step: Step | None = None

    @property
    def seconds(self) -> float:
        """How long the explanation has taken so far."""
        return time.perf_counter() - self._began

    def keep(self) -> None:
        """Make the step, and put it on disk before anything of it can fail."""
        framework = base.framework_of(self._failure.subject)
        self._step = CountedStep(framework.step(self._failure), self._progress.count)
        self.path, self._incident = folder.keep(self._incident, self._failure.keep, self._step)

    def incident(self) -> Incident:
        """The incident with what was found so far."""
        incident = self._incident
        if self.found is not None:
            incident = assemble.explained(incident, self.found)
        elif self.not_reproduced is not None:
            processes = self._failure.num_processes
            incident = assemble.not_reproduced(incident, self.not_reproduced, processes)
        return replace(incident, notes=(*incident.notes, *self._notes))

    def run(self) -> None:
        """Run the stages in their order."""
        failure, step, progress = self._failure, self._step, self._progress
        assert step is not None
        began = time.perf_counter()
        if failure.cannot_remake is not None:
            seen = step.run(Unchanged()) if failure.seen is None else failure.seen
            self._incident = assemble.not_made_again(self._incident, seen, failure.cannot_remake)
            self._step = None
            return
        if failure.seen is None:
            outcome = step.run(Unchanged())
        else:
            # The code of a loop may not be ready to be run twice.
            made = attempt(lambda: step.run(Unchanged()))
            if isinstance(made, NotTried):
                self._incident = assemble.not_made_again(self._incident, failure.seen, made)
                self._step = None
                return
            outcome = made
        first_run = time.perf_counter() - began
        self._incident = assemble.run_again(self._incident, outcome)
        if failure.seen is not None and failure.remade_by is not None:
            compared = fidelity(failure.seen, outcome, failure.num_processes)
            self._incident = assemble.compared(self._incident, failure.remade_by, compared)
            if not compared.is_equal:
                return
        wider = Float64Run(step)
        num_samples = step.trace.num_samples
        devices = base.framework_of(failure.subject).other_devices()
        recurrences = run_again(
            step, outcome, first_run, failure.rerun, devices, failure.is_same_program
        )
        if not recurrences.is_reproduced:
            progress.stage = ExplanationStage.ADVICE
            is_other = recurrences.is_other_program
            # What another program gives says nothing of this one.
            advice = Advice(()) if is_other else try_advice(step, wider, first_run)
            self.not_reproduced = NotReproduced(outcome, recurrences, advice, num_samples)
            return

        progress.stage = ExplanationStage.CAUSE
        numbered = _healthy(failure)
        healthy = [batch for _, batch in numbered]
        earlier = earlier_state(step, failure.bad.step, failure.snapshots, healthy)
        diagnosis = diagnose(step, outcome, wider, _ranges(healthy), earlier)
        retraced = optional("making the steps before again", failure.made_again)
        again = self.again = retraced.value
        if again is not None:
            diagnosis = outside_steps.changed_outside(diagnosis, step, again)
        found = self.found = Explanation(
            outcome,
            recurrences,
            diagnosis,
            samples=SamplesAtFault(diagnosis.finding.samples),
            spent_scale=_is_scale_spent(step, outcome),
            num_samples=num_samples,
            notes=retraced.notes,
        )

        progress.stage = ExplanationStage.ADVICE
        advice = try_advice(step, wider, first_run)
        if again is not None and isinstance(diagnosis.finding.facts, ChangedOutside):
            found = self.found = replace(found, advice=advice)
            context = FailureContext(step, outcome, diagnosis, wider, healthy)
            self.found = replace(found, remedy=outside_steps.find_remedy(context, again))
            return
        found = self.found = replace(found, advice=advice, library_call=library_call(diagnosis))

        progress.stage = ExplanationStage.SAMPLES
        without = try_other_samples(step, diagnosis.finding.samples, numbered)
        samples = find_samples(step, diagnosis.finding, without, healthy)
        diagnosis = replace(diagnosis, finding=with_samples(diagnosis.finding, samples))
        found = self.found = replace(
            found,
            diagnosis=diagnosis,
            without=without,
            samples=samples,
            provenance=_provenance(diagnosis),
            files=attempt(failure.files) if diagnosis.finding.samples else None,
        )

        progress.stage = ExplanationStage.FIX
        searched = optional(
            "the search for a fix",
            lambda: find_source_fix(step, diagnosis, wider, healthy, file_of(diagnosis.evidence)),
        )
        search = searched.value or FixSearch(None)
        notes = (*found.notes, *searched.notes)
        found = self.found = replace(found, fix_search=search, notes=notes)
        if search.fix is not None and search.fix.removes_failure:
            return

        # Fixes that are no edit of the source: a setting, other data.
        progress.stage = ExplanationStage.REMEDY
        snapshots = usable_snapshots(step, failure.snapshots)
        context = FailureContext(
            step, outcome, diagnosis, wider, healthy, failure.bad.step, snapshots
        )
        remedy = optional("the search for a remedy", lambda: find_remedy(context))
        notes = (*found.notes, *remedy.notes)
        self.found = replace(found, remedy=remedy.value or RemedySearch(), notes=notes)

    def keep_figures(self) -> None:
        """Put the figures of the steps before into the folder; a note of it where that failed.

        There are none of a step that cannot be made again.
        """
        failure, step, path = self._failure, self._step, self.path
        if step is None or path is None:
            return
        bad, losses = failure.bad.step, failure.losses

        def measure() -> None:
            recent = measure_recent_steps(
                step,
                bad,
                _healthy(failure),
                failure.snapshots,
                self.seconds,
            )
            first = losses[0].step if losses else bad
            rates = tuple(scheduled_rates(step, bad, first).items())
            folder.keep_figures(path, Figures(losses, rates, recent))

        self._progress.stage = ExplanationStage.FIGURES
        self._notes = optional("the figures of the steps before", measure).notes


def _healthy(failure: Failure) -> list[tuple[int, Batch]]:
    """The number of each healthy step and its batch, newest first."""
    framework = base.framework_of(failure.subject)
    return [(r.step, framework.batch(failure.subject, r.data)) for r in failure.healthy]


def _ranges(healthy: list[Batch]) -> dict[str, float]:
    """The largest magnitude of each array of a batch in the healthy batches."""
    ranges: dict[str, float] = {}
    for batch in healthy:
        for name, size in batch.magnitudes().items():
            ranges[name] = max(size, ranges.get(name, 0.0))
    return ranges


def _provenance(diagnosis: Diagnosis) -> tuple[ProvenanceFact, ...]:
    evidence, critical = diagnosis.evidence, diagnosis.finding.critical
    if critical is None or not critical.samples:
        return ()
    return tuple(facts(evidence.trace, critical.value, critical.samples, evidence.values))


def _is_scale_spent(step: Step, outcome: Outcome) -> bool:
    """Whether the loss scale of an optimizer has fallen to 1; a scale may also grow to infinity."""
    paths = optimizers.loss_scale_paths(step.subject.optimizers)
    if not any(path in outcome.bad_state for path in paths):
        return False
    state = step.state_arrays()
    return any(float(state[path]) <= 1.0 for path in paths if path in state)
