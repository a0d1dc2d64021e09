"""`bad-update`: the setting of the optimizer at fault, found by trying each with its default.

The gradients stay as they are: only the update is made again, by the optimizer itself.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from stayfinite.diagnose.facts.expressions import OutOfRange
from stayfinite.diagnose.facts.growth import MomentOfNoStep
from stayfinite.diagnose.facts.new_state import BadNewWeights, Reason
from stayfinite.diagnose.line_watch import first_bad_line
from stayfinite.experiments.changes import OptimizerSetting, OptimizerVariable
from stayfinite.experiments.remedies import divergence
from stayfinite.experiments.remedies.rates import (
    line_of_schedule,
    name_of_schedule,
    rate_of,
    schedule_of,
)
from stayfinite.experiments.remedies.try_remedy import FailureContext, RemedySearch, try_remedy
from stayfinite.experiments.try_change import Experiment
from stayfinite.frameworks import optimizers
from stayfinite.frameworks.change import Arrays, Settings
from stayfinite.frameworks.optimizers import Optimizer, PlainOptimizer
from stayfinite.graph.graph import Span
from stayfinite.graph.object_sites import last_setting, site_of
from stayfinite.graph.source import keyword_span
from stayfinite.numerics import dtypes

_RATE = 1e-3
_EPSILON = 1e-8
_EPSILON_OF_HALF = 1e-4
_CLIPS = ("clipnorm", "global_clipnorm")
# Not hyperparameters, or none that makes a number non-finite.
_OTHERS = {"self", "name", "learning_rate", "kwargs", "args", "loss_scale_factor", "dynamic"}


@dataclass(frozen=True)
class _Candidate:
    """A setting to try, and the optimizer that has it."""

    optimizer: Optimizer
    setting: OptimizerSetting


def find_remedy(context: FailureContext) -> RemedySearch:
    """The first setting with whose default the update is finite and training goes on."""
    if isinstance(context.finding.facts, MomentOfNoStep):
        return RemedySearch()  # it has moved the weights already
    span = _line_of_update(context)
    if context.finding.tensor is not None:
        experiment = _try_variable(context, context.finding.tensor)
        return RemedySearch((experiment,), span=span)
    experiments: list[Experiment] = []
    at_fault: _Candidate | None = None
    for candidate in _candidates(context):
        setting = candidate.setting
        experiment = try_remedy(context, setting, Settings(dict(setting.values)))
        if not experiment.finite:
            continue
        experiments.append(experiment)
        if experiment.is_fix:
            at_fault = candidate
            break
        at_fault = at_fault or candidate
    if not any(experiment.is_fix for experiment in experiments) and _is_out_of_range(context):
        # The gradients have grown: the steps before are made with smaller ones.
        grown = divergence.find_remedy(context)
        if grown.proved is not None:
            tried = (*experiments, *grown.experiments)
            return dataclasses.replace(grown, experiments=tried, span=span)
    if at_fault is None:
        return RemedySearch(tuple(experiments), span=span)
    site = site_of(at_fault.optimizer)
    given = None if site is None else keyword_span(site, at_fault.setting.name)
    return RemedySearch(tuple(experiments), at_fault.setting, given or span)


def _is_out_of_range(context: FailureContext) -> bool:
    """Whether the update leaves the range of its dtype."""
    facts = context.finding.facts
    reason = facts.reason if isinstance(facts, BadNewWeights) else None
    return isinstance(reason, Reason) and isinstance(reason.facts, OutOfRange)


def _try_variable(context: FailureContext, name: str) -> Experiment:
    """A variable of the optimizer that came in bad: its rate, or a slot that was written to."""
    is_rate = name.endswith("learning_rate")
    array = context.step.state_arrays()[name]
    value = _RATE if is_rate else 0.0
    given = None if array.ndim else float(array)
    remedy = OptimizerVariable(name, value, given, is_rate)
    return try_remedy(context, remedy, Arrays({name: np.full_like(array, value)}))


def _candidates(context: FailureContext) -> Iterator[_Candidate]:
    for optimizer in context.step.subject.optimizers:
        inner = optimizers.inner_optimizer(optimizer)
        rate = rate_of(inner)
        # Some divide by the rate.
        if rate is not None and (rate == 0 or not math.isfinite(rate)):
            yield _candidate(inner, "learning_rate", rate, learning_rate=_RATE)
        yield from _hyperparameters(inner)
        yield from _larger_epsilon(context, inner)
        if rate is not None and math.isfinite(rate) and abs(rate) > 1.0:
            yield _candidate(inner, "learning_rate", rate, learning_rate=_RATE)
        if any(getattr(v, "constraint", None) for v in optimizers.variables_of(inner)):
            yield _candidate(inner, "constraint", None, constraint=None)


def _larger_epsilon(context: FailureContext, optimizer: Optimizer) -> Iterator[_Candidate]:
    """An epsilon that is not 0 in the dtype of the weights."""
    if not isinstance(optimizer, PlainOptimizer) or optimizer.epsilon is None:
        return
    name, given = optimizer.epsilon
    arrays = context.step.state_arrays()
    kinds = {arrays[weight.path].dtype.name for weight in optimizer.weights}
    if any(given < dtypes.smallest(kind) for kind in kinds):
        larger = _EPSILON_OF_HALF if kinds & set(dtypes.HALF) else _EPSILON
        yield _candidate(optimizer, name, given, **{name: larger})


def _hyperparameters(optimizer: Optimizer) -> Iterator[_Candidate]:
    """Numbers that the constructor takes, and that are not its default."""
    for name, default in _defaults(type(optimizer)).items():
        given = getattr(optimizer, name, default)
        if isinstance(given, bool) or not isinstance(given, int | float) or given == default:
            continue
        if name in _CLIPS:
            yield _candidate(optimizer, name, given, **{name: None})
            yield _candidate(optimizer, name, given, **{name: None, "clipvalue": 0.5})
        else:
            yield _candidate(optimizer, name, given, **{name: default})


def _candidate(
    optimizer: Optimizer, name: str, given: float | None, **values: float | None
) -> _Candidate:
    schedule = schedule_of(optimizer)
    called = None
    if schedule is not None:
        called = name_of_schedule(schedule)
    kind = optimizer.kind if isinstance(optimizer, PlainOptimizer) else type(optimizer).__name__
    setting = OptimizerSetting(kind, name, given, tuple(values.items()), called)
    return _Candidate(optimizer, setting)


def _defaults(kind: type) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for owner in kind.__mro__:
        if "__init__" not in vars(owner) or owner is object:
            continue
        for name, parameter in inspect.signature(vars(owner)["__init__"]).parameters.items():
            numeric = isinstance(parameter.default, int | float | None)
            if name not in _OTHERS and parameter.default is not parameter.empty and numeric:
                found.setdefault(name, parameter.default)
    return found


def _line_of_update(context: FailureContext) -> Span | None:
    """The user's line, where neither the finding nor an op of the graph has one."""
    finding, op = context.finding, context.diagnosis.evidence.op
    if finding.span is not None or (op is not None and op.stack):
        return None
    for optimizer in context.step.subject.optimizers:
        inner = optimizers.inner_optimizer(optimizer)
        rate, span = rate_of(inner), None
        if rate is not None and not math.isfinite(rate):
            schedule = schedule_of(inner)
            span = last_setting(inner) if schedule is None else _line_of_schedule(schedule)
        if span is None and finding.tensor is not None:
            span = site_of(optimizer) or site_of(inner)
        if span is not None:
            return span
    return None


def _line_of_schedule(schedule: Callable[..., object]) -> Span | None:
    """Where the user wrote a schedule: its code, or the line that created a library's."""
    if not hasattr(schedule, "get_config"):
        line = first_bad_line(schedule)
        if line is not None:
            return line
    return line_of_schedule(schedule)
