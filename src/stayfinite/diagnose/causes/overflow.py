"""# overflow

One operation leaves the range of its dtype on ordinary inputs: `exp`, `power`, `square`, a product.

`exp(x)` is infinite in float32 from x = 88.8 on. A softmax or softplus written by hand,
`log(1 + exp(x))`, works until one activation passes that point; the functions of the library
subtract the maximum first and have no such point.

## Fails

```python
import keras, numpy as np
from keras import ops

def soft_margin(y_true, y_pred):
    return ops.mean(ops.log(1 + ops.exp(y_pred)))

x = np.linspace(0, 120, 64, dtype="float32")[:, None]
model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
model.compile(keras.optimizers.SGD(1e-9), loss=soft_margin)
model.fit(x, np.zeros(64), batch_size=8, shuffle=False, verbose=0)
```

## Passes

```python
import keras, numpy as np
from keras import ops

def soft_margin(y_true, y_pred):
    return ops.mean(ops.softplus(y_pred))

x = np.linspace(0, 120, 64, dtype="float32")[:, None]
model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
model.compile(keras.optimizers.SGD(1e-9), loss=soft_margin)
model.fit(x, np.zeros(64), batch_size=8, shuffle=False, verbose=0)
```
"""

from __future__ import annotations

import numpy as np

from stayfinite.diagnose import numbers
from stayfinite.diagnose.evidence import Evidence, as_float
from stayfinite.diagnose.finding import Critical, Finding
from stayfinite.graph.graph import Op
from stayfinite.numerics import dtypes

# Functions of one number that grow without bound. Any other such function has a pole where it is
# infinite; of several numbers, only a sum or a product that became too large is.
_GROWING = {
    "cast",
    "cosh",
    "cumlogsumexp",
    "cumprod",
    "cumsum",
    "exp",
    "exp2",
    "expm1",
    "logsumexp",
    "mean",
    "norm",
    "power",
    "prod",
    "sinh",
    "square",
    "std",
    "sum",
    "tan",
    "var",
}


def match(evidence: Evidence) -> Finding | None:
    """The root left the range with finite operands, and no pole or singular point did it."""
    op = evidence.op
    if op is None or not op.operands or not numbers.finite_operands(evidence, op):
        return None
    if len(op.operands) == 1 and op.name not in _GROWING:
        return None
    result = as_float(evidence.results_of(op))
    bad = np.isinf(result)
    if not bad.any():
        # Two parts of a sum that are past the range with different signs.
        bad = np.isnan(result)
        if not bad.any() or not _could_overflow(evidence, op):
            return None
    if op.name == "divide" and not as_float(evidence.operand(op, 1))[bad].all():
        return None
    sizes = [float(np.max(np.abs(as_float(evidence.arrays[v])), initial=0)) for v in op.operands]
    position = int(np.argmax(sizes))
    dtype = evidence.trace.values[op.results[0]].dtype
    samples = evidence.samples(op.results[0], bad)
    critical = evidence.operand(op, position)
    # Operands of a product have shapes of their own.
    where = as_float(critical)[bad] if critical.shape == bad.shape else np.ravel(as_float(critical))
    worst = float(where[np.argmax(np.abs(where))])
    return Finding(
        cause="overflow",
        message=f"`{op.name}` of {numbers.short(worst)} leaves the range of {dtype}",
        op=op.name,
        detail=(
            f"{dtype} ends at {numbers.short(dtypes.largest(dtype))}; "
            f"{int(bad.sum())} of {bad.size} results are past it"
            + numbers.count(samples, evidence.trace.num_samples)
        ),
        samples=samples,
        critical=Critical(op.operands[position], samples),
        mechanism="overflow",
        operand=position,
    )


def _could_overflow(evidence: Evidence, op: Op) -> bool:
    """Whether a product of the operands, summed up, could leave the range."""
    dtype = evidence.trace.values[op.results[0]].dtype
    sizes = [np.abs(as_float(evidence.arrays[v])).astype(np.float64) for v in op.operands]
    largest = sorted((float(np.max(size, initial=0.0)) for size in sizes), reverse=True)
    product = largest[0] * (largest[1] if len(largest) > 1 else largest[0])
    return bool(product * max(size.size for size in sizes) > dtypes.largest(dtype))
