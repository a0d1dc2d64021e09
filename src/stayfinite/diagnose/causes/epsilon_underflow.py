"""# epsilon-underflow

A guard epsilon, or the divisor that it protects, vanishes in this dtype.

`1e-8` is 0 in float16, whose smallest number is 6e-8, so `x / (std + 1e-8)` divides by 0 there.
In float32, `1 + 1e-10` is 1: an epsilon has to be at least 1e-7 of what it is added to. And the
derivative of `x / y` divides by the square of y, which is 0 in float32 from y = 1e-23 down.

Choose the epsilon for the dtype (`keras.backend.epsilon()` suits float32; 1e-4 float16), add it
after the subtraction (`1 - p + eps`), or do this part of the step in float32.

## Fails

```python
import keras, numpy as np
from keras import ops

def log_of_rest(y_true, y_pred):
    return -ops.mean(ops.log(1e-10 + 1 - ops.sigmoid(y_pred)))

x = np.linspace(0, 30, 64, dtype="float32")[:, None]
model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
model.compile(keras.optimizers.SGD(1e-9), loss=log_of_rest)
model.fit(x, np.zeros(64), batch_size=8, shuffle=False, verbose=0)
```

## Passes

```python
import keras, numpy as np
from keras import ops

def log_of_rest(y_true, y_pred):
    return -ops.mean(ops.log(1 - ops.sigmoid(y_pred) + 1e-7))

x = np.linspace(0, 30, 64, dtype="float32")[:, None]
model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
model.compile(keras.optimizers.SGD(1e-9), loss=log_of_rest)
model.fit(x, np.zeros(64), batch_size=8, shuffle=False, verbose=0)
```
"""

from __future__ import annotations

import dataclasses

import numpy as np

from stayfinite.diagnose import numbers
from stayfinite.diagnose.causes import division_by_zero, log_of_zero, singular_gradient
from stayfinite.diagnose.evidence import Evidence, as_float
from stayfinite.diagnose.finding import Critical, Finding
from stayfinite.diagnose.guard_epsilon import vanished
from stayfinite.numerics import dtypes
from stayfinite.numerics.dtypes import HALF


def match(evidence: Evidence) -> Finding | None:
    """A pole was met although a guard stands before it, or only because the dtype is narrow."""
    for rule in (division_by_zero, log_of_zero, singular_gradient):
        found = rule.match(evidence)
        if found is not None and found.critical is not None:
            return _unguarded(evidence, found)
    return _square_of_divisor(evidence)


def _unguarded(evidence: Evidence, found: Finding) -> Finding | None:
    assert found.critical is not None
    value = found.critical.value
    at_zero = as_float(evidence.arrays[value]) == 0
    guard = vanished(evidence, value, at_zero)
    words = None if guard is None else guard.words
    dtype = evidence.trace.values[value].dtype
    if words is None and found.cause != "log-of-zero" and dtype in HALF and evidence.finite_wider():
        words = f"a number that float32 can hold is 0 in {dtype}"
    if words is None:
        return None
    return dataclasses.replace(
        found,
        cause="epsilon-underflow",
        message=f"the guard of `{found.op}` vanishes: {words}",
        detail=f"{found.message}; {found.detail}",
    )


def _square_of_divisor(evidence: Evidence) -> Finding | None:
    """A division whose value is finite, and whose derivative divides by the square of 1e-23."""
    op, primal = evidence.op, evidence.primal
    if op is None or primal is None or op.phase != "backward" or primal.name != "divide":
        return None
    divisor = np.abs(as_float(evidence.operand(primal, 1)))
    value = as_float(evidence.results_of(primal))
    dtype = evidence.trace.values[primal.operands[1]].dtype
    tiny = divisor < dtypes.smallest(dtype) ** 0.5
    mask = tiny & (divisor > 0) & np.isfinite(value) if divisor.shape == value.shape else None
    if mask is None or not mask.any():
        return None
    samples = numbers.samples_of(evidence, primal, 1, mask)
    return Finding(
        cause="epsilon-underflow",
        message=(
            f"the divisor {numbers.short(float(divisor[mask].min()))} vanishes when it is squared "
            f"in {dtype}, as the derivative of a division does"
        ),
        op="divide",
        detail=f"its square is below {numbers.short(dtypes.smallest(dtype))}"
        + numbers.count(samples, evidence.trace.num_samples),
        samples=samples,
        critical=Critical(primal.operands[1], samples),
        mechanism="division-by-zero",
        operand=1,
    )
