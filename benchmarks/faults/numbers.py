"""Numbers of a running training changed, many trainings in one process.

A fault in the batch, the loss or the gradients is left out under the policy `skip`. One in the
state ends the training under `stop`, and another `fit` goes on from the checkpoints, or is taken
back under `rollback`. What has to be noticed is what the same training without a guard shows: the
first step after which the loss or a number of the state is not finite.
"""

from __future__ import annotations

import random
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import keras

import stayfinite
from benchmarks.faults import network
from benchmarks.faults.changed import OF_BATCH, Injection, Trainings, drawn, is_equal, observed
from benchmarks.faults.files import damaged_checkpoints
from benchmarks.faults.kinds import NumberFault
from benchmarks.faults.result import Result

EVERY = 5


def results(kinds: Sequence[NumberFault], num: int, seed: int) -> Iterator[Result]:
    """The injections of `kinds`, of about `num` of all kinds."""
    warnings.simplefilter("ignore", RuntimeWarning)
    trainings = Trainings()
    for kind in kinds:
        generator = random.Random(f"{seed} {kind.name}")
        for _ in range(max(1, round(kind.share * num / 500))):
            injection = drawn(kind, generator)
            if kind.place in OF_BATCH:
                yield _skipped(trainings, injection)
            elif kind.rolled_back:
                yield _rolled_back(trainings, injection)
            else:
                yield _stopped(trainings, injection)


def _skipped(trainings: Trainings, injection: Injection) -> Result:
    observer, end = observed(trainings, injection)
    batches, faults = trainings.with_fault(injection)
    bad = observer.first_bad
    with tempfile.TemporaryDirectory() as folder:
        guard = stayfinite.Guard("skip", keep=folder)
        trainings.fit(trainings.skip, batches, [*faults, guard])
    noticed = [made.batch for made in guard.interventions]
    expected = end if bad is None else trainings.without(injection.step)
    # Where the harm comes after the faulty batch, that batch has been trained on.
    same = (
        is_equal(network.values(trainings.skip), expected)
        if bad in (None, injection.step)
        else None
    )
    return Result(
        injection.kind.name,
        has_effect=bad is not None,
        noticed=noticed[:1] == ([] if bad is None else [bad]),
        num_late=None if bad is None else bad - injection.step,
        same_bits=same,
        detail=f"step {injection.step}: bad is {bad}, noticed is {noticed}",
    )


def _rolled_back(trainings: Trainings, injection: Injection) -> Result:
    observer, end = observed(trainings, injection)
    batches, faults = trainings.with_fault(injection)
    bad, went_on = observer.first_bad, None
    with tempfile.TemporaryDirectory() as folder:
        guard = stayfinite.Guard("rollback", keep=folder)
        try:
            trainings.fit(trainings.rollback, batches, [*faults, guard])
            noticed = [made.batch for made in guard.interventions]
            went_on = True if noticed else None
        except stayfinite.NonFiniteError as error:
            noticed = [*(made.batch for made in guard.interventions), error.incident.where.batch]
            went_on = False
    return Result(
        injection.kind.name,
        has_effect=bad is not None,
        noticed=noticed == ([] if bad is None else [bad]),
        num_late=None if bad is None else bad - injection.step,
        went_on=went_on,
        same_bits=is_equal(
            network.values(trainings.rollback), end if bad is None else trainings.without(None)
        ),
        detail=f"step {injection.step}: bad is {bad}, noticed is {noticed}",
    )


def _stopped(trainings: Trainings, injection: Injection) -> Result:
    observer, end = observed(trainings, injection)
    batches, faults = trainings.with_fault(injection)
    bad, model = observer.first_bad, trainings.stop
    folder = Path(tempfile.mkdtemp())
    stopped: int | None = None

    def watched() -> list[keras.callbacks.Callback]:
        checkpoint = stayfinite.SafeCheckpoint(folder / "checkpoints", every=EVERY, keep=2)
        return [stayfinite.Guard(keep=folder / "incidents"), checkpoint]

    try:
        trainings.fit(model, batches, [*faults, *watched()])
    except stayfinite.NonFiniteError as error:
        stopped = error.incident.where.batch
    same = is_equal(network.values(model), end if bad is None else observer.before)
    damaged = damaged_checkpoints(folder / "checkpoints")
    # Without those that SafeCheckpoint leaves out, because a bad step came at once after them.
    paths = [p for p in (folder / "checkpoints").glob("step-*") if not (p / "bad-step").exists()]
    saved = [int(path.name.removeprefix("step-")) for path in paths]
    went_on = lost = None
    detail = f"step {injection.step}: bad is {bad}, noticed is {stopped}; {damaged}"
    if stopped is not None:
        try:
            trainings.fit(model, trainings.batches, watched())
            went_on = True
            lost = stopped - max(saved, default=0)
            if not any(injection.step < step for step in saved):
                same = same and is_equal(network.values(model), trainings.without(None))
        except stayfinite.NonFiniteError:
            # A number that is finite still, and already fatal, may be in a checkpoint.
            went_on = False
            detail += f"; checkpoints of steps {saved}"
    shutil.rmtree(folder)
    return Result(
        injection.kind.name,
        has_effect=bad is not None,
        noticed=stopped == bad,
        num_late=None if bad is None else bad - injection.step,
        num_damaged=len(damaged),
        num_lost=lost,
        went_on=went_on,
        same_bits=same,
        detail=detail,
    )
