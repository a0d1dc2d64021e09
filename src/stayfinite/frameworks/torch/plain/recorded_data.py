"""What is recorded of a step, completed for a step that is explained: its data, and its batches."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

from stayfinite.frameworks.recorded_steps import RecordedBatch
from stayfinite.frameworks.step import CannotRemakeError
from stayfinite.frameworks.torch.engine import StepWatcher
from stayfinite.frameworks.torch.plain.data import LoopData
from stayfinite.frameworks.torch.plain.loop_body import LoopBody
from stayfinite.frameworks.torch.plain.step_data import NotedStep
from stayfinite.frameworks.torch.plain.subject import TorchLoop
from stayfinite.frameworks.torch.state import state_of, store
from stayfinite.graph.code_owner import passes_user_code
from stayfinite.strict import caught


def put_together(step: RecordedBatch, body: LoopBody | None) -> RecordedBatch:
    """`step` with its data, if it has notes of it."""
    if not isinstance(step.data, NotedStep):
        return step
    data = step.data.data(None if body is None else body.statements.run_quietly)
    return dataclasses.replace(step, data=data)


def is_known(data: object) -> bool:
    """Whether a step can be made again of `data` without a comparison."""
    return isinstance(data, LoopData) and data.missing is None and data.is_sure


def with_taken_batches(
    subject: TorchLoop, body: LoopBody, steps: list[RecordedBatch]
) -> list[RecordedBatch]:
    """`steps`, the failing one first, with the batches that the body of their loop takes."""
    data = [step.data for step in steps if isinstance(step.data, LoopData)]
    if any(each.iterations and each.iterations[0].taken for each in data):
        return steps  # they are in the draws
    if any(not each.iterations or each.missing is not None for each in data):
        return steps
    if any(len(each.iterations) > 1 and each.iterations[0].draws for each in data):
        return steps
    if body.loop.bound_in_header(data[0].iterations[0].batch):
        return steps
    taken = data

    def take() -> None:
        nonlocal taken
        taken = body.statements.take_batches(
            data, functools.partial(subject.remade.drawing, subject)
        )

    tried(subject, take)  # without it, the data is the whole batch
    return [dataclasses.replace(s, data=d) for s, d in zip(steps, taken, strict=True)]


def measure_lists(subject: TorchLoop, body: LoopBody, data: object) -> None:
    """Find what the step adds to lists of the user, by making it once."""
    if not isinstance(data, LoopData) or data.missing is not None:
        return

    body.measure(data, lambda: make_once(subject, data))


def make_once(
    subject: TorchLoop,
    data: LoopData,
    watcher: StepWatcher | None = None,
    then: Callable[[], object] = lambda: None,
) -> None:
    """Make the step on `data`, without effects, and put the state back, gradients too.

    Args:
        subject: Makes the step.
        data: Its data.
        watcher: Is called for it.
        then: Is called after the step, while its gradients are there.
    """

    def make() -> None:
        with subject.remade.begun(), subject.remade.observed(watcher or StepWatcher()):
            subject.train_step(data)
            then()

    tried(subject, make)


def tried(subject: TorchLoop, run: Callable[[], object]) -> None:
    """Run code of the user, which may not be ready to be run twice, and put the state back."""
    state = state_of(subject)
    try:
        run()
    except CannotRemakeError:
        pass
    except Exception as error:
        if not passes_user_code(error):
            caught("running a part of the step", error)
    store(subject, state)
