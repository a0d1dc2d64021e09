"""`bad-update`: loss and gradients are finite, the optimizer's update is not."""

from __future__ import annotations

import numpy as np

from stayfinite.diagnose.elements import kind_of
from stayfinite.diagnose.evidence import Evidence
from stayfinite.diagnose.facts.inputs import NonFiniteArray
from stayfinite.diagnose.facts.new_state import BadNewWeights, GivenGradient, HostNumber
from stayfinite.diagnose.finding import Finding
from stayfinite.graph.graph import Leaf, Op
from stayfinite.graph.walk import new_state_of

# Numbers that the host computed enter an op without a link to what computed them.
_MAX_SCALARS = 200


def match(evidence: Evidence) -> Finding | None:
    """The root is an optimizer variable, or an op of the update on finite gradients."""
    leaf, op = evidence.leaf, evidence.op
    if leaf is not None and leaf.role == "optimizer":
        return _came_in(evidence, leaf)
    if op is None or op.phase != "update" or not evidence.loss_finite:
        return None
    bad = evidence.bad(op.results[0])
    made_by, number = _host_number(evidence, op) or (op, None)
    gradient = _given_gradient(evidence, op)
    # Without a number of the host, why the expression fails is added by `classify`.
    facts = BadNewWeights(
        names=tuple(_variables(evidence, op)),
        kind=kind_of(evidence.results_of(op)),
        function=op.name,
        num_bad=int(bad.sum()),
        size=bad.size,
        reason=number or gradient,
    )
    span = None if number is None else made_by.span
    if number is None and gradient is not None and op.callers:
        span = op.callers[0]  # where the optimizer is given it
    return Finding(cause="bad-update", facts=facts, op=made_by.name, span=span)


def _came_in(evidence: Evidence, leaf: Leaf) -> Finding:
    bad = evidence.bad(leaf.value)
    kind = kind_of(evidence.values[leaf.value])
    return Finding(
        cause="bad-update",
        facts=NonFiniteArray(kind, int(bad.sum()), bad.size),
        op="update",
        tensor=leaf.name,
        phase="update",
    )


def _host_number(evidence: Evidence, op: Op) -> tuple[Op, HostNumber] | None:
    """The op that made a non-finite number which reached `op` through the host."""
    trace = evidence.trace
    constants = (trace.constants.get(value) for value in op.operands)
    given = [c for c in constants if c is not None and c.dtype.kind == "f"]
    if all(np.isfinite(constant).all() for constant in given):
        return None
    scalars = [
        o
        for o in trace.ops[: op.index]
        if o.phase == "update" and trace.values[o.results[0]].shape == ()
    ][-_MAX_SCALARS:]
    values = evidence.values
    values.summarise(v for o in scalars for v in (*o.operands, o.results[0]))
    for scalar in scalars:
        result = values.summary(scalar.results[0])
        if not result.is_finite and all(values.summary(v).is_finite for v in scalar.operands):
            return scalar, HostNumber("nan" if result.has_nan else "inf", scalar.name)
    return None


def _given_gradient(evidence: Evidence, op: Op) -> GivenGradient | None:
    """The bad gradient that no operation of the step computed, if `op` reads it."""
    trace, values = evidence.trace, evidence.values
    from_outside = {v for v in trace.values if v not in trace.producer and v not in trace.leaves}
    read = from_outside.intersection(op.operands)
    gradients = {name: v for name, v in trace.gradients.items() if v in from_outside}
    if not read or not gradients:
        return None
    values.summarise((*read, *gradients.values()))
    bad_shapes = {trace.values[v].shape for v in read if not values.summary(v).is_finite}
    for name, gradient in gradients.items():
        found = values.summary(gradient)
        # The optimizer may make a tensor of the same array once more.
        if not found.is_finite and trace.values[gradient].shape in bad_shapes:
            return GivenGradient(name, "nan" if found.has_nan else "inf")
    return None


def _variables(evidence: Evidence, op: Op) -> list[str]:
    """The weights that the bad values reach, or other state if there is none."""
    names = new_state_of(evidence.trace, op.results[0])
    weights = {leaf.name for leaf in evidence.trace.leaves.values() if leaf.role == "weight"}
    return [name for name in names if name in weights] or names
