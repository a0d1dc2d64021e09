"""# bad-update

Loss and gradients are finite, the optimizer's update is not: a learning rate that is NaN, an
epsilon of 0, a norm that overflows.

The optimizer divides by the root of a running mean of squared gradients. Its epsilon keeps that
divisor above 0 where a weight has never had a gradient; with `epsilon=0` such a weight gets 0 / 0.
A schedule that divides by the step number is NaN or infinite at step 0 in the same way. A norm over
all gradients is 0 where all of them are, and infinite where their squares are; a constraint that
divides by a norm or a sum fails where a column of weights is 0.

Each setting of the optimizer that is not the default is tried with the default, on the same
gradients: the one with which the update is finite is the one at fault.

## Fails

```python
import keras, numpy as np

x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
x[:, 3] = 0.0
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
model.compile(keras.optimizers.Adam(1e-3, epsilon=0.0), "mse")
model.fit(x, x.sum(axis=1), batch_size=8, shuffle=False, verbose=0)
```

## Passes

```python
import keras, numpy as np

x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
x[:, 3] = 0.0
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
model.compile(keras.optimizers.Adam(1e-3), "mse")
model.fit(x, x.sum(axis=1), batch_size=8, shuffle=False, verbose=0)
```
"""

from __future__ import annotations

import numpy as np

from stayfinite.diagnose import local_causes
from stayfinite.diagnose.evidence import Evidence, as_float
from stayfinite.diagnose.finding import Finding
from stayfinite.graph.graph import Op
from stayfinite.graph.walk import new_state_of

# Numbers that the host computed enter an op without a trace of where they came from.
_MAX_SCALARS = 200


def match(evidence: Evidence) -> Finding | None:
    """The root is an optimizer variable, or an op of the update on finite gradients."""
    leaf, op = evidence.leaf, evidence.op
    if leaf is not None and leaf.role == "optimizer":
        array = as_float(evidence.arrays[leaf.value])
        kind = _kind(array)
        return Finding(
            cause="bad-update",
            message=f"`{leaf.name}` of the optimizer was {kind} before the update",
            op="update",
            detail=f"{int((~np.isfinite(array)).sum())} of {array.size} values are {kind}",
            remedy=f"set `{leaf.name}` to a finite value",
            tensor=leaf.name,
            phase="update",
        )
    if op is None or op.phase != "update" or not evidence.loss_finite:
        return None
    scalar = _host_scalar(evidence, op)
    local = local_causes.match(evidence)
    bad = evidence.bad(op.results[0])
    kind = _kind(as_float(evidence.results_of(op)))
    because = f": {local.message}" if local is not None else f" from `{op.name}`"
    detail = f"{int(bad.sum())} of {bad.size} results of `{op.name}` are {kind}"
    if scalar is not None:
        because = f": a number in it is {scalar[1]}, made by `{scalar[0].name}`"
    mendable = local if local is not None and op.stack and scalar is None else None
    return Finding(
        cause="bad-update",
        message=f"the update of {_variables(evidence, op)} is {kind}{because}",
        op=op.name if scalar is None else scalar[0].name,
        detail=detail,
        critical=None if mendable is None else mendable.critical,
        mechanism=None if mendable is None else mendable.mechanism,
        operand=0 if mendable is None else mendable.operand,
        span=None if scalar is None else scalar[0].span,
        remedy=(
            None
            if mendable is not None
            else "look at the epsilon, learning rate and clipping of the optimizer"
        ),
    )


def _host_scalar(evidence: Evidence, op: Op) -> tuple[Op, str] | None:
    """The op that made a non-finite number which came to `op` by way of the host."""
    constants = (evidence.trace.constants.get(value) for value in op.operands)
    given = [c for c in constants if c is not None and c.dtype.kind == "f"]
    if all(np.isfinite(constant).all() for constant in given):
        return None
    trace = evidence.trace
    scalars = [
        o
        for o in trace.ops[: op.index]
        if o.phase == "update" and trace.values[o.results[0]].shape == ()
    ][-_MAX_SCALARS:]
    wanted = dict.fromkeys(v for o in scalars for v in (*o.operands, o.results[0]))
    arrays = evidence.fetch(wanted)
    for candidate in scalars:
        result = as_float(arrays[candidate.results[0]])
        came_in = [as_float(arrays[value]) for value in candidate.operands]
        if not np.isfinite(result).all() and all(np.isfinite(a).all() for a in came_in):
            return candidate, _kind(result)
    return None


def _variables(evidence: Evidence, op: Op) -> str:
    names = new_state_of(evidence.trace, op.results[0])
    weights = {leaf.name for leaf in evidence.trace.leaves.values() if leaf.role == "weight"}
    shown = [name for name in names if name in weights] or names
    if not shown:
        return "the weights"
    more = len(shown) - 1
    return f"`{shown[0]}`" + (f" and {more} more" if more else "")


def _kind(array: np.ndarray) -> str:
    return "nan" if np.isnan(array).any() else "inf"
