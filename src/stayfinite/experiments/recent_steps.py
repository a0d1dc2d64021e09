"""Loss, and gradients and updates of each layer, of the failing step and of healthy ones before it.

A guarded training keeps only the batches of the last healthy steps, and a state of long before. So
those steps are run again: from a kept state on where it is one of the last steps, else each on the
state before the failing step. The first shows the steps as they were, the second what is different
about the failing batch.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stayfinite.experiments.earlier_state import usable_snapshots
from stayfinite.experiments.try_change import NotTried, attempt
from stayfinite.frameworks import optimizers
from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.change import OnBatch, OnState, Unchanged
from stayfinite.frameworks.snapshots import Snapshot
from stayfinite.frameworks.state import State
from stayfinite.frameworks.step import Step
from stayfinite.numerics.dtypes import widened

# Seconds of all steps together, after which none is begun: a tenth of what the explanation took
# before them, but at least, and at most, so many.
LEAST, MOST = 0.5, 2.0
# Values of learning rate schedules that are computed.
MAX_RATES = 100


@dataclass(frozen=True)
class StepMeasure:
    """One step that was run again.

    Attributes:
        step: Its number in the training.
        loss: Its loss.
        learning_rate: That of the first optimizer; None where it is not known.
        gradients: The L2 norm of the gradient of each layer's weights, in the order of the model.
        updates: The L2 norm of the change of each layer's weights.
    """

    step: int
    loss: float
    learning_rate: float | None
    gradients: Mapping[str, float]
    updates: Mapping[str, float]


@dataclass(frozen=True)
class RecentSteps:
    """Steps that were run again, oldest first; the failing one is the last.

    Attributes:
        steps: The steps.
        in_sequence: Whether each ran on the state after the one before it, as in the training; if
            not, each ran on the state before the failing step.
    """

    steps: tuple[StepMeasure, ...]
    in_sequence: bool


def measure_recent_steps(
    step: Step,
    bad_step: int,
    healthy: Sequence[tuple[int, Batch]],
    snapshots: Sequence[Snapshot],
    explained_in: float,
) -> RecentSteps | None:
    """Run the recent steps again, as many as there is time for; None where that fails.

    Args:
        step: The failing step.
        bad_step: Its number.
        healthy: Number and batch of the steps before, newest first.
        snapshots: Earlier states, newest first.
        explained_in: Seconds that the explanation took so far.
    """
    seconds = min(MOST, max(LEAST, explained_in / 10))
    began = time.monotonic()
    failing = attempt(lambda: _measure(step, bad_step))
    if isinstance(failing, NotTried):
        return None
    each = time.monotonic() - began
    in_time = int(seconds / max(each, 1e-6)) - 1
    first = _first_of_sequence(step, bad_step, healthy, snapshots)
    if first is not None and len(healthy) <= in_time:
        made = attempt(lambda: _sequence(step, first, healthy))
        if not isinstance(made, NotTried):
            return RecentSteps((*made, failing), in_sequence=True)
    measures = [failing]
    for number, batch in healthy:
        if time.monotonic() - began + each > seconds:
            break
        measure = attempt(functools.partial(_measure_on, step, number, batch))
        if isinstance(measure, NotTried):
            break
        measures.append(measure)
    return RecentSteps(tuple(reversed(measures)), in_sequence=False)


def _first_of_sequence(
    step: Step,
    bad_step: int,
    healthy: Sequence[tuple[int, Batch]],
    snapshots: Sequence[Snapshot],
) -> State | None:
    """The kept state from which the batches of `healthy` lead up to the failing step."""
    numbers = [number for number, _ in healthy]
    if not numbers or numbers != list(range(bad_step - 1, bad_step - 1 - len(numbers), -1)):
        return None
    kept = usable_snapshots(step, snapshots)
    return next((each.state for each in kept if each.step == numbers[-1]), None)


def _sequence(step: Step, first: State, healthy: Sequence[tuple[int, Batch]]) -> list[StepMeasure]:
    measures, state = [], first
    for number, batch in reversed(healthy):
        current = step.changed(OnState(state)).changed(OnBatch(batch))
        measures.append(_measure(current, number))
        state = current.after()
    return measures


def _measure_on(step: Step, number: int, batch: Batch) -> StepMeasure:
    return _measure(step.changed(OnBatch(batch)), number)


def _measure(step: Step, number: int) -> StepMeasure:
    # Requested first, so that an eager step is run only once.
    after = step.changed(OnState(step.after())).state_arrays()
    outcome, before = step.run(Unchanged()), step.state_arrays()
    with np.errstate(invalid="ignore"):  # an infinite weight does not change by a number
        changes = {
            name: widened(after[name]) - widened(before[name])
            for name in outcome.gradients
            if name in after and name in before
        }
    rate = learning_rate(step, before)
    gradients = _by_layer(outcome.gradients)
    return StepMeasure(number, outcome.loss, rate, gradients, _by_layer(changes))


def _by_layer(arrays: Mapping[str, np.ndarray]) -> dict[str, float]:
    """The L2 norm over all weights of each layer, by its path."""
    squares: dict[str, float] = {}
    with np.errstate(all="ignore"):
        for name, array in arrays.items():
            layer = name.rpartition("/")[0] or name
            squares[layer] = squares.get(layer, 0.0) + float(
                np.sum(np.square(np.abs(widened(array))))
            )
        return {layer: float(np.sqrt(square)) for layer, square in squares.items()}


def learning_rate(step: Step, state: Mapping[str, np.ndarray], ago: int = 0) -> float | None:
    """The learning rate of the first optimizer in `state`; None where it is not known.

    Args:
        step: A step of the training.
        state: The state of the optimizer, by name.
        ago: So many steps before; this is known of a schedule only.
    """
    if not step.subject.optimizers:
        return None
    held = [array for name, array in state.items() if name.endswith("learning_rate")]
    if held:
        return float(held[0]) if ago == 0 and held[0].size == 1 else None
    schedule = optimizers.schedule_of(step.subject.optimizers[0])
    made = [array for name, array in state.items() if name.endswith("iteration")]
    if schedule is None or not made or made[0].size != 1 or int(made[0]) < ago:
        return None
    rate = attempt(lambda: np.asarray(schedule(int(made[0]) - ago)))
    return None if isinstance(rate, NotTried) else float(rate)


def scheduled_rates(step: Step, bad_step: int, first: int) -> dict[int, float]:
    """The learning rate at up to a hundred steps from `first` to `bad_step`, by a schedule.

    Empty where the optimizer has no schedule: what a callback has set before is not known.
    """
    state = step.state_arrays()
    if first >= bad_step or learning_rate(step, state, 1) is None:
        return {}
    numbers = np.linspace(first, bad_step, min(MAX_RATES, bad_step - first + 1)).astype(int)
    rates = {int(n): learning_rate(step, state, bad_step - int(n)) for n in numbers}
    return {number: rate for number, rate in rates.items() if rate is not None}
