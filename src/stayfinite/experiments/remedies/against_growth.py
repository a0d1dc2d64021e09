"""What could have kept the values of a training small, in the order in which it is tried."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from stayfinite.diagnose.evidence import as_float
from stayfinite.experiments.remedies import initial
from stayfinite.experiments.remedies.proof import Past
from stayfinite.experiments.remedies.rates import Rates
from stayfinite.experiments.rollout import Course
from stayfinite.frameworks.change import Arrays, Change, ClipNorm, LearningRate, Settings
from stayfinite.frameworks.snapshots import Snapshot
from stayfinite.frameworks.step import Step
from stayfinite.incident import FixKind

# Data of this size are not scaled; a deviation of this many times the usual one is no usual one.
_UNSCALED = 20.0
_WIDE = 2.0
# Beyond this, a thousandth may still be too much.
_HIGH, _USUAL = 1.0, 0.001
# A learning rate that has risen by less is no schedule that rises.
_RISEN = 2.0


@dataclass(frozen=True)
class Remedy:
    """Changes to make to the first of the steps, or data to divide, and how it is advised."""

    name: str
    kind: FixKind
    text: str
    changes: tuple[Change, ...] = ()
    divisors: tuple[tuple[str, float], ...] = ()


def remedies_for(
    past: Past, start: Step, again: Course, snapshot: Snapshot, rates: Rates
) -> Iterator[Remedy]:
    """The remedies for a growth, those that speak of its reason first.

    Args:
        past: The failing step.
        start: The step from which on they are tried.
        again: What the steps gave as they were.
        snapshot: The state of `start`.
        rates: The learning rates there and at the failing step.
    """
    yield from _as_before(rates)
    yield from _scalings(past)
    if snapshot.step == 0 or again.num_steps <= 3:
        yield from _initialisers(past, start)
    yield _slower(10)
    yield Remedy(
        "clipnorm=1",
        "setting",
        "clip the gradients from the start, as with `clipnorm=1.0`",
        (ClipNorm(1.0),),
    )
    yield _slower(100)
    if rates.last > _HIGH:
        yield Remedy(
            f"learning rate {_USUAL}",
            "setting",
            f"lower the learning rate from {rates.last:.4g} to {_USUAL}",
            (Settings({"learning_rate": _USUAL}),),
        )
    else:
        yield _slower(1000)


def _as_before(rates: Rates) -> Iterator[Remedy]:
    """The learning rate as it was, where it has risen since."""
    if rates.risen < _RISEN:
        return
    change = Arrays(rates.before) if rates.before else Settings({"learning_rate": rates.first})
    yield Remedy(
        f"learning rate {rates.first:.4g}",
        "setting",
        f"do not let the learning rate rise: it was {rates.first:.4g} and became {rates.last:.4g}",
        (change,),
    )


def _slower(times: int) -> Remedy:
    text = f"lower the learning rate to 1/{times} of what it is"
    return Remedy(f"learning rate / {times}", "setting", text, (LearningRate(1.0 / times),))


def _scalings(past: Past) -> Iterator[Remedy]:
    """Inputs, targets and both divided by their largest magnitude, where that is large."""
    roles = {leaf.name: leaf.role for leaf in past.step.trace.leaves.values()}
    sizes = (past.healthy[-1] if past.healthy else past.step.batch).magnitudes()
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
        yield Remedy(
            f"{noun or 'inputs and targets'} scaled to 1",
            "data",
            f"scale {named}, which goes up to {top:.4g}, to about 1",
            divisors=tuple(chosen.items()),
        )


def _initialisers(past: Past, start: Step) -> Iterator[Remedy]:
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
        name = "weights initialised as by glorot_uniform"
        text = f"initialise {named} with a smaller deviation, as `glorot_uniform` does"
        yield Remedy(name, "setting", text, (Arrays(narrowed),))
        # A recurrence may still multiply its gradients.
        clipped = (Arrays(narrowed), ClipNorm(1.0))
        text += ", and clip the gradients with `clipnorm=1.0`"
        yield Remedy(f"{name}, clipnorm=1", "setting", text, clipped)
