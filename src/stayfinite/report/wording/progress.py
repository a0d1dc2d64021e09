"""The stage of an explanation, in words."""

from __future__ import annotations

from enum import StrEnum

from stayfinite.report.words import plural


class ExplanationStage(StrEnum):
    """The stages of an explanation, in their order."""

    REPLAY = "running the step again"
    CAUSE = "looking for the cause"
    ADVICE = "trying the common advice"
    SAMPLES = "looking for the samples at fault"
    FIX = "trying fixes of the source"
    REMEDY = "trying remedies"
    FIGURES = "measuring the steps before"
    REPORT = "writing the report"


def progress(stage: ExplanationStage, num_runs: int, seconds: float, width: int) -> str:
    """`stayfinite: 12 s, 17 runs: trying fixes of the source (Ctrl-C for the report so far)`.

    The hint is left out where the line would be longer than `width`; the rest may be.
    """
    line = f"stayfinite: {seconds:.0f} s, {plural(num_runs, 'run')}: {stage}"
    hint = " (Ctrl-C for the report so far)"
    return line + hint if len(line + hint) <= width else line


def interrupted(stage: ExplanationStage) -> str:
    """The note of an explanation that Ctrl-C ended."""
    return f"explanation interrupted: it was {stage}; the report has what was known by then"
