"""The changes of `stayfinite replay --change`, from their text."""

from __future__ import annotations

import math
from dataclasses import dataclass

from stayfinite.errors import UsageError
from stayfinite.frameworks.change import (
    Change,
    ClipNorm,
    ClipValue,
    LearningRate,
    Settings,
    WiderDtype,
    WithoutSamples,
)
from stayfinite.incident import Incident, TrialKind

KNOWN = (
    "learning-rate=/10, learning-rate=0.001, clipnorm=1, clipvalue=0.5, dtype=float64, "
    "without-samples=3,7, source or fix"
)


@dataclass(frozen=True)
class PatchedSource:
    """The program with the diff of the incident."""


ReplayChange = Change | PatchedSource


def parse(text: str, incident: Incident) -> ReplayChange:
    """The change that `text` names.

    Raises:
        UsageError: it names none, or the incident has no such fix.
    """
    if text == "fix":
        return _fix(incident)
    if text == "source":
        if incident.fix is None or not incident.fix.diff:
            raise UsageError("--change source: the incident has no diff of a source file")
        return PatchedSource()
    name, _, value = text.partition("=")
    match name:
        case "learning-rate" if value.startswith("/"):
            return LearningRate(1.0 / _number(text, value[1:]))
        case "learning-rate":
            return Settings({"learning_rate": _number(text, value)})
        case "clipnorm":
            return ClipNorm(_number(text, value))
        case "clipvalue":
            return ClipValue(_number(text, value))
        case "dtype" if value == "float64":
            return WiderDtype()
        case "float64" if text == name:  # as reports name it
            return WiderDtype()
        case "without-samples":
            return WithoutSamples(_samples(text, value))
    raise UsageError(f"--change {text}: not a change; expected {KNOWN}")


def last(changes: list[ReplayChange]) -> tuple[list[Change], Change | None]:
    """The changes in the order in which a step takes them, and the one for its run, if any.

    Raises:
        UsageError: two of them exclude each other.
    """
    kinds = [type(change) for change in changes]
    for kind in kinds:
        if kinds.count(kind) > 1 and kind is not PatchedSource:
            raise UsageError("--change: two changes of the same kind; pass one of them")
    own = [change for change in changes if not isinstance(change, PatchedSource)]
    runs: list[Change] = [c for c in own if isinstance(c, ClipNorm | ClipValue | WiderDtype)]
    others: list[Change] = [c for c in own if not isinstance(c, ClipNorm | ClipValue | WiderDtype)]
    if len(runs) > 1:
        # A step in float64 updates with the settings of its optimizer, so clipping becomes one.
        clips = [_setting(change) for change in runs if not isinstance(change, WiderDtype)]
        if len(clips) > 1:
            raise UsageError("--change: clipnorm and clipvalue exclude each other, as in Keras")
        return [*others, *clips], WiderDtype()
    return others, runs[0] if runs else None


def _setting(change: Change) -> Change:
    if isinstance(change, ClipNorm):
        return change.settings()
    assert isinstance(change, ClipValue)
    return Settings({"clipvalue": change.value, "clipnorm": None, "global_clipnorm": None})


def _fix(incident: Incident) -> ReplayChange:
    fix = incident.fix
    if fix is None:
        raise UsageError("--change fix: the incident has no fix")
    if fix.diff:
        return PatchedSource()
    shown = next((trial for trial in incident.trials if trial.is_fix), None)
    samples = incident.origin.samples
    if shown is not None and shown.kind is TrialKind.SAMPLES and samples:
        return WithoutSamples(tuple(samples))
    if shown is not None and shown.kind in (TrialKind.CLIPNORM, TrialKind.CLIPVALUE):
        return parse(shown.change, incident)
    raise UsageError(
        "--change fix: the fix is neither a diff nor samples to leave out; make it in the script, "
        f"and pass the script with --script: {fix.text:.200}"
    )


def _number(text: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or number <= 0:
        raise UsageError(f"--change {text}: expected a number above 0, as in {KNOWN}")
    return number


def _samples(text: str, value: str) -> tuple[int, ...]:
    parts = value.split(",")
    if not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        raise UsageError(
            f"--change {text}: expected samples counted from 0, as in without-samples=3,7"
        )
    return tuple(map(int, parts))
