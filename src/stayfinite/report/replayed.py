"""The result of a replay, as text and as JSON (`stayfinite.replayed/1`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from stayfinite.frameworks.step import Outcome
from stayfinite.incident import Incident, Phase
from stayfinite.report.json import dump
from stayfinite.report.lines import clean_name
from stayfinite.report.wording.trials import outcome_in_words
from stayfinite.report.words import names, step_in_words

SCHEMA = "stayfinite.replayed/1"
_FIRST = 3

Verdict = Literal["finite", "persistent", "transient"]


@dataclass(frozen=True)
class Replayed:
    """What a replay gave.

    Attributes:
        outcome: The result of the first run that was not finite, else of the last run.
        phase: Where the first non-finite value is: in the batch, the state, the loss, a gradient,
            a moving statistic, or other new state. None if the step is finite.
        finite: For each run, whether loss, gradients and new state were finite.
    """

    outcome: Outcome
    phase: Phase | None
    finite: tuple[bool, ...]

    @property
    def verdict(self) -> Verdict:
        """Whether the runs were finite, all bad, or bad at times."""
        if all(self.finite):
            return "finite"
        return "transient" if any(self.finite) else "persistent"

    @property
    def first(self) -> tuple[str, ...]:
        """The first weights with a bad gradient, or, if there is none, the first bad new state."""
        return tuple((self.outcome.bad_gradients or list(self.outcome.bad_state))[:_FIRST])


def replayed_text(incident: Incident, changes: tuple[str, ...], replayed: Replayed) -> str:
    """A few lines, without a line feed at the end."""
    changed = f" with {', '.join(changes)}" if changes else ""
    state = "finite" if all(replayed.finite) else "non-finite"
    lines = [
        f"{step_in_words(incident.where)}{changed}: {state}",
        f"   = {outcome_in_words(replayed.outcome)}",
    ]
    if replayed.phase is not None:
        lines.append(f"   = phase: {replayed.phase}")
    if replayed.first:
        lines.append(f"   = first in {names(replayed.first, most=_FIRST)}")
    if len(replayed.finite) > 1:
        bad = replayed.finite.count(False)
        lines.append(
            f"   = {bad} of {len(replayed.finite)} runs non-finite: {_VERDICTS[replayed.verdict]}"
        )
    return "\n".join(clean_name(line) for line in lines)


_VERDICTS: dict[Verdict, str] = {
    "finite": "finite in each run",
    "persistent": "persistent on this device",
    "transient": "transient on this device",
}


def replayed_json(
    folder: str, incident: Incident, changes: tuple[str, ...], replayed: Replayed
) -> str:
    """The same as data, with a line feed at the end."""
    outcome = replayed.outcome
    data = {
        "schema": SCHEMA,
        "incident": folder,
        "backend": incident.backend,
        "step": incident.where.step,
        "changes": list(changes),
        "finite": all(replayed.finite),
        "phase": replayed.phase,
        "spread": {
            "loss": f"{outcome.loss:.6g}",
            "num_gradients": len(outcome.gradients),
            "num_gradients_nonfinite": len(outcome.bad_gradients),
            "first": list(replayed.first),
        },
        "runs": ["finite" if finite else "non-finite" for finite in replayed.finite],
        "verdict": replayed.verdict,
    }
    return dump(data) + "\n"
