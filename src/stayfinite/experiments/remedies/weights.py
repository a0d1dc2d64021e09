"""`bad-weights`: other values in place of the bad ones, and the initializer if it is at fault."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from stayfinite.diagnose.facts.growth import JumpedWeight
from stayfinite.diagnose.facts.inputs import NonFiniteArray
from stayfinite.diagnose.jumps import has_jumped
from stayfinite.diagnose.line_watch import first_bad_line
from stayfinite.diagnose.values import as_float
from stayfinite.experiments.changes import BadInitializer, EarlierWeights, NewWeights
from stayfinite.experiments.remedies import initial_values
from stayfinite.experiments.remedies.try_remedy import FailureContext, RemedySearch, try_remedy
from stayfinite.frameworks.change import Arrays, OnState
from stayfinite.graph.object_sites import site_of
from stayfinite.graph.source import code_of, span_of


def find_remedy(context: FailureContext) -> RemedySearch:
    """Whether the weights alone were at fault: training goes on with other values."""
    facts, state = context.finding.facts, context.step.state_arrays()
    if isinstance(facts, JumpedWeight):
        return _before_jump(context)
    roles = {leaf.name: leaf.role for leaf in context.step.trace.leaves.values()}
    bad = [
        name
        for name, array in state.items()
        if roles.get(name) == "weight" and not np.isfinite(as_float(array)).all()
    ]
    num_values = sum(int((~np.isfinite(as_float(state[name]))).sum()) for name in bad)
    if isinstance(facts, NonFiniteArray) and facts.num_steps is not None:
        for kept in context.snapshots:
            then = context.step.changed(OnState(kept.state)).state_arrays()
            if all(np.isfinite(as_float(then[name])).all() for name in bad):
                new = {name: _in_place_of_bad(state[name], then[name]) for name in bad}
                earlier = EarlierWeights(tuple(bad), num_values, kept.step)
                return RemedySearch().then(try_remedy(context, earlier, Arrays(new)))
    search = _initializer_at_fault(context, state)
    if not bad:
        return search
    initializer = search.at_fault if isinstance(search.at_fault, BadInitializer) else None
    new = {name: initial_values.weight(context.step, name, state[name]) for name in bad}
    remedy = NewWeights(tuple(bad), num_values, initializer)
    return search.then(try_remedy(context, remedy, Arrays(new)))


def _in_place_of_bad(now: np.ndarray, then: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(as_float(now)), now, then)


def _before_jump(context: FailureContext) -> RemedySearch:
    """Whether the elements that jumped were at fault: training goes on with earlier values."""
    name, step = context.finding.tensor, context.step
    layer = None if name is None else step.subject.layer(name.rpartition("/")[0])
    search = RemedySearch(span=None if layer is None else site_of(layer))
    if name is None:
        return search
    now = step.state_arrays()[name]
    for kept in context.snapshots:
        then = step.changed(OnState(kept.state)).state_arrays()[name]
        jumped = has_jumped(as_float(now), as_float(then))
        if jumped.any():  # if not, it had jumped before
            remedy = EarlierWeights((name,), int(jumped.sum()), kept.step)
            new = Arrays({name: np.where(jumped, then, now)})
            return search.then(try_remedy(context, remedy, new))
    return search


def _initializer_at_fault(context: FailureContext, state: Mapping[str, np.ndarray]) -> RemedySearch:
    """The initializer of the weight, if it gives such values when it is called again."""
    name, step = context.finding.tensor, context.step
    if name is None or name not in state:
        return RemedySearch()
    layer = step.subject.layer(name.rpartition("/")[0])
    initializer = initial_values.initializer_of(step, name)
    made = initial_values.by_initializer(step, name, state[name])
    if initializer is None or made is None or np.isfinite(as_float(made)).all():
        return RemedySearch(span=None if layer is None else site_of(layer))
    shape = state[name].shape
    code = code_of(initializer)
    span = first_bad_line(lambda: initializer(shape, dtype="float32"))
    span = span or (None if code is None else span_of(code)) or site_of(initializer)
    called = getattr(initializer, "__name__", type(initializer).__name__)
    return RemedySearch(at_fault=BadInitializer(name, called, tuple(shape)), span=span)
