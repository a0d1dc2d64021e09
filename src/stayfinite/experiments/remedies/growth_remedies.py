"""Remedies that could have kept the values of a training small, in the order of the trials."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from stayfinite.diagnose.values import as_float
from stayfinite.experiments.changes import (
    ClipFromStart,
    EarlierRate,
    GrowthRemedy,
    LowerRate,
    NarrowWeights,
    ScaledData,
    UsualRate,
)
from stayfinite.experiments.remedies import initial_values
from stayfinite.experiments.remedies.rates import Rates, source_of_rate
from stayfinite.experiments.remedies.try_remedy import FailureContext
from stayfinite.experiments.rollout import Rollout
from stayfinite.frameworks.change import Arrays, Change, ClipNorm, LearningRate, Settings
from stayfinite.frameworks.snapshots import Snapshot
from stayfinite.frameworks.step import Step
from stayfinite.graph.graph import Graph

# Data of this size are not scaled.
_UNSCALED = 20.0
# Weights with a deviation of this many times the usual one were not initialised in a usual way.
_WIDE = 2.0
# Above this rate even a thousandth of it may be too high.
_HIGH, _USUAL = 1.0, 0.001
# A learning rate that has risen by less is no schedule that rises.
_RISEN = 2.0
_CLIPNORM = 1.0


@dataclass(frozen=True)
class GrowthCandidate:
    """A remedy and its changes: of the first step, and of the data."""

    remedy: GrowthRemedy
    changes: tuple[Change, ...] = ()
    divisors: tuple[tuple[str, float], ...] = ()


def growth_remedies(
    context: FailureContext, start: Step, again: Rollout, snapshot: Snapshot, rates: Rates
) -> Iterator[GrowthCandidate]:
    """The remedies for a growth, those of its reason first.

    Args:
        context: The failing step.
        start: The step from which on they are tried.
        again: What the steps gave as they were.
        snapshot: The state of `start`.
        rates: The learning rates there and at the failing step.
    """
    if rates.risen >= _RISEN:
        yield earlier_rate(context, rates)
    yield from _scalings(context)
    if snapshot.step == 0 or again.num_steps <= 3:
        yield from narrowed(context, start, is_first=snapshot.step == 0)
    subject = context.step.subject
    if subject.fixed_rate is not None:
        return
    yield _lower(10)
    if subject.optimizers:
        yield GrowthCandidate(ClipFromStart(_CLIPNORM), (ClipNorm(_CLIPNORM),))
    yield _lower(100)
    if rates.last > _HIGH:
        usual = Settings({"learning_rate": _USUAL})
        yield GrowthCandidate(UsualRate(_USUAL, rates.last), (usual,))
    else:
        yield _lower(1000)


def earlier_rate(context: FailureContext, rates: Rates) -> GrowthCandidate:
    """The learning rate as it was, which has risen since."""
    change = Arrays(rates.before) if rates.before else Settings({"learning_rate": rates.first})
    source = source_of_rate(context.step.subject.optimizers)
    return GrowthCandidate(EarlierRate(rates.first, rates.last, source), (change,))


def _lower(times: int) -> GrowthCandidate:
    return GrowthCandidate(LowerRate(times), (LearningRate(1.0 / times),))


def _scalings(context: FailureContext) -> Iterator[GrowthCandidate]:
    """Inputs, targets and both divided by their largest magnitude, where that is large."""
    step = context.step
    leaves = step.trace.leaves.values()
    sizes = (context.healthy[-1] if context.healthy else step.batch).magnitudes()
    floats = {leaf.name for leaf in leaves if "float" in step.trace.values[leaf.value].dtype}
    large = {name: size for name, size in sizes.items() if size > _UNSCALED and name in floats}
    inputs, targets = (
        {leaf.name: large[leaf.name] for leaf in leaves if leaf.role == role and leaf.name in large}
        for role in ("input", "target")
    )
    both: tuple[Literal["input", "target"], ...] = ("input", "target")
    if inputs:
        yield _scaling(inputs, both[:1])
    if targets:
        yield _scaling(targets, both[1:])
    if inputs and targets:
        yield _scaling(inputs | targets, both)


def _scaling(
    sizes: dict[str, float], roles: tuple[Literal["input", "target"], ...]
) -> GrowthCandidate:
    remedy = ScaledData(tuple(sizes), roles, max(sizes.values()))
    return GrowthCandidate(remedy, divisors=tuple(sizes.items()))


def narrowed(context: FailureContext, start: Step, *, is_first: bool) -> Iterator[GrowthCandidate]:
    """Kernels with far too wide a deviation, brought to one that keeps the size of values.

    Args:
        context: The failing step.
        start: The step from which on they are tried.
        is_first: Whether `start` has the weights as they were initialised. Later on a kernel may
            have grown that its initializer makes small.
    """
    trace = context.step.trace
    weights = {leaf.name for leaf in trace.leaves.values() if leaf.role == "weight"}
    tables = {leaf.name for leaf in trace.leaves.values() if is_table(trace, leaf.value)}
    smaller: dict[str, np.ndarray] = {}
    for name, array in start.state_arrays().items():
        if name not in weights - tables or array.ndim < 2:
            continue
        usual = math.sqrt(2.0 / initial_values.fan(array.shape))
        deviation = float(as_float(array).std())
        made = None if is_first else initial_values.by_initializer(start, name, array)
        if made is not None and float(as_float(made).std()) <= _WIDE * usual:
            continue
        if deviation > _WIDE * usual:
            smaller[name] = (as_float(array) * (usual / deviation)).astype(array.dtype)
    if smaller:
        names, change = tuple(smaller), Arrays(smaller)
        yield GrowthCandidate(NarrowWeights(names), (change,))
        # A recurrence may still multiply its gradients.
        clipped = NarrowWeights(names, _CLIPNORM)
        yield GrowthCandidate(clipped, (change, ClipNorm(_CLIPNORM)))


def is_table(trace: Graph, value: int) -> bool:
    """Whether rows are taken of `value`, as of the weights of an embedding, also after a cast."""
    casts = [op.results[0] for op in trace.consumers.get(value, ()) if op.name == "cast"]
    return any(
        op.name == "gather" and op.operands[0] == held
        for held in (value, *casts)
        for op in trace.consumers.get(held, ())
    )
