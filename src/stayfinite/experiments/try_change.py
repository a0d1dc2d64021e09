"""Run a step with one change, and record the result.

The user's code runs under every change, and it may raise anything: that is a result of the trial.
An error raised in this package is a bug; strict mode raises it again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from stayfinite.experiments.changes import TriedChange
from stayfinite.experiments.rollout import Rollout
from stayfinite.frameworks.batch import ChangeError
from stayfinite.frameworks.obstacles import WhyNot
from stayfinite.frameworks.step import Outcome
from stayfinite.repair import RepairError
from stayfinite.strict import caught, is_internal

T = TypeVar("T")


@dataclass(frozen=True)
class NotTried:
    """Why a change could not be tried. `error` names the class of what was raised, if any was."""

    error: str | None
    message: WhyNot | str


@dataclass(frozen=True)
class Experiment:
    """One change that was tried, and its result.

    Args:
        change: What was changed.
        result: What the step gave, or the steps; None where a search ran many.
        finite: Whether training could go on.
        seconds: How long it ran.
        is_fix: Whether it shows the fix.
        reference_loss: The loss of the step with this change in float64, if it was computed.
    """

    change: TriedChange
    result: Outcome | Rollout | NotTried | None
    finite: bool
    seconds: float = 0.0
    is_fix: bool = False
    reference_loss: float | None = None


def attempt(run: Callable[[], T]) -> T | NotTried:
    """What `run` returns, or why it could not be run.

    Args:
        run: Runs the step, or other code of the user, and does nothing else.
    """
    try:
        return run()
    except ChangeError as error:
        return NotTried(None, error.why)
    except RepairError as error:
        return NotTried(None, str(error))
    except Exception as error:
        if is_internal(error):
            caught("a trial", error)
        return NotTried(type(error).__name__, str(error))


def try_change(change: TriedChange, run: Callable[[], Outcome]) -> Experiment:
    """The experiment of `change`: `run` runs the step with it."""
    began = time.perf_counter()
    result = attempt(run)
    finite = not isinstance(result, NotTried) and result.finite
    return Experiment(change, result, finite, time.perf_counter() - began)
