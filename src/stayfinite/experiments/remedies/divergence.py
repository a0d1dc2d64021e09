"""`divergence`: training again from a state of before, with one thing different.

First the steps are made again as they were: only if they fail again does it mean anything that they
do not fail with a remedy. Where more steps lie between than batches were kept, these are gone
through again and again.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Sequence

import numpy as np

from stayfinite.experiments.remedies.against_growth import Remedy, remedies_for
from stayfinite.experiments.remedies.proof import Past, Proof, fix
from stayfinite.experiments.remedies.rates import Rates, rates_of
from stayfinite.experiments.rollout import Course, course
from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.change import Arrays, OnBatch, OnState, Unchanged
from stayfinite.frameworks.snapshots import Snapshot
from stayfinite.frameworks.step import Step
from stayfinite.incident import Outcome as Verdict
from stayfinite.incident import Trial

_MAX_STEPS = 150
# A few steps more than it took to fail, so that a slower growth shows.
_FURTHER = 1.2
_LONGER = 2.0
_FEWEST = 8
_SECONDS = 10.0
# Targets that are data do not change so much within the steps that are kept.
_ALONG = 30.0
# The loss of a batch goes up and down; this much is no growth.
_NOISE = 1.5


def prove(past: Past) -> Proof:
    """The first remedy with which the same steps stay finite and the loss does not grow."""
    until = time.monotonic() + _SECONDS
    batches = _batches(past)
    along = _grown_targets(past)
    if along is not None:
        # What was kept from the end says nothing of a training from the start.
        return Proof(past.finding, because=(along,))
    # The older one first: at the newer the values may have grown already.
    for snapshot in reversed(past.snapshots):
        num_steps = past.number - snapshot.step + 1
        if num_steps > _MAX_STEPS:
            continue
        before = past.step.changed(OnState(snapshot.state))
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
    for remedy in remedies_for(past, start, again, snapshot, rates):
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
    remedy: Remedy,
    batches: list[Batch],
    num_steps: int,
    num_failed: int,
    seconds: float,
) -> tuple[Course, list[float]]:
    """The steps with the remedy, and the loss of each batch before the first of them."""
    step = start
    if remedy.divisors:
        divisors = dict(remedy.divisors)
        batches = [batch.scaled(divisors) for batch in batches]
    for change in remedy.changes:
        step = step.changed(change)
    begun = [step.changed(OnBatch(batch)).run(Unchanged()).loss for batch in batches]
    return course(step, _in_order(batches, num_failed), num_steps, seconds), begun


def _in_order(batches: Sequence[Batch], num_steps: int) -> list[Batch]:
    """The kept batches, turned so that the last one, the failing one, comes at the failing step."""
    first = -num_steps % len(batches)
    return [*batches[first:], *batches[:first]]


def _batches(past: Past) -> list[Batch]:
    """The kept batches of the shape of the failing one, oldest first, that one last.

    On JAX each shape is a program of its own, and it may be the long sequence that makes it grow.
    """
    failing = past.step.batch
    shapes = failing.shapes()
    alike = [batch for batch in reversed(past.healthy) if batch.shapes() == shapes]
    return [*alike, failing]


def _grown_targets(past: Past) -> str | None:
    """Says so where the targets have grown along with the model that they are made from."""
    targets = [leaf.name for leaf in past.step.trace.leaves.values() if leaf.role == "target"]
    if len(past.healthy) < 2:
        return None
    first = past.healthy[-1].magnitudes()
    last = past.step.batch.magnitudes()
    for name in targets:
        if last.get(name, 0.0) > _ALONG * max(first.get(name, 0.0), 1.0):
            return (
                f"`{name}` grew as well, from {first[name]:.4g} to {last[name]:.4g} in "
                f"{len(past.healthy)} steps: targets that the model itself makes follow it"
            )
    return None


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
    noun, verb = ("step", "has") if len(picked) == 1 else ("steps", "have")
    return f"made again, {noun} {steps} {verb} the loss {losses}"
