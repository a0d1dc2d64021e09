"""What a remedy is proved with, and what comes of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from stayfinite.diagnose.finding import Finding
from stayfinite.diagnose.locate import Diagnosis
from stayfinite.experiments.rollout import goes_on, is_good
from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.change import Change, Unchanged
from stayfinite.frameworks.snapshots import Snapshot
from stayfinite.frameworks.step import Outcome, Step
from stayfinite.incident import Fix, FixKind, Trial

# A remedy is followed for a few steps; a report is not to be waited for.
_SECONDS = 4.0
# The batches differ, so the loss goes up and down. Beyond this it has become worse.
_WORSE = 2.0


@dataclass(frozen=True)
class Past:
    """The failing step, its number, and what was kept from before, newest first.

    The snapshots have the form of the state of the step.
    """

    step: Step
    outcome: Outcome
    diagnosis: Diagnosis
    healthy: Sequence[Batch] = ()
    number: int = 0
    snapshots: Sequence[Snapshot] = ()

    @property
    def finding(self) -> Finding:
        """What the rules say."""
        return self.diagnosis.finding


@dataclass(frozen=True)
class Proof:
    """The finding, in better words where the trials showed more, and the fix if one was proved."""

    finding: Finding
    fix: Fix | None = None
    trials: tuple[Trial, ...] = ()
    because: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def then(self, trial: Trial) -> Proof:
        """With one more trial."""
        return dataclasses.replace(self, trials=(*self.trials, trial))


def tried(past: Past, name: str, *different: Change) -> tuple[Trial, bool]:
    """The failing step with all of `different`, and whether training goes on from there.

    That training goes on is seen in a few more steps: they are finite, and the loss is no worse
    than that of the failing step was, if that was finite.
    """
    try:
        step = past.step
        for change in different:
            step = step.changed(change)
        outcome = step.run(Unchanged())
        if not is_good(outcome):
            return Trial(name, "non-finite", outcome.in_words()), False
        on = goes_on(step, outcome, past.healthy, growth=_WORSE, seconds=_SECONDS)
        return Trial(name, "finite", outcome.in_words()), on
    except Exception as error:
        # A trial is a courtesy: whatever the user's step raises under it must not hide the report.
        detail = f"could not be tried: {type(error).__name__}: {error}"
        return Trial(name, "non-finite", detail), False


def fix(kind: FixKind, text: str) -> Fix:
    """A fix that was proved."""
    return Fix(True, kind, text, None)
