"""# out-of-domain

A function was given a number for which it has no value: `log` or `sqrt` of a negative number,
`arccos` of 1.0000001, a broken power of a negative base, `arctanh` of 1.

Rounding is enough. A variance computed as `mean(x**2) - mean(x)**2` is a difference of two nearly
equal numbers and may come out as -1e-9, whose root is NaN; the cosine of two parallel vectors may
come out just above 1. An activation that is meant to be positive (a variance, a rate) has to be
made so, for instance by `softplus`.

## Fails

```python
import keras, numpy as np
from keras import ops

def spread(y_true, y_pred):
    return ops.mean(ops.sqrt(ops.mean(y_pred, axis=-1)))

x = np.random.default_rng(0).uniform(0.1, 1, size=(64, 4)).astype("float32")
x[37] *= -1
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, kernel_initializer="ones")])
model.compile(keras.optimizers.SGD(1e-6), loss=spread)
model.fit(x, np.zeros(64), batch_size=8, shuffle=False, verbose=0)
```

## Passes

```python
import keras, numpy as np
from keras import ops

def spread(y_true, y_pred):
    return ops.mean(ops.sqrt(ops.maximum(ops.mean(y_pred, axis=-1), 1e-6)))

x = np.random.default_rng(0).uniform(0.1, 1, size=(64, 4)).astype("float32")
x[37] *= -1
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, kernel_initializer="ones")])
model.compile(keras.optimizers.SGD(1e-6), loss=spread)
model.fit(x, np.zeros(64), batch_size=8, shuffle=False, verbose=0)
```
"""

from __future__ import annotations

import numpy as np

from stayfinite.diagnose import domains, numbers
from stayfinite.diagnose.evidence import Evidence, as_float
from stayfinite.diagnose.finding import Critical, Finding, Mechanism
from stayfinite.graph.graph import Op


def match(evidence: Evidence) -> Finding | None:
    """The root is a function of a finite number outside its domain."""
    op = evidence.op
    if op is None or op.phase == "backward" or not numbers.finite_operands(evidence, op):
        return None
    found = _known(evidence, op) or _elementwise(evidence, op)
    if found is None:
        return None
    position, words, mask = found
    value = as_float(evidence.operand(op, position))
    worst = float(value[mask][np.argmax(np.abs(value[mask]))])
    samples = numbers.samples_of(evidence, op, position, mask)
    mechanism: Mechanism = "log-of-zero" if op.name.startswith("log") else "singular-gradient"
    return Finding(
        cause="out-of-domain",
        message=f"`{op.name}` of {numbers.short(worst)}, which is {words}, has no value",
        op=op.name,
        detail=(
            f"{int(mask.sum())} of {mask.size} operands of `{op.name}` are {words}"
            + numbers.count(samples, evidence.trace.num_samples)
        ),
        samples=samples,
        critical=Critical(op.operands[position], samples),
        mechanism=mechanism,
        operand=position,
    )


def _known(evidence: Evidence, op: Op) -> tuple[int, str, np.ndarray] | None:
    operands = [as_float(evidence.operand(op, n)) for n in range(len(op.operands))]
    found = domains.outside(op.name, operands)
    bad = numbers.bad_elements(evidence)
    if found is None or found[2].shape != bad.shape:
        return None
    position, words, mask = found
    mask = mask & bad
    return (position, words, mask) if mask.any() else None


def _elementwise(evidence: Evidence, op: Op) -> tuple[int, str, np.ndarray] | None:
    """Any function of one number that is NaN: nothing but its domain can be the reason."""
    if len(op.operands) != 1:
        return None
    operand = as_float(evidence.arrays[op.operands[0]])
    result = as_float(evidence.results_of(op))
    mask = np.isnan(result)
    if operand.shape != result.shape or not mask.any():
        return None
    return 0, "outside its domain", mask
