"""A saved step that has been made again, run with changes."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from stayfinite.errors import UsageError
from stayfinite.experiments.try_change import NotTried, attempt
from stayfinite.frameworks.change import Change, OnState, Unchanged, WithoutSamples
from stayfinite.frameworks.saved_names import names_of
from stayfinite.frameworks.step import Outcome, Step
from stayfinite.frameworks.subject import state_variables
from stayfinite.incident import Phase
from stayfinite.replay.saved_step import SavedStep
from stayfinite.report.replayed import Replayed
from stayfinite.report.wording.obstacles import clause

T = TypeVar("T")


def run_changed(
    make: Callable[[], Step],
    saved: SavedStep,
    changes: Sequence[Change],
    last: Change | None,
    times: int,
) -> Replayed:
    """Run the saved step, with changes.

    Args:
        make: Makes the step of `saved`.
        saved: The step.
        changes: Changes of the step, in this order.
        last: The change with which it is run.
        times: How often it is run.

    Raises:
        UsageError: it cannot be run, or not with a change.
    """
    for change in (*changes, last):
        if isinstance(change, WithoutSamples) and max(change.samples) >= saved.num_samples:
            raise UsageError(
                f"--change without-samples: sample {max(change.samples)} is not in the batch, "
                f"which has samples 0 to {saved.num_samples - 1}"
            )
    step = _required(attempt(make), "the saved step cannot be run on this model")
    for change in changes:
        made = attempt(functools.partial(step.changed, change))
        step = _required(made, "the step cannot be changed so")
    outcomes = []
    for _ in range(times):
        # Another step of the same values, because a step runs once and keeps the result.
        again = step.changed(OnState(step.state))
        outcome = attempt(functools.partial(again.run, last or Unchanged()))
        outcomes.append(_required(outcome, "the saved step cannot be run"))
    finite = tuple(_is_finite(outcome) for outcome in outcomes)
    shown = next((o for o, fine in zip(outcomes, finite, strict=True) if not fine), outcomes[-1])
    return Replayed(shown, _phase(step, shown), finite)


def _required(made: T | NotTried, doing: str) -> T:
    if isinstance(made, NotTried):
        error = "" if made.error is None else f"{made.error}: "
        raise UsageError(f"{doing}: {error}{' '.join(clause(made.message).split())}")
    return made


def _is_finite(outcome: Outcome) -> bool:
    return outcome.finite and not outcome.bad_gradients


def _phase(step: Step, outcome: Outcome) -> Phase | None:
    """The first place, in the order of a step, that holds a non-finite value."""
    if _is_finite(outcome):
        return None
    if any(not _all_finite(array) for array in step.batch.arrays().values()):
        return "data"
    weights, others, _, _ = map(set, names_of(state_variables(step.subject)))
    if any(_is_bad_before(name in weights, array) for name, array in step.state_arrays().items()):
        return "load"
    if not math.isfinite(outcome.loss):
        return "forward"
    if outcome.bad_gradients:
        return "backward"
    return "statistics" if others.issuperset(outcome.bad_state) else "update"


def _is_bad_before(is_weight: bool, array: np.ndarray) -> bool:
    # A statistic of the user's own may hold an infinity on purpose.
    return (
        not _all_finite(array)
        if is_weight
        else bool(array.dtype.kind in "fc" and np.isnan(array).any())
    )


def _all_finite(array: np.ndarray) -> bool:
    return array.dtype.kind not in "fc" or bool(np.isfinite(array).all())
