"""What is at fault is code of a library: other arguments, dtypes or padding are tried.

The user cannot edit that code. Its arguments are what reports of users of transformers and TRL
found: transformers#32390 and #33333 (rows without a key), #9295 (float16 of a bfloat16 model),
trl#3015 (KL of RL losses).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass

from stayfinite.diagnose.facts.expressions import MaskOutOfRange
from stayfinite.experiments.changes import (
    BoundedWeight,
    LibraryRemedy,
    OtherHalf,
    OtherLibrarySetting,
)
from stayfinite.experiments.comparison import alike_loss, half_dtype
from stayfinite.experiments.remedies import padding
from stayfinite.experiments.remedies.try_remedy import FailureContext, try_remedy
from stayfinite.experiments.rollout import is_good
from stayfinite.experiments.time_limit import TimeLimit
from stayfinite.experiments.try_change import Experiment, NotTried, attempt, try_change
from stayfinite.frameworks.change import (
    Arrays,
    Change,
    HalfAs,
    OtherSetting,
    Unchanged,
    WiderDtype,
)
from stayfinite.frameworks.library_setting import LibrarySetting, SettingValue
from stayfinite.frameworks.step import Outcome

# Seconds of the whole search; a candidate that has begun is not interrupted.
_SECONDS = 20.0
# The implementation of PyTorch, which gives 0 for a query without a key.
_SAFE_ATTENTION = "sdpa"
# What configs of transformers have for most models.
_USUAL_EPSILON = 1e-6
# The bound of the temperature with which CLIP was trained: a factor of 100.
_LARGEST_SCALE = math.log(100.0)
# A coefficient of the loss at its default is tried at this part of it.
_SMALLER = 0.1
_COEFFICIENT = "beta"
# Another dtype may move the loss of the step by so much, relative to that of float64.
_NEAR = 0.05

_OF_ATTENTION = ("fully-masked-row",)
_OF_EPSILON = ("division-by-zero", "epsilon-underflow", "singular-gradient", "out-of-domain")


@dataclass(frozen=True)
class _LibraryCandidate:
    remedy: LibraryRemedy
    change: Change


def is_of_library(context: FailureContext) -> bool:
    """Whether the line at fault is of an installed library of models or losses."""
    op = context.diagnosis.evidence.forward_op
    if op is None or context.finding.tensor is not None:
        return False
    # Else a module of PyTorch inside a model of a library.
    is_module = not op.stack and bool(context.step.subject.library_settings())
    return op.library is not None or is_module


def experiments(context: FailureContext) -> tuple[Experiment, ...]:
    """Each candidate until one is the fix; of those after it, whether the step is finite."""
    limit = TimeLimit(_SECONDS)
    made: list[Experiment] = []
    is_fixed = False
    for candidate in _candidates(context):
        if made and limit.is_over:
            break
        if is_fixed and isinstance(candidate.remedy, OtherLibrarySetting):
            continue
        tried = _once(context, candidate) if is_fixed else _try(context, candidate)
        is_fixed = is_fixed or tried.is_fix
        # Of the many arguments of a trainer, those without effect are not worth a line.
        is_argument = isinstance(candidate.change, OtherSetting) and candidate.change.setting.kind
        if tried.finite or is_argument != "trainer":
            made.append(tried)
    return tuple(made)


def _once(context: FailureContext, candidate: _LibraryCandidate) -> Experiment:
    step, change = context.step, candidate.change
    return try_change(candidate.remedy, lambda: step.changed(change).run(Unchanged()))


def _try(context: FailureContext, candidate: _LibraryCandidate) -> Experiment:
    """The candidate; the fix if training goes on, with the loss that float64 has."""
    tried = try_remedy(context, candidate.remedy, candidate.change)
    if not tried.is_fix or not isinstance(tried.result, Outcome):
        return tried
    reference = _reference(context, candidate)
    if reference is None:
        return tried
    is_near = alike_loss(reference, tried.result.loss, _NEAR)
    return dataclasses.replace(tried, is_fix=is_near, reference_loss=reference)


def _reference(context: FailureContext, candidate: _LibraryCandidate) -> float | None:
    """The loss in float64: of the step, where only its dtype is changed, else with the change."""

    def run() -> Outcome:
        if isinstance(candidate.change, HalfAs):
            return context.wider.outcome
        return context.step.changed(candidate.change).run(WiderDtype())

    outcome = attempt(run)
    return None if isinstance(outcome, NotTried) or not is_good(outcome) else outcome.loss


def _candidates(context: FailureContext) -> Iterator[_LibraryCandidate]:
    settings = context.step.subject.library_settings()
    finding = context.finding
    if finding.cause in _OF_ATTENTION or isinstance(finding.facts, MaskOutOfRange):
        for setting in settings:
            if setting.kind == "attention" and setting.value != _SAFE_ATTENTION:
                yield _with(setting, _SAFE_ATTENTION)
        for remedy, change in padding.candidates(context.step.batch):
            yield _LibraryCandidate(remedy, change)
    yield from _dtypes(context)
    yield from _bounded_weights(context)
    if finding.cause in _OF_EPSILON:
        for setting in settings:
            given = setting.value
            if setting.kind == "module" and isinstance(given, float) and given < _USUAL_EPSILON:
                yield _with(setting, _USUAL_EPSILON)
    for setting in settings:
        if setting.kind == "trainer":
            yield from _argument(setting)


def _with(setting: LibrarySetting, value: SettingValue) -> _LibraryCandidate:
    return _LibraryCandidate(OtherLibrarySetting(setting, value), OtherSetting(setting, value))


def _argument(setting: LibrarySetting) -> Iterator[_LibraryCandidate]:
    """An argument of a trainer with its default; the coefficient of its loss with less, too."""
    value = setting.value
    if value != setting.default:
        yield _with(setting, setting.default)
    if setting.name == _COEFFICIENT and isinstance(value, int | float) and value:
        yield _with(setting, value * _SMALLER)


def _dtypes(context: FailureContext) -> Iterator[_LibraryCandidate]:
    half = half_dtype(context.step)
    if half is None:
        return
    trace = context.step.trace
    weights = [leaf.value for leaf in trace.leaves.values() if leaf.role == "weight"]
    of_weights = any(trace.values[value].dtype == half for value in weights)
    if half == "float16":
        yield _LibraryCandidate(OtherHalf(half, "bfloat16", of_weights), HalfAs("bfloat16"))
    yield _LibraryCandidate(OtherHalf(half, "float32", of_weights), HalfAs("float32"))


def _bounded_weights(context: FailureContext) -> Iterator[_LibraryCandidate]:
    """Weights of one element whose exponential is taken, as the temperature of CLIP."""
    trace = context.step.trace
    for op in trace.ops:
        leaf = trace.leaves.get(op.operands[0]) if op.name == "exp" and op.operands else None
        if leaf is None or leaf.role != "weight":
            continue
        array = context.step.state_arrays()[leaf.name]
        if array.size == 1 and float(array.item()) > _LARGEST_SCALE:
            given = float(array.item())
            bounded = array * 0 + array.dtype.type(_LARGEST_SCALE)
            remedy = BoundedWeight(leaf.name, given, _LARGEST_SCALE)
            yield _LibraryCandidate(remedy, Arrays({leaf.name: bounded}))
