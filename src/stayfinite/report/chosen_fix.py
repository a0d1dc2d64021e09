"""Which of the fixes that were found an incident reports, and how sure its cause is then."""

from __future__ import annotations

from dataclasses import dataclass, replace

from stayfinite.diagnose.finding import Finding
from stayfinite.experiments.changes import Remedy
from stayfinite.experiments.remedies.try_remedy import RemedySearch
from stayfinite.experiments.samples_at_fault import SamplesAtFault
from stayfinite.experiments.source_fix import SourceFix
from stayfinite.experiments.try_change import Experiment
from stayfinite.frameworks.step import Outcome
from stayfinite.incident import Certainty, Fix, FixKind
from stayfinite.report.wording import fixes, libraries, remedies, source_fixes


@dataclass(frozen=True)
class ChosenFix:
    """The fix, the certainty of the cause, and the experiment that shows the fix."""

    fix: Fix | None
    certainty: Certainty
    shown_by: Experiment | None = None
    notes: tuple[str, ...] = ()


def choose_fix(
    finding: Finding,
    without: Experiment | None,
    samples: SamplesAtFault,
    source_fix: SourceFix | None,
    library_call: str | None,
    remedy: RemedySearch,
    num_samples: int | None,
    is_library: bool = False,
) -> ChosenFix:
    """The first of: a patch that removes the failure, a remedy, other samples, advice.

    A cause is confirmed if the step is finite when it is removed.

    Args:
        finding: The cause.
        without: The step without the samples that the rule named, or on another batch.
        samples: The samples at fault.
        source_fix: The best patch.
        library_call: The call of a library that holds the op at fault.
        remedy: The search for a remedy.
        num_samples: Samples of the batch, if known.
        is_library: Whether the line at fault is of an installed library of models or losses.
    """
    patched = None if source_fix is None else source_fix.experiment
    if source_fix is not None and source_fix.removes_failure:
        others = source_fixes.instead(source_fix, finding.op)
        return ChosenFix(_source(source_fix, finding.op), "confirmed", patched, others)
    proved = remedy.proved
    if proved is not None and isinstance(proved.change, Remedy):
        kind, text = fixes.remedy_text(proved.change)
        fix = Fix(True, kind, text, None)
        if (
            proved.reference_loss is not None
            and isinstance(proved.result, Outcome)
            and proved.result.num_losses
        ):
            fix = replace(fix, loss=proved.result.loss, reference_loss=proved.reference_loss)
        instead = remedies.remedy(finding, num_samples) if finding.cause == "bad-target" else None
        notes = () if instead is None else (f"or {instead}",)
        return ChosenFix(fix, "confirmed", proved, notes)
    advice = _advice(finding, without, library_call, num_samples, is_library)
    if source_fix is not None:
        # What fails after a step that has its exact value is another failure.
        certainty: Certainty = "confirmed" if source_fix.is_exact_here else "likely"
        advice = ChosenFix(_source(source_fix, finding.op), certainty, patched)
    settled = advice.fix is not None and (advice.fix.verified or advice.fix.diff is not None)
    if samples.shown and samples.samples and not settled:
        text = fixes.leave_out(samples.samples)
        notes = () if advice.fix is None else (f"or {advice.fix.text}",)
        shown_by = samples.experiment or without
        return ChosenFix(Fix(True, "data", text, None), "confirmed", shown_by, notes)
    return advice


def _source(found: SourceFix, op: str) -> Fix:
    return Fix(
        found.verified,
        "source",
        source_fixes.source_text(found, op),
        found.diff,
        found.value,
        found.loss,
        None if found.loss is None else found.judged.reference_loss,
        source_fixes.objection(found),
        found.is_whole,
        found.num_losses,
        found.is_equal,
        found.objection,
    )


def _advice(
    finding: Finding,
    without: Experiment | None,
    library_call: str | None,
    num_samples: int | None,
    is_library: bool,
) -> ChosenFix:
    """What the cause advises, where nothing was shown to help but other samples."""
    text = libraries.remedy(finding.cause) if is_library else None
    text = text or remedies.remedy(finding, num_samples)
    if text is None:
        if library_call is None:
            return ChosenFix(None, "unknown" if finding.cause == "unknown" else "likely")
        text = fixes.instead_of_library(library_call)
        return ChosenFix(Fix(False, "source", text, None), "likely")
    # A loss of a library over no label is repaired in the data.
    is_of_data = finding.phase == "data" or (is_library and finding.cause == "empty-reduction")
    shown_by = without if is_of_data and without and without.finite else None
    kind: FixKind = "data" if is_of_data or finding.phase == "load" else "setting"
    confirmed = shown_by is not None or finding.phase == "load"
    fix = Fix(shown_by is not None, kind, text, None)
    return ChosenFix(fix, "confirmed" if confirmed else "likely", shown_by)
