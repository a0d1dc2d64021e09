"""The incident of a failure, from what the stages of its explanation found."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from stayfinite.diagnose.evidence import Evidence
from stayfinite.diagnose.facts.new_state import BadNewWeights, BadSetting
from stayfinite.diagnose.finding import Finding
from stayfinite.diagnose.locate import Diagnosis
from stayfinite.diagnose.origin import (
    NOWHERE,
    LibraryLine,
    layer_without_site,
    library_inside,
    origin_of,
    source_line,
    text_run_by,
)
from stayfinite.diagnose.provenance import ProvenanceFact
from stayfinite.experiments.advice import Advice
from stayfinite.experiments.changes import BisectedSamples
from stayfinite.experiments.fidelity import Fidelity
from stayfinite.experiments.fix_search import FixSearch
from stayfinite.experiments.recurrence import Recurrences
from stayfinite.experiments.remedies.try_remedy import RemedySearch
from stayfinite.experiments.samples_at_fault import SamplesAtFault
from stayfinite.experiments.source_fix import SourceFix
from stayfinite.experiments.try_change import Experiment, NotTried
from stayfinite.frameworks import base
from stayfinite.frameworks.change import WithoutSamples
from stayfinite.frameworks.failure import Failure, Files
from stayfinite.frameworks.obstacles import WhyNot
from stayfinite.frameworks.step import Outcome
from stayfinite.incident import Cause, Fix, Incident, Kept, Phase, Spread, Where
from stayfinite.report.chosen_fix import choose_fix
from stayfinite.report.wording import evidence as evidence_wording
from stayfinite.report.wording import findings, fixes, source_fixes
from stayfinite.report.wording import made_again as made_again_wording
from stayfinite.report.wording import recurrence as recurrence_wording
from stayfinite.report.wording.arithmetic import arithmetic
from stayfinite.report.wording.trials import outcome_in_words, trial_of


@dataclass(frozen=True)
class NotReproduced:
    """The step was finite when run again.

    Args:
        outcome: What it gave, op by op.
        recurrences: What it gave as it was compiled, and on other devices.
        advice: What was tried.
        num_samples: Samples of the batch, if known.
    """

    outcome: Outcome
    recurrences: Recurrences
    advice: Advice
    num_samples: int | None


@dataclass(frozen=True)
class Explanation:
    """What the stages have found; the defaults are of those that have not run.

    Args:
        outcome: What the failing step gave.
        recurrences: What it gave on other devices.
        diagnosis: The cause, with the samples at fault.
        samples: The samples at fault, and how they were found.
        spent_scale: Whether the loss scale has fallen to 1.
        num_samples: Samples of the batch, if known.
        advice: The common advice, tried.
        without: The step without the samples that the rule named, or on another batch.
        fix_search: The search for a patch of the user's file.
        library_call: The call of a library that holds the op at fault.
        remedy: The search for a setting or other data, if no patch was verified.
        provenance: Where the critical value came from.
        files: The files of each sample of the batch, where the data set has them.
        notes: What failed on the way.
    """

    outcome: Outcome
    recurrences: Recurrences
    diagnosis: Diagnosis
    samples: SamplesAtFault
    spent_scale: bool
    num_samples: int | None
    advice: Advice = field(default_factory=lambda: Advice(()))
    without: Experiment | None = None
    fix_search: FixSearch = field(default_factory=lambda: FixSearch(None))
    library_call: str | None = None
    remedy: RemedySearch = field(default_factory=RemedySearch)
    provenance: tuple[ProvenanceFact, ...] = ()
    files: tuple[Files, ...] | NotTried | None = None
    notes: tuple[str, ...] = ()

    @property
    def source_fix(self) -> SourceFix | None:
        """The best patch of the user's file."""
        return self.fix_search.fix


def unexplained(failure: Failure) -> Incident:
    """The incident before its explanation: when and on what it happened."""
    bad, framework = failure.bad, base.framework_of(failure.subject)
    number = bad.step + failure.num_others
    return Incident(
        backend=framework.name,
        versions=framework.versions(),
        device=framework.device(),
        script=failure.script,
        where=Where(bad.epoch, bad.batch, number, "forward"),
        cause=Cause("unknown", "unknown", "the step was non-finite"),
        origin=NOWHERE,
        spread=Spread("nan", 0, 0, ()),
        trials=(),
        fix=None,
        kept=Kept(None, number - 1, "", failure.is_applied),
    )


def run_again(incident: Incident, outcome: Outcome) -> Incident:
    """`incident` with what the step gave when it was run again."""
    return dataclasses.replace(incident, spread=_spread(outcome))


def compared(incident: Incident, by: str, found: Fidelity) -> Incident:
    """`incident` with what was run to make the step again, compared with training. Where it is not
    the same step, no cause is named.
    """
    said = made_again_wording.made_again(by, found)
    if found.is_equal:
        return dataclasses.replace(incident, made_again=said)
    return dataclasses.replace(
        incident,
        made_again=said,
        cause=Cause("not-reproduced", "likely", made_again_wording.differs(found)),
    )


def not_made_again(incident: Incident, seen: Outcome, why: WhyNot | NotTried) -> Incident:
    """`incident` of a step that could not be made again, with what training had."""
    return dataclasses.replace(
        incident,
        spread=_spread(seen),
        where=dataclasses.replace(incident.where, phase="backward"),
        made_again=made_again_wording.not_made_again(why),
    )


def not_reproduced(incident: Incident, found: NotReproduced, num_processes: int = 1) -> Incident:
    """`incident` as a step that was finite when run again.

    Args:
        incident: What is known.
        found: What the runs gave.
        num_processes: Over how many processes the gradients are a mean.
    """
    recurrence = recurrence_wording.recurrence(found.recurrences)
    because: tuple[str, ...] = (
        *recurrence_wording.again(found.recurrences, outcome_in_words(found.outcome)),
        *recurrence_wording.devices(found.recurrences),
    )
    if num_processes > 1:
        recurrence, because = dataclasses.replace(recurrence, kind="other-process"), ()
    return dataclasses.replace(
        incident,
        num_rows=found.num_samples,
        spread=_spread(found.outcome),
        cause=Cause(
            "not-reproduced",
            "likely",
            made_again_wording.finite_again(num_processes, any(found.recurrences.runs)),
        ),
        because=because,
        recurrence=recurrence,
        trials=tuple(trial_of(tried) for tried in found.advice.experiments),
        notes=(*incident.notes, *evidence_wording.not_searched(found.advice, None)),
    )


def explained(incident: Incident, found: Explanation) -> Incident:
    """`incident` with all that was found."""
    finding, evidence = found.diagnosis.finding, found.diagnosis.evidence
    remedy = found.remedy
    if remedy.span is not None:
        finding = dataclasses.replace(finding, span=remedy.span)
    line = source_line(evidence, finding)
    origin = origin_of(evidence, finding)
    message = findings.message(finding)
    if remedy.at_fault is not None and not _names_setting(finding):
        message = fixes.at_fault_message(message, remedy.at_fault)
    unknown = []
    by = text_run_by(evidence, finding)
    if by is not None:
        unknown.append(evidence_wording.no_text_run_by(by))
    elif origin.file is not None and line is None:
        unknown.append(evidence_wording.no_text(origin.file))
    inside = library_inside(evidence, finding)
    chosen = choose_fix(
        finding,
        found.without,
        found.samples,
        found.source_fix,
        found.library_call,
        remedy,
        found.num_samples,
        is_library=origin.library is not None or inside is not None,
    )
    layer = layer_without_site(evidence, finding)
    if layer is not None and (chosen.fix is None or not chosen.fix.verified):
        unknown.append(evidence_wording.no_site(layer))
    return dataclasses.replace(
        incident,
        num_rows=found.num_samples,
        spread=_spread(found.outcome),
        where=dataclasses.replace(incident.where, phase=_phase(finding, evidence)),
        cause=Cause(finding.cause, chosen.certainty, message),
        origin=origin,
        trials=tuple(trial_of(tried) for tried in _experiments(found, chosen.shown_by)),
        fix=chosen.fix,
        because=(*_inside(inside), *_because(finding, found)),
        arithmetic=arithmetic(finding) or None,
        notes=(
            *incident.notes,
            *found.diagnosis.notes,
            *_notes(found, chosen.fix),
            *unknown,
            *chosen.notes,
        ),
        num_healthy_steps=0 if found.source_fix is None else found.source_fix.num_healthy_steps,
        source_line=line,
        recurrence=recurrence_wording.recurrence(found.recurrences),
    )


def _spread(outcome: Outcome) -> Spread:
    bad = outcome.bad_gradients
    return Spread(
        loss=f"{outcome.loss:.6g}" if outcome.num_losses else "unknown",
        num_gradients=len(outcome.gradients),
        num_gradients_nonfinite=len(bad),
        first=tuple((bad or list(outcome.bad_state))[:3]),
    )


def _phase(finding: Finding, evidence: Evidence) -> Phase:
    if finding.phase is not None:
        return finding.phase
    return evidence.op.phase if evidence.op is not None else "forward"


def _experiments(found: Explanation, fix: Experiment | None) -> list[Experiment]:
    """Everything that was tried, in order; `fix` is marked, and it alone."""
    tried = [*found.advice.experiments]
    without, bisected = found.without, found.samples.experiment
    if without is not None and not (bisected is not None and _is_same_change(without, bisected)):
        tried.append(without)
    tried += [] if bisected is None else [bisected]
    if found.source_fix is not None and found.source_fix.experiment is not None:
        tried.append(found.source_fix.experiment)
    tried += found.remedy.experiments
    return [dataclasses.replace(each, is_fix=each is fix) for each in tried]


def _is_same_change(without: Experiment, bisected: Experiment) -> bool:
    """Whether both leave out the same samples: only what stands in their place differs.

    Other samples of the batch are there in the first, so a distance may be 0 that was not; samples
    of a healthy batch in the second.
    """
    one, other = without.change, bisected.change
    if not isinstance(one, WithoutSamples) or not isinstance(other, BisectedSamples):
        return False
    return not without.finite and sorted(one.samples) == sorted(other.samples)


def _names_setting(finding: Finding) -> bool:
    """Whether the message already has the setting that is at fault."""
    facts = finding.facts
    return isinstance(facts, BadNewWeights) and isinstance(facts.reason, BadSetting)


def _inside(line: LibraryLine | None) -> list[str]:
    return [] if line is None else [evidence_wording.inside_library(line)]


def _because(finding: Finding, found: Explanation) -> list[str]:
    lines: list[str] = []
    if isinstance(found.files, tuple) and finding.samples:
        lines += evidence_wording.files(finding.samples, found.files)
    critical = finding.critical
    if critical is not None and critical.samples:
        lines += [
            evidence_wording.provenance(fact, critical.samples, found.num_samples)
            for fact in found.provenance
        ]
    lines += evidence_wording.samples_at_fault(found.samples)
    if found.spent_scale:
        lines.append("the loss scale has fallen to 1, so no skipped step can lower it further")
    if found.remedy.growth is not None:
        lines.append(evidence_wording.growth(found.remedy.growth))
    return [*lines, *recurrence_wording.devices(found.recurrences)]


def _notes(found: Explanation, fix: Fix | None) -> list[str]:
    # A patch that was tried and is not the fix is not shown, and nor is what speaks against it.
    patch = found.source_fix if fix is not None and fix.kind == "source" else None
    notes = [*evidence_wording.not_searched(found.advice, found.samples), *found.notes]
    if isinstance(found.files, NotTried):
        notes.append(evidence_wording.files_unknown(found.files))
    if found.remedy.unproved is not None:
        notes.append(evidence_wording.unproved(found.remedy.unproved))
    if patch is not None and patch.trouble is not None:
        notes.append(source_fixes.trouble(patch.trouble))
    if patch is not None and patch.is_far_above:
        notes.append(source_fixes.far_above())
    elif patch is not None and patch.far_gradients is not None:
        notes.append(source_fixes.far_gradients())
    if found.fix_search.left_out:
        notes.append(source_fixes.left_out(found.fix_search))
    return notes
