"""From a bad step to its incident: replay, trace, rule, repair, trials, folder."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

from stayfinite.diagnose.evidence import Evidence
from stayfinite.diagnose.finding import Finding
from stayfinite.diagnose.locate import diagnose
from stayfinite.diagnose.numbers import samples_named
from stayfinite.diagnose.origin import NOWHERE, file_of, origin_of, source_line
from stayfinite.diagnose.provenance import facts
from stayfinite.experiments import trials
from stayfinite.experiments.earlier_state import earlier, usable
from stayfinite.experiments.remedies import Past, prove
from stayfinite.experiments.source_fix import Mended, mend
from stayfinite.experiments.suspects import suspects
from stayfinite.frameworks import base
from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.change import Unchanged
from stayfinite.frameworks.failure import Failure
from stayfinite.frameworks.step import Outcome, Step
from stayfinite.graph.graph import Op
from stayfinite.graph.source_text import callee
from stayfinite.incident import (
    Cause,
    Certainty,
    Fix,
    FixKind,
    Incident,
    Kept,
    Phase,
    Spread,
    Trial,
    Where,
)
from stayfinite.report import because, folder


def explain_failure(failure: Failure) -> Incident:
    """The incident of a bad step, on disk when this returns.

    Whatever goes wrong here, the stop stands: the incident then has the cause `unknown` and a
    note that says what went wrong.
    """
    began = time.perf_counter()
    blank = _blank(failure)
    try:
        step = base.current().step(failure)
    except Exception as error:
        return _finished(_with_error(blank, error), None, began)
    kept, blank = _keep(failure, step, blank)
    try:
        incident = _explained(failure, step, blank)
    except Exception as error:
        incident = _with_error(blank, error)
    return _finished(incident, kept, began)


def _explained(failure: Failure, step: Step, blank: Incident) -> Incident:
    began = time.perf_counter()
    outcome = step.run(Unchanged())
    first_run = time.perf_counter() - began
    blank = dataclasses.replace(blank, num_rows=step.trace.num_samples, spread=_spread(outcome))
    if outcome.finite and not outcome.bad_gradients:
        return _not_reproduced(failure, step, blank, outcome, first_run)
    before = earlier(step, failure.bad.step, failure.snapshots)
    healthy = _healthy(failure)
    diagnosis = diagnose(step, outcome, _ranges(healthy), before)
    evidence, finding = diagnosis.evidence, diagnosis.finding
    tried, left_out = trials.common_advice(step, first_run)
    samples_trial = trials.other_samples(step, finding.samples, healthy)
    if samples_trial is not None:
        tried.append(samples_trial)
    batches = [batch for _, batch in healthy]
    found = suspects(step, finding, samples_trial, batches)
    finding = found.finding
    tried += found.trials
    left_out = [*left_out, *found.notes]
    shown = [*found.because, *_collapse(step, outcome)]
    path = file_of(evidence)
    mended = None
    try:
        mended = mend(step, diagnosis, batches, path)
    except Exception as error:
        # The cause that was found must not be lost with a search for its repair.
        left_out.append(f"the search for a fix failed: {type(error).__name__}: {error}")
    fix, certainty = _fix(finding, evidence.primal or evidence.op, mended, samples_trial)
    if mended is not None and mended.trial is not None:
        tried.append(mended.trial)
    if mended is None or not mended.fix.verified:
        # What no edit of the source can do: a setting, other data.
        diagnosis = dataclasses.replace(diagnosis, finding=finding)
        snapshots = usable(step, failure.snapshots)
        proof = prove(Past(step, outcome, diagnosis, batches, failure.bad.step, snapshots))
        finding = proof.finding
        shown += proof.because
        tried += proof.trials
        left_out = [*left_out, *proof.notes]
        left_samples = _without_samples(finding, fix, tried)
        if proof.fix is not None:
            fix, certainty = proof.fix, "confirmed"
        elif left_samples is not None:
            left_out += [] if fix is None else [f"or {fix.text}"]
            fix, certainty = left_samples, "confirmed"
    # Last: a remedy may have changed which samples are at fault.
    read_from, untold = _files(failure, finding)
    left_out += untold
    return dataclasses.replace(
        blank,
        where=dataclasses.replace(blank.where, phase=_phase(finding, evidence)),
        cause=Cause(finding.cause, certainty, finding.message),
        origin=origin_of(evidence, finding),
        trials=tuple(tried),
        fix=fix,
        because=(*read_from, *_because(step, evidence, finding), *shown),
        arithmetic=finding.detail or None,
        notes=(*blank.notes, *finding.notes, *left_out, *_notes(mended)),
        num_healthy_steps=0 if mended is None else mended.num_healthy_steps,
        source_line=source_line(evidence, finding),
    )


def _healthy(failure: Failure) -> list[tuple[int, Batch]]:
    """The number of each healthy step and its batch, newest first."""
    backend = base.current()
    return [(r.step, backend.batch(failure.subject, r.data)) for r in failure.healthy]


def _ranges(healthy: list[tuple[int, Batch]]) -> dict[str, float]:
    ranges: dict[str, float] = {}
    for _, batch in healthy:
        for name, size in batch.magnitudes().items():
            ranges[name] = max(size, ranges.get(name, 0.0))
    return ranges


def _because(step: Step, evidence: Evidence, finding: Finding) -> list[str]:
    lines: list[str] = []
    critical = finding.critical
    if critical is not None and critical.samples:
        found = facts(step.trace, critical.value, critical.samples, step.fetch)
        lines += because.sentences(found, critical.samples, step.trace.num_samples)
    return lines


def _files(failure: Failure, finding: Finding) -> tuple[list[str], list[str]]:
    """Which files the samples at fault were read from, where their data set can tell; and notes."""
    if not finding.samples:
        return [], []
    try:
        files = failure.files()
    except Exception as error:
        # The data set is the user's, and may raise anything.
        return [], [f"the data set could not tell its files: {type(error).__name__}: {error}"]
    return because.files(finding.samples, files or ()), []


def _collapse(step: Step, outcome: Outcome) -> list[str]:
    scales = [getattr(optimizer, "dynamic_scale", None) for optimizer in step.subject.optimizers]
    if not any(scale is not None and scale.path in outcome.bad_state for scale in scales):
        return []
    return ["the loss scale has fallen to 1: nothing is left of it to lower by skipping this step"]


def _notes(mended: Mended | None) -> list[str]:
    return [] if mended is None or mended.note is None else [mended.note]


def _library_remedy(finding: Finding, op: Op | None) -> str | None:
    """Advice for an op inside a library's layer or loss, whose source is not the user's to edit."""
    if op is None or op.span is None or op.stack or finding.mechanism is None:
        return None
    called = callee(op.span)
    if called is None or called in ("fit", "compile", "train_on_batch"):
        return None
    return (
        f"replace `{called}`, which is not finite here, by your own function with that argument "
        "kept away from the point above"
    )


def _fix(
    finding: Finding, op: Op | None, mended: Mended | None, samples_trial: Trial | None
) -> tuple[Fix | None, Certainty]:
    """The fix, and how sure the cause is: confirmed when removing it made the step finite."""
    if mended is not None:
        return mended.fix, "confirmed" if mended.fix.verified else "likely"
    remedy = finding.remedy or _library_remedy(finding, op)
    if remedy is None:
        return None, "unknown" if finding.cause == "unknown" else "likely"
    if finding.remedy is None:
        return Fix(False, "source", remedy, None), "likely"
    by_samples = finding.phase == "data" and samples_trial is not None
    verified = by_samples and samples_trial is not None and samples_trial.outcome == "finite"
    kind: FixKind = "data" if finding.phase in ("data", "load") else "setting"
    certain = verified or finding.phase == "load"
    return Fix(verified, kind, remedy, None), "confirmed" if certain else "likely"


def _without_samples(finding: Finding, fix: Fix | None, tried: list[Trial]) -> Fix | None:
    """Leaving out the samples that make the step fail, where no diff can be shown instead."""
    if finding.samples is None or (fix is not None and (fix.verified or fix.diff is not None)):
        return None
    named = trials.without(finding.samples)
    if not any(trial.change == named and trial.outcome == "finite" for trial in tried):
        return None
    which = samples_named(finding.samples)
    text = f"leave {which} of this batch out of the training, or repair the data"
    return Fix(True, "data", text, None)


def _phase(finding: Finding, evidence: Evidence) -> Phase:
    if finding.phase is not None:
        return finding.phase
    return evidence.op.phase if evidence.op is not None else "forward"


def _spread(outcome: Outcome) -> Spread:
    bad = outcome.bad_gradients
    first = bad or list(outcome.bad_state)
    return Spread(
        loss=f"{outcome.loss:.6g}",
        num_gradients=len(outcome.gradients),
        num_gradients_nonfinite=len(bad),
        first=tuple(first[:3]),
    )


def _not_reproduced(
    failure: Failure, step: Step, blank: Incident, outcome: Outcome, first_run: float
) -> Incident:
    again = failure.rerun()
    what = "non-finite again" if again else "finite this time"
    tried, left_out = trials.common_advice(step, first_run)
    return dataclasses.replace(
        blank,
        cause=Cause(
            "not-reproduced",
            "likely",
            "the step was non-finite in training and finite when run again",
        ),
        because=(
            f"the compiled step, run again on the same state and batch, was {what}",
            f"op by op the same step is finite: {outcome.in_words()}",
        ),
        trials=tuple(tried),
        notes=(*blank.notes, *left_out),
    )


def _blank(failure: Failure) -> Incident:
    backend = base.current()
    bad = failure.bad
    return Incident(
        backend=backend.name,
        versions=backend.versions(),
        device=backend.device(),
        script=failure.script,
        where=Where(bad.epoch, bad.batch, bad.step, "forward"),
        cause=Cause("unknown", "unknown", "the step was non-finite"),
        origin=NOWHERE,
        spread=Spread("nan", 0, 0, ()),
        trials=(),
        fix=None,
        kept=Kept(None, bad.step - 1, ""),
    )


def _keep(failure: Failure, step: Step, blank: Incident) -> tuple[Path | None, Incident]:
    try:
        made = folder.create(
            failure.keep,
            failure.bad.step,
            failure.subject,
            step.state_arrays(),
            step.batch.arrays(),
        )
    except Exception as error:
        # A full disk, or a model that cannot be saved, must not take the explanation away.
        note = f"nothing could be kept on disk: {type(error).__name__}: {error}"
        return None, dataclasses.replace(blank, notes=(note,))
    weights = None if made.weights is None else str(made.weights)
    kept = Kept(weights, failure.bad.step - 1, str(made.path))
    return made.path, dataclasses.replace(blank, kept=kept)


def _with_error(incident: Incident, error: Exception) -> Incident:
    note = f"the explanation itself failed: {type(error).__name__}: {error}"
    return dataclasses.replace(incident, notes=(*incident.notes, note))


def _finished(incident: Incident, path: Path | None, began: float) -> Incident:
    incident = dataclasses.replace(incident, seconds=round(time.perf_counter() - began, 2))
    if path is None:
        return incident
    try:
        folder.write(path, incident)
    except OSError as error:
        note = f"the incident could not be written: {error}"
        return dataclasses.replace(incident, notes=(*incident.notes, note))
    return incident
