"""A step that begins after statements with an effect of their own, as a step of an environment.

Such a statement cannot be made again: the environment has gone on, and a replay buffer holds what
it gave. So the step begins after it, if what is left gives the loss and gradients of training.
The same holds for a draw from a generator that was not known before, as the one of an object that
is made after the optimizer.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import numpy as np
import torch

from stayfinite.frameworks.frames import all_values_of, values_of
from stayfinite.frameworks.obstacles import Obstacle, WhyNot
from stayfinite.frameworks.recorded_steps import RecordedBatch
from stayfinite.frameworks.step import Outcome
from stayfinite.frameworks.torch import private
from stayfinite.frameworks.torch.engine import StepWatcher
from stayfinite.frameworks.torch.plain.carried import CarriedValues
from stayfinite.frameworks.torch.plain.data import LoopData
from stayfinite.frameworks.torch.plain.loop_body import LoopBody
from stayfinite.frameworks.torch.plain.optimizer import dense_gradient
from stayfinite.frameworks.torch.plain.processes import apart
from stayfinite.frameworks.torch.plain.recorded_data import make_once, measure_lists, tried
from stayfinite.frameworks.torch.plain.sharded import local
from stayfinite.frameworks.torch.plain.steps import StepPlace
from stayfinite.frameworks.torch.plain.subject import TorchLoop

# So many beginnings are tried, each with two runs of the step.
_MAX_TRIED = 5
_MAX_DRAWS = 3


def begun_carried(
    subject: TorchLoop,
    body: LoopBody | None,
    step: RecordedBatch,
    seen: Outcome,
    carried: CarriedValues,
) -> RecordedBatch | None:
    """`step` with the values that it has bound anew, if that makes it the one of training.

    None where it does not: code between two iterations may have changed them.
    """
    data = step.data
    if not carried or not isinstance(data, LoopData) or data.missing is not None:
        return None
    # What the code after an update has bound is to stay. A run shows what the step itself binds.
    subject.remade.carried = run = carried.as_now()
    is_made(subject, data, seen)
    for chosen in dict.fromkeys((carried.bound_by(run), carried)):
        begun = _without_lists(data, chosen.lists)
        subject.remade.carried = chosen
        if body is not None:
            body.begins_with(chosen)
            measure_lists(subject, body, begun)
        if is_made(subject, begun, seen):
            return dataclasses.replace(step, data=begun)
    subject.remade.carried = nothing = CarriedValues(())
    if body is not None:
        body.begins_with(nothing)
    return None


def _without_lists(data: LoopData, lists: frozenset[int]) -> LoopData:
    """The data without batches that are lists which the step takes items from."""
    iterations = []
    for each in data.iterations:
        batch = {name: value for name, value in each.batch.items() if id(value) not in lists}
        values = {name: value for name, value in each.batch.items() if id(value) in lists}
        iterations.append(
            dataclasses.replace(each, values={**each.values, **values}, batch=batch)
            if values
            else each
        )
    if all(old is new for old, new in zip(data.iterations, iterations, strict=True)):
        return data
    return LoopData(tuple(iterations), is_sure=data.is_sure)


def begun_later(
    subject: TorchLoop, body: LoopBody, step: RecordedBatch, place: StepPlace, seen: Outcome
) -> RecordedBatch:
    """`step` from the first statement on that makes it the step of training; else `step` itself.

    So it does where the body binds a name of its header anew: `x = x / 255`.
    If the loop has written into its batch, the first of those is that which writes the same once
    more, as `labels[labels == pad] = -100` does, or one after `x.sub_(mean)`.
    """
    data = step.data
    if not isinstance(data, LoopData) or len(data.iterations) != 1:
        return step
    (iteration,) = data.iterations
    is_written = data.missing == WhyNot(Obstacle.LOOP_WRITES_BATCH)
    if is_written:
        data = LoopData(data.iterations, is_sure=False)
    elif (
        data.missing is not None
        or iteration.draws
        or iteration.taken
        or (data.is_sure and body.loop.bound_in_header(iteration.batch))
    ):
        return step
    if is_made(subject, data, seen):
        return dataclasses.replace(step, data=data) if is_written else step
    wanted = values_of(place.frame, place.loop.wanted)
    beginnings = body.statements.beginnings(place.line)
    beginnings = (sorted(beginnings) if is_written else beginnings)[:_MAX_TRIED]
    drawn = [] if is_written else body.statements.after_calls(place.line)[:_MAX_DRAWS]
    every = all_values_of(place.frame)
    for number, now in [*((n, wanted) for n in beginnings), *((n, every) for n in drawn)]:
        begun: list[LoopData] = []

        def begin(
            number: int = number,
            now: Mapping[str, object] = now,
            begun: list[LoopData] = begun,
        ) -> None:
            with subject.remade.begun(), apart(subject.modules):
                found = body.begin_at(number, data, now)
            begun.extend([] if found is None else [found])

        tried(subject, begin)
        if begun:
            measure_lists(subject, body, begun[0])
            if is_made(subject, begun[0], seen):
                return dataclasses.replace(step, data=begun[0])
            body.begin_first()
    measure_lists(subject, body, data)
    return step


def gradients_by_path(
    subject: TorchLoop, noted: Mapping[int, torch.Tensor] | None = None
) -> dict[str, np.ndarray]:
    """Copies of the gradients of the weights that have one, by the path of the weight.

    Args:
        subject: Has the weights.
        noted: Gradients by the identity of their parameter, in the place of those of now.
    """
    found = {}
    for variable in subject.optimizer.weights:
        parameter = private.tensor_of(variable)
        own = dense_gradient(parameter) if noted is None else noted.get(id(parameter))
        if own is not None:
            found[variable.path] = private.numpy_of(local(own)).copy()
    return found


def is_made(subject: TorchLoop, data: LoopData, seen: Outcome) -> bool:
    """Whether the step on `data` has the gradients of training, `seen`, and its loss."""
    made: dict[str, np.ndarray] = {}
    watcher = StepWatcher()
    make_once(subject, data, watcher, lambda: made.update(gradients_by_path(subject)))
    # Gradients that are NaN throughout are those of many steps.
    if not any(np.isfinite(gradient).any() for gradient in seen.gradients.values()):
        loss = watcher.loss
        if loss is not None and math.isfinite(seen.loss) and _mean_of(loss) != seen.loss:
            return False
    return made.keys() == seen.gradients.keys() and all(
        np.array_equal(made[name], value, equal_nan=True) for name, value in seen.gradients.items()
    )


def _mean_of(loss: torch.Tensor) -> float:
    return float(loss.detach().float().mean())
