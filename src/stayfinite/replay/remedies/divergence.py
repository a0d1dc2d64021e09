"""`divergence`: training again from a state of before, with one thing different.

First the steps are made again as they were: only if they fail again does it mean anything that they
do not fail with a remedy. Where more steps lie between than batches were kept, these are gone
through again and again.
"""

from __future__ import annotations

import collections
import dataclasses
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from stayfinite.guard.snapshots import Snapshot
from stayfinite.incident import FixKind, Trial
from stayfinite.incident import Outcome as Verdict
from stayfinite.replay.change import (
    Arrays,
    Batch,
    Change,
    ClipNorm,
    LearningRate,
    Settings,
    State,
    Unchanged,
)
from stayfinite.replay.remedies import initial
from stayfinite.replay.remedies.proof import Past, Proof, fix
from stayfinite.replay.remedies.rates import Rates, rates_of
from stayfinite.replay.several_steps import Course, course
from stayfinite.replay.step import Step
from stayfinite.trace.evidence import as_float

_MAX_STEPS = 150
# A few steps more than it took to fail, so that a slower growth shows.
_FURTHER = 1.2
_LONGER = 2.0
_FEWEST = 8
_SECONDS = 10.0
# Targets that are data do not change so much within the steps that are kept.
_ALONG = 30.0
# A learning rate that has risen by less is no schedule that rises.
_RISEN = 2.0
# Data of this size are not scaled; a deviation of this many times the usual one is no usual one.
_UNSCALED = 20.0
_WIDE = 2.5
# The loss of a batch goes up and down; this much is no growth.
_NOISE = 1.5


@dataclass(frozen=True)
class _Remedy:
    name: str
    kind: FixKind
    text: str
    changes: tuple[Change, ...] = ()
    divisors: tuple[tuple[str, float], ...] = ()


def prove(past: Past) -> Proof:
    """The first remedy with which the same steps stay finite and the loss does not grow."""
    until = time.monotonic() + _SECONDS
    batches = _batches(past)
    along = _grown_targets(past)
    if along is not None:
        # What was kept from the end says nothing of a training from the start.
        return Proof(past.finding, because=(along,))
    for snapshot in past.snapshots:
        num_steps = past.number - snapshot.step + 1
        if num_steps > _MAX_STEPS:
            continue
        before = past.step.changed(State(snapshot.state))
        rates = rates_of(past.step, before)
        # Set from outside, the learning rate is not what it was.
        start = before.changed(Arrays(rates.now)) if rates.now else before
        # The other batches may make it grow more slowly.
        longest = min(_MAX_STEPS, int(_LONGER * num_steps) + _FEWEST)
        again = course(start, _in_order(batches, num_steps), longest, until - time.monotonic())
        if again.finite:
            continue
        return _with(past, start, snapshot, again, batches, rates, until)
    note = "the growth could not be repeated from a state of before, so no remedy was proved"
    return Proof(past.finding, notes=(note,) if past.snapshots else ())


def _with(
    past: Past,
    start: Step,
    snapshot: Snapshot,
    again: Course,
    batches: list[Batch],
    rates: Rates,
    until: float,
) -> Proof:
    num_steps = max(_FEWEST, math.ceil(_FURTHER * again.num_steps))
    proof = Proof(past.finding, because=(_told(again, snapshot.step),))
    for remedy in (*_as_before(rates), *_remedies(past, start, again, snapshot)):
        name = f"{remedy.name}, {num_steps} steps from step {snapshot.step} on"
        remaining = until - time.monotonic()
        if remaining <= 0:
            note = "the time for trials was over before a remedy was proved"
            return dataclasses.replace(proof, notes=(note,))
        try:
            made, begun = _course(start, remedy, batches, num_steps, again.num_steps, remaining)
        except Exception as error:
            # A trial is a courtesy: what the user's step raises must not hide the report.
            detail = f"could not be tried: {type(error).__name__}: {error}"
            proof = proof.then(Trial(name, "non-finite", detail))
            continue
        outcome: Verdict = "finite" if made.finite and made.complete else "non-finite"
        proof = proof.then(Trial(name, outcome, made.in_words()))
        if made.complete and _learns(made, begun):
            text = f"{remedy.text}: {made.num_steps} steps from step {snapshot.step} on are finite"
            return dataclasses.replace(
                proof, fix=fix(remedy.kind, f"{text}, and the loss does not grow")
            )
    return proof


def _course(
    start: Step,
    remedy: _Remedy,
    batches: list[Batch],
    num_steps: int,
    num_failed: int,
    seconds: float,
) -> tuple[Course, list[float]]:
    """The steps with the remedy, and the loss of each batch before the first of them."""
    step = start
    if remedy.divisors:
        divisors = dict(remedy.divisors)
        batches = [Batch(start.scaled(batch.data, divisors)) for batch in batches]
    for change in remedy.changes:
        step = step.changed(change)
    begun = [step.changed(batch).run(Unchanged()).loss for batch in batches]
    return course(step, _in_order(batches, num_failed), num_steps, seconds), begun


def _in_order(batches: Sequence[Batch], num_steps: int) -> list[Batch]:
    """The kept batches, turned so that the last one, the failing one, comes at the failing step."""
    first = -num_steps % len(batches)
    return [*batches[first:], *batches[:first]]


def _batches(past: Past) -> list[Batch]:
    """The kept batches, oldest first, the failing one last; those of other shapes are left out.

    On JAX each shape is a program of its own.
    """
    kept = [*reversed(past.healthy), Batch(past.step.data)]
    shapes = [_shapes(past.step, batch) for batch in kept]
    usual, _ = collections.Counter(shapes).most_common(1)[0]
    return [batch for batch, shape in zip(kept, shapes, strict=True) if shape == usual]


def _shapes(step: Step, batch: Batch) -> tuple[tuple[int, ...], ...]:
    return tuple(step.shapes(batch.data))


def _remedies(past: Past, start: Step, again: Course, snapshot: Snapshot) -> Iterator[_Remedy]:
    yield from _scalings(past)
    if snapshot.step == 0 or again.num_steps <= 3:
        yield from _initialisers(past, start)
    yield _slower(10)
    yield _Remedy(
        "clipnorm=1",
        "setting",
        "clip the gradients from the start, as with `clipnorm=1.0`",
        (ClipNorm(1.0),),
    )
    yield _slower(100)
    yield _slower(1000)


def _as_before(rates: Rates) -> Iterator[_Remedy]:
    """The learning rate as it was, where it has risen since."""
    if rates.risen < _RISEN:
        return
    change = Arrays(rates.before) if rates.before else Settings({"learning_rate": rates.first})
    yield _Remedy(
        f"learning rate {rates.first:.4g}",
        "setting",
        f"do not let the learning rate rise: it was {rates.first:.4g} and became {rates.last:.4g}",
        (change,),
    )


def _slower(times: int) -> _Remedy:
    text = f"lower the learning rate to 1/{times} of what it is"
    return _Remedy(f"learning rate / {times}", "setting", text, (LearningRate(1.0 / times),))


def _scalings(past: Past) -> Iterator[_Remedy]:
    """Inputs, targets and both divided by their largest magnitude, where that is large."""
    roles = {leaf.name: leaf.role for leaf in past.step.trace.leaves.values()}
    sizes = past.step.magnitudes(past.healthy[-1].data if past.healthy else past.step.data)
    floats = {
        leaf.name
        for leaf in past.step.trace.leaves.values()
        if "float" in past.step.trace.values[leaf.value].dtype
    }
    large = {n: s for n, s in sizes.items() if s > _UNSCALED and n in floats}
    inputs = {n: s for n, s in large.items() if roles.get(n) == "input"}
    targets = {n: s for n, s in large.items() if roles.get(n) == "target"}
    for noun, chosen in (("inputs", inputs), ("targets", targets), ("", inputs | targets)):
        if not chosen or (not noun and not (inputs and targets)):
            continue
        named = " and ".join(f"`{name}`" for name in list(chosen)[:2])
        top = max(chosen.values())
        yield _Remedy(
            f"{noun or 'inputs and targets'} scaled to 1",
            "data",
            f"scale {named}, which goes up to {top:.4g}, to about 1",
            divisors=tuple(chosen.items()),
        )


def _grown_targets(past: Past) -> str | None:
    """Says so where the targets have grown along with the model that they are made from."""
    targets = [leaf.name for leaf in past.step.trace.leaves.values() if leaf.role == "target"]
    if len(past.healthy) < 2:
        return None
    first = past.step.magnitudes(past.healthy[-1].data)
    last = past.step.magnitudes(past.step.data)
    for name in targets:
        if last.get(name, 0.0) > _ALONG * max(first.get(name, 0.0), 1.0):
            return (
                f"`{name}` grew as well, from {first[name]:.4g} to {last[name]:.4g} in "
                f"{len(past.healthy)} steps: targets that the model itself makes follow it"
            )
    return None


def _initialisers(past: Past, start: Step) -> Iterator[_Remedy]:
    """Kernels that begin far too wide, brought to the deviation that keeps sizes."""
    state = start.state_arrays()
    roles = {leaf.name: leaf.role for leaf in past.step.trace.leaves.values()}
    narrowed: dict[str, np.ndarray] = {}
    for name, array in state.items():
        if roles.get(name) != "weight" or array.ndim < 2 or "embedding" in name:
            continue
        usual = math.sqrt(2.0 / initial.fan(array.shape))
        deviation = float(as_float(array).std())
        if deviation > _WIDE * usual:
            narrowed[name] = (as_float(array) * (usual / deviation)).astype(array.dtype)
    if narrowed:
        named = f"`{next(iter(narrowed))}`" + (
            f" and {len(narrowed) - 1} more" if len(narrowed) > 1 else ""
        )
        yield _Remedy(
            "weights initialised as by glorot_uniform",
            "setting",
            f"initialise {named} with a smaller deviation, as `glorot_uniform` does",
            (Arrays(narrowed),),
        )


def _learns(made: Course, begun: list[float]) -> bool:
    """Whether all was finite, and the loss at the end is no worse than that of the first weights.

    Args:
        made: The steps.
        begun: The loss of each batch with the weights that the steps began with.
    """
    if not made.finite:
        return False
    ended = made.losses[-len(begun) :]
    first, last = float(np.mean(begun)), float(np.mean(ended))
    # A loss may fall below 0 without end: that is growth, too.
    bounded = abs(min(ended)) <= 100.0 * max(abs(first), 1.0)
    return bounded and last <= first + (_NOISE - 1.0) * abs(first) + 1e-6


def _told(again: Course, first: int) -> str:
    """`made again from step 0 on: loss 2.1, 7e4, 3e9, inf`, of a few of the steps."""
    picked = np.unique(np.linspace(0, again.num_steps - 1, 5).round().astype(int))
    losses = ", ".join(f"{again.losses[number]:.3g}" for number in picked)
    steps = ", ".join(str(first + number) for number in picked)
    return f"made again, steps {steps} have the loss {losses}"
