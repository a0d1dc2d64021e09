"""`bad-weights`: new values in the place of the non-finite ones; was it the initialiser?"""

from __future__ import annotations

import dataclasses

import numpy as np

from stayfinite.diagnose.evidence import as_float
from stayfinite.diagnose.finding import Finding
from stayfinite.diagnose.line_watch import first_bad_line
from stayfinite.experiments.remedies import initial
from stayfinite.experiments.remedies.proof import Past, Proof, fix, tried
from stayfinite.frameworks.change import Arrays
from stayfinite.graph.frames import code_of, span_of
from stayfinite.graph.object_sites import site_of


def prove(past: Past) -> Proof:
    """That the weights, and nothing else, were at fault: with other values training goes on."""
    state = past.step.state_arrays()
    roles = {leaf.name: leaf.role for leaf in past.step.trace.leaves.values()}
    bad = [
        name
        for name, array in state.items()
        if roles.get(name) == "weight" and not np.isfinite(as_float(array)).all()
    ]
    finding = _initialised(past, past.finding, state)
    if not bad:
        return Proof(finding)
    num_new = sum(int((~np.isfinite(as_float(state[name]))).sum()) for name in bad)
    new = Arrays({name: initial.weight(past.step, name, state[name]) for name in bad})
    named = f"`{bad[0]}`" + (f" and {len(bad) - 1} more" if len(bad) > 1 else "")
    values = "value" if num_new == 1 else "values"
    trial, goes_on = tried(past, f"{num_new} new {values} in {named}", new)
    if not goes_on:
        return Proof(finding, None, (trial,))
    text = (
        f"{finding.remedy}: with new values in the place of the {num_new} bad {values} of {named} "
        "this step is finite"
    )
    return Proof(finding, fix("data", text), (trial,))


def _initialised(past: Past, finding: Finding, state: dict[str, np.ndarray]) -> Finding:
    """Says so where the initialiser of the weight gives such values when it is asked again."""
    name = finding.tensor
    if name is None or name not in state:
        return finding
    layer = past.step.subject.layer(name.rpartition("/")[0])
    made = initial.by_initializer(past.step, name, state[name])
    if made is None or np.isfinite(as_float(made)).all():
        return dataclasses.replace(finding, span=None if layer is None else site_of(layer))
    initializer = initial.initializer_of(past.step, name)
    code = code_of(initializer)
    span = first_bad_line(lambda: initializer(state[name].shape, dtype="float32"))
    span = span or (None if code is None else span_of(code)) or site_of(initializer)
    called = getattr(initializer, "__name__", type(initializer).__name__)
    return dataclasses.replace(
        finding,
        message=f"weight `{name}` began non-finite: its initialiser `{called}` gives such values",
        remedy=f"make `{called}` give finite values for the shape {state[name].shape}",
        span=span or finding.span,
    )
