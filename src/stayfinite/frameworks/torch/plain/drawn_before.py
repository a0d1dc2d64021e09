"""A step before which random numbers were drawn after the update of the step before it.

So does the header of a loop that is entered anew, `for rows in torch.randperm(n).split(b)`, a
generator function in it, or a validation. No hook is called where the body begins. But how many
numbers the body draws is known from a run of it, and where the sequence is at its update.
"""

from __future__ import annotations

import dataclasses

from stayfinite.frameworks.recorded_steps import RecordedBatch
from stayfinite.frameworks.torch.engine import StepWatcher
from stayfinite.frameworks.torch.plain.data import LoopData
from stayfinite.frameworks.torch.plain.random_sequences import advanced, is_same_place
from stayfinite.frameworks.torch.plain.randomness import Generators
from stayfinite.frameworks.torch.plain.recorded_data import make_once
from stayfinite.frameworks.torch.plain.subject import TorchLoop


def begun_after_draws(subject: TorchLoop, step: RecordedBatch, now: Generators) -> RecordedBatch:
    """`step` with the generators so much later that its run would end at those of training.

    `step` itself where it ends there, or where that is not known.

    Args:
        subject: Makes the step.
        step: The step.
        now: The generators at its update.
    """
    data = step.data
    if not isinstance(data, LoopData) or data.missing is not None or len(data.iterations) != 1:
        return step
    (iteration,) = data.iterations
    noted = iteration.generators
    if iteration.draws or _are_same(noted, now):
        return step
    end = _after_run(subject, data, noted)
    if end is None or _are_same(end, now):
        return step
    moved = _moved(noted, end, now)
    begun = dataclasses.replace(iteration, generators=moved)
    return dataclasses.replace(step, data=dataclasses.replace(data, iterations=(begun,)))


def _after_run(subject: TorchLoop, data: LoopData, noted: Generators) -> Generators | None:
    """The generators at the update of a run of the step; None where it does not get there."""
    ends: list[Generators] = []
    watcher = StepWatcher()
    watcher.before_update = lambda: ends.append(noted.now())
    make_once(subject, data, watcher)
    return ends[0] if ends else None


def _moved(noted: Generators, end: Generators, now: Generators) -> Generators:
    """`noted` advanced by so many numbers as `now` is after `end`."""

    def own(state: object, after: object, at_update: object) -> object:
        found = None if state is None else advanced(state, after, at_update)
        return state if found is None else found

    present = {id(generator): state for generator, state in now.objects}
    objects = [
        (generator, own(state, after, present.get(id(generator))))
        for (generator, state), (_, after) in zip(noted.objects, end.objects, strict=True)
    ]
    return noted._replace(
        cpu=own(noted.cpu, end.cpu, now.cpu),
        numpy=own(noted.numpy, end.numpy, now.numpy),
        python=own(noted.python, end.python, now.python),
        objects=tuple(objects),
    )


def _are_same(first: Generators, now: Generators) -> bool:
    """Whether the generators of `first` are at the same places in `now`."""
    present = {id(generator): state for generator, state in now.objects}
    pairs = [(first.cpu, now.cpu), (first.numpy, now.numpy), (first.python, now.python)]
    pairs += [(state, present.get(id(generator))) for generator, state in first.objects]
    return all(state is None or is_same_place(state, other) for state, other in pairs)
