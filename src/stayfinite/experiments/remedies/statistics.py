"""`bad-statistics`: the momentum of the layer, statistics as created, or a wider dtype."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from stayfinite.experiments.changes import NewMomentum, NewStatistics, WiderLayer
from stayfinite.experiments.remedies import initial_values
from stayfinite.experiments.remedies.try_remedy import FailureContext, RemedySearch, try_remedy
from stayfinite.experiments.rollout import is_good
from stayfinite.experiments.try_change import Experiment, try_change
from stayfinite.frameworks.change import Arrays, Change, LayerSetting
from stayfinite.frameworks.step import Outcome
from stayfinite.graph.object_sites import site_of
from stayfinite.graph.walk import new_state_of

_MOMENTUM = 0.99


def find_remedy(context: FailureContext) -> RemedySearch:
    """The first of: another momentum, statistics as created, float32; each where it applies."""
    finding, names = context.finding, _statistics_at_fault(context)
    layer = context.step.subject.layer(names[0].rpartition("/")[0]) if names else None
    op = context.diagnosis.evidence.op
    span = None
    if layer is not None and finding.span is None and op is None:
        span = site_of(layer)
    given = getattr(layer, "momentum", None)
    if isinstance(given, int | float) and not 0 <= given <= 1:
        search = _other_momentum(context, names[0].rpartition("/")[0], float(given))
    elif op is not None and finding.tensor is None:
        search = _wider(context, names)
    elif names:
        search = _as_created(context, lambda fill: NewStatistics(names[0], fill), names[:1])
    else:
        search = RemedySearch()
    return dataclasses.replace(search, span=span)


def _statistics_at_fault(context: FailureContext) -> list[str]:
    """The statistics at fault, with the others of their layers."""
    evidence, finding = context.diagnosis.evidence, context.finding
    all_of_them = _statistics(context)
    if finding.tensor is not None:
        first = [finding.tensor]
    elif evidence.op is not None:
        reached = new_state_of(evidence.trace, evidence.op.results[0])
        first = [name for name in reached if name in all_of_them]
    else:
        first = []
    layers = {name.rpartition("/")[0] for name in first}
    return [*first, *(n for n in all_of_them if n not in first and n.rpartition("/")[0] in layers)]


def _statistics(context: FailureContext) -> list[str]:
    leaves = context.step.trace.leaves.values()
    return [leaf.name for leaf in leaves if leaf.role == "statistics"]


def _other_momentum(context: FailureContext, layer: str, given: float) -> RemedySearch:
    remedy = NewMomentum(layer, given, _MOMENTUM)
    # One constant is often given to many layers.
    layers = {name: name.rpartition("/")[0] for name in _statistics(context)}
    alike = [
        path
        for path in dict.fromkeys(layers.values())
        if getattr(context.step.subject.layer(path), "momentum", None) == given
    ]
    names = [name for name, own in layers.items() if own in alike]
    others = [LayerSetting(path, "momentum", _MOMENTUM) for path in alike]
    return dataclasses.replace(
        _as_created(context, lambda _: remedy, names, *others), at_fault=remedy
    )


def _as_created(
    context: FailureContext,
    remedy_with: Callable[[float | None], NewMomentum | NewStatistics],
    names: list[str],
    *others: Change,
) -> RemedySearch:
    state = context.step.state_arrays()
    tried: tuple[Experiment, ...] = ()
    given = {name: state[name] for name in names}
    for values, fill in initial_values.statistics(context.step, given):
        tried = (try_remedy(context, remedy_with(fill), Arrays(values), *others),)
        if tried[0].is_fix:
            break
    return RemedySearch(tried)


def _wider(context: FailureContext, names: list[str]) -> RemedySearch:
    """The failing step in float64, as a trial of the layer in float32."""
    op, trace = context.diagnosis.evidence.op, context.step.trace
    dtype = None if op is None else trace.values[op.results[0]].dtype
    if dtype not in ("float16", "bfloat16"):
        return RemedySearch()
    remedy = WiderLayer(names[0].rpartition("/")[0] if names else None, dtype)
    tried = try_change(remedy, lambda: context.wider.outcome)
    good = isinstance(tried.result, Outcome) and is_good(tried.result)
    return RemedySearch((dataclasses.replace(tried, is_fix=good),), at_fault=remedy)
