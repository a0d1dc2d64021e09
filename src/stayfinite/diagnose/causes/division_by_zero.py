"""# division-by-zero

`x / 0` or `0 / 0`, also by a norm, a standard deviation or a sum that is 0.

The divisor was computed from data: the norm of an embedding whose units are all 0, the standard
deviation of a constant sample, the sum of a mask that is empty. One such sample is enough, because
the mean over the batch carries it into the loss and from there into every gradient.

## Fails

```python
import keras, numpy as np
from keras import ops

class Normalise(keras.layers.Layer):
    def call(self, x):
        return x / ops.sum(ops.absolute(x), axis=-1, keepdims=True)

x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
x[37] = 0.0
model = keras.Sequential([keras.Input((4,)), Normalise(), keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(x, np.zeros(64), batch_size=8, shuffle=False, verbose=0)
```

## Passes

```python
import keras, numpy as np
from keras import ops

class Normalise(keras.layers.Layer):
    def call(self, x):
        return x / ops.maximum(ops.sum(ops.absolute(x), axis=-1, keepdims=True), 1e-12)

x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
x[37] = 0.0
model = keras.Sequential([keras.Input((4,)), Normalise(), keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(x, np.zeros(64), batch_size=8, shuffle=False, verbose=0)
```
"""

from __future__ import annotations

import numpy as np

from stayfinite.diagnose import numbers
from stayfinite.diagnose.evidence import Evidence, as_float
from stayfinite.diagnose.finding import Critical, Finding
from stayfinite.graph.graph import Op


def match(evidence: Evidence) -> Finding | None:
    """The root divides, and its divisor is 0 where its result is not finite."""
    op = evidence.op
    if op is None or op.phase == "backward":
        return None
    divisor = _divisor(evidence, op)
    if divisor is None:
        return None
    position, array = divisor
    bad = numbers.bad_elements(evidence)
    if array.shape != bad.shape:
        return None
    at_zero = bad & (array == 0)
    if not at_zero.any():
        return None
    samples = numbers.samples_of(evidence, op, position, at_zero)
    result = evidence.results_of(op)
    shown = "0 / 0 is nan" if np.isnan(as_float(result)[at_zero]).any() else "the divisor is 0"
    return Finding(
        cause="division-by-zero",
        message=f"`{op.name}` by 0: {shown}",
        op=op.name,
        detail=(
            f"the divisor is 0 for {int(at_zero.sum())} of {at_zero.size} results"
            + numbers.count(samples, evidence.trace.num_samples)
        ),
        samples=samples,
        critical=Critical(op.operands[position], samples),
        mechanism="division-by-zero",
        operand=position,
    )


def _divisor(evidence: Evidence, op: Op) -> tuple[int, np.ndarray] | None:
    if op.name in ("divide", "mod", "true_divide", "floor_divide"):
        return 1, as_float(evidence.operand(op, 1))
    if op.name in ("rsqrt", "reciprocal"):
        return 0, as_float(evidence.operand(op, 0))
    if op.name == "power":
        return 0, as_float(evidence.operand(op, 0))
    return None
