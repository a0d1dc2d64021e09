"""`bad-statistics`: the momentum of the layer, statistics that begin anew, a wider dtype."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from stayfinite.diagnose.finding import Finding
from stayfinite.experiments.remedies import initial
from stayfinite.experiments.remedies.proof import Past, Proof, fix, tried
from stayfinite.experiments.rollout import is_good
from stayfinite.frameworks.change import Arrays, Change, LayerSetting, WiderDtype
from stayfinite.graph.downstream import new_state_of
from stayfinite.graph.object_sites import site_of
from stayfinite.incident import Trial

_MOMENTUM = 0.99


def prove(past: Past) -> Proof:
    """The first of: another momentum, statistics as they began, float32; each where it applies."""
    finding, names = past.finding, _names(past)
    layer = past.step.subject.layer(names[0].rpartition("/")[0]) if names else None
    if layer is not None and finding.span is None and past.diagnosis.evidence.op is None:
        finding = dataclasses.replace(finding, span=site_of(layer))
    momentum = getattr(layer, "momentum", None)
    if isinstance(momentum, int | float) and not 0 <= momentum <= 1:
        return _other_momentum(past, finding, names, float(momentum))
    if past.diagnosis.evidence.op is None or finding.tensor is not None:
        return _begun_anew(past, finding, names)
    return _wider(past, finding, names)


def _names(past: Past) -> list[str]:
    """The statistics at fault, with the others of their layers."""
    evidence, finding = past.diagnosis.evidence, past.finding
    all_of_them = _statistics(past)
    if finding.tensor is not None:
        first = [finding.tensor]
    elif evidence.op is not None:
        reached = new_state_of(evidence.trace, evidence.op.results[0])
        first = [name for name in reached if name in all_of_them]
    else:
        first = []
    layers = {name.rpartition("/")[0] for name in first}
    return [*first, *(n for n in all_of_them if n not in first and n.rpartition("/")[0] in layers)]


def _other_momentum(past: Past, finding: Finding, names: list[str], momentum: float) -> Proof:
    path = names[0].rpartition("/")[0]
    finding = dataclasses.replace(
        finding,
        message=(
            f"{finding.message.split(':')[0]}: the momentum of `{path}` is {momentum:g}, and has "
            "to be from 0 to 1"
        ),
    )
    name = f"momentum={_MOMENTUM}, moving statistics begun anew"
    # One constant is often given to many layers.
    layers = {n: n.rpartition("/")[0] for n in _statistics(past)}
    alike = [p for p in dict.fromkeys(layers.values()) if _momentum(past, p) == momentum]
    names = [n for n, own in layers.items() if own in alike]
    others = [LayerSetting(p, "momentum", _MOMENTUM) for p in alike]
    text = f"create `{path}` with a momentum below 1, as {_MOMENTUM}; it is {momentum:g}"
    return _first(past, finding, names, name, text, "setting", *others)


def _momentum(past: Past, path: str) -> Any:
    return getattr(past.step.subject.layer(path), "momentum", None)


def _statistics(past: Past) -> list[str]:
    leaves = past.step.trace.leaves.values()
    return [leaf.name for leaf in leaves if leaf.role == "statistics"]


def _begun_anew(past: Past, finding: Finding, names: list[str]) -> Proof:
    text = (
        f"load or compute the moving statistics anew: with `{names[0]}` as it was created this "
        "step is finite"
    )
    return _first(past, finding, names[:1], "moving statistic begun anew", text, "data")


def _first(
    past: Past, finding: Finding, names: list[str], name: str, text: str, kind: str, *more: Change
) -> Proof:
    state = past.step.state_arrays()
    trial: Trial | None = None
    for values in initial.statistics(past.step, {n: state[n] for n in names}):
        trial, goes_on = tried(past, name, Arrays(values), *more)
        if goes_on:
            proved = fix("setting" if kind == "setting" else "data", text)
            return Proof(finding, proved, (trial,))
    return Proof(finding, None, () if trial is None else (trial,))


def _wider(past: Past, finding: Finding, names: list[str]) -> Proof:
    op, trace = past.diagnosis.evidence.op, past.step.trace
    if op is None or trace.values[op.results[0]].dtype not in ("float16", "bfloat16"):
        return Proof(finding)
    try:
        outcome = past.step.run(WiderDtype())
    except Exception:
        # An op without a float64 form: nothing is shown then.
        return Proof(finding)
    dtype = trace.values[op.results[0]].dtype
    path = names[0].rpartition("/")[0] if names else "the layer"
    text = f'create `{path}` with `dtype="float32"`: past the range of {dtype}, this step is finite'
    finding = dataclasses.replace(
        finding,
        message=f"{finding.message.split(':')[0]}: {dtype} ends at {np.finfo('float16').max:g}"
        if dtype == "float16"
        else finding.message,
    )
    return Proof(finding, fix("setting", text) if is_good(outcome) else None)
