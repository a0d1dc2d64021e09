"""# half-overflow

An operation leaves the range of float16, which ends at 65504, and would not leave that of float32.

The square of 300 is enough, or the sum of a thousand numbers near 100. Norms, variances, `exp` and
losses belong in float32 also in a model of mixed precision: cast before them, or give the layer
`dtype="float32"`. Overflow in the gradients alone is what loss scaling is for.

## Fails

```python
import keras, numpy as np
from keras import ops

def energy(y_true, y_pred):
    return ops.mean(ops.square(ops.cast(y_pred, "float16")))

x = np.linspace(0, 400, 64, dtype="float32")[:, None]
model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
model.compile(keras.optimizers.SGD(1e-9), loss=energy)
model.fit(x, np.zeros(64), batch_size=8, shuffle=False, verbose=0)
```

## Passes

```python
import keras, numpy as np
from keras import ops

def energy(y_true, y_pred):
    return ops.mean(ops.square(y_pred))

x = np.linspace(0, 400, 64, dtype="float32")[:, None]
model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
model.compile(keras.optimizers.SGD(1e-9), loss=energy)
model.fit(x, np.zeros(64), batch_size=8, shuffle=False, verbose=0)
```
"""

from __future__ import annotations

import dataclasses

import numpy as np

from stayfinite.diagnose import numbers
from stayfinite.diagnose.causes import overflow
from stayfinite.diagnose.evidence import Evidence, as_float
from stayfinite.diagnose.finding import Finding
from stayfinite.diagnose.infinities import first_nan
from stayfinite.graph.graph import Op
from stayfinite.graph.source import numbers_in
from stayfinite.numerics import dtypes
from stayfinite.numerics.dtypes import HALF

_LARGEST_EXPONENT = {"exp": 88.7, "expm1": 88.7, "cosh": 89.4, "sinh": 89.4, "exp2": 127.9}


def match(evidence: Evidence) -> Finding | None:
    """An overflow in half precision that float32 has room for."""
    found, op = overflow.match(evidence), evidence.op
    if op is None:
        return None
    if found is None:
        return _written_beyond(evidence, op)
    dtype = evidence.trace.values[op.results[0]].dtype
    if dtype not in HALF or not _fits_float32(evidence, op):
        return None
    return dataclasses.replace(
        found,
        cause="half-overflow",
        message=f"{found.message}; float32 has room for it",
        mechanism="half-overflow",
        remedy='compute this part in float32: cast before it, or give the layer dtype="float32"',
    )


def _written_beyond(evidence: Evidence, op: Op) -> Finding | None:
    """A number of the code, -1e9 for a mask, that is an infinity in this dtype."""
    number = literal_beyond(evidence, op)
    if number is None:
        return None
    dtype = evidence.trace.values[op.results[0]].dtype
    value = op.results[0]
    nan = first_nan(evidence)
    if nan is not None:
        value = nan.results[0]
    harmed = ~np.isfinite(as_float(evidence.fetch([value])[value]))
    samples = evidence.samples(value, harmed)
    return Finding(
        cause="half-overflow",
        message=f"{numbers.short(number)} leaves the range of {dtype}; float32 has room for it",
        op=op.name,
        detail=f"{dtype} ends at {numbers.short(dtypes.largest(dtype))}",
        samples=samples,
        mechanism="half-overflow",
    )


def literal_beyond(evidence: Evidence, op: Op) -> float | None:
    """The finite number in the expression of `op` that its half-precision dtype cannot hold."""
    dtype = evidence.trace.values[op.results[0]].dtype
    if dtype not in HALF:
        return None
    largest = dtypes.largest(dtype)
    written = numbers_in(op.span)
    return next((n for n in written if largest < abs(n) < dtypes.largest("float32")), None)


def _fits_float32(evidence: Evidence, op: Op) -> bool:
    largest = [float(np.max(as_float(evidence.arrays[v]), initial=0.0)) for v in op.operands]
    if op.name in _LARGEST_EXPONENT:
        return largest[0] < _LARGEST_EXPONENT[op.name]
    if op.name == "power" and len(op.operands) == 2:
        base, exponent = (as_float(evidence.arrays[v]).astype(np.float64) for v in op.operands)
        with np.errstate(all="ignore"):
            powers = np.abs(base) ** exponent
        return bool(np.max(powers, initial=0.0) < dtypes.largest("float32"))
    if op.name in ("cumprod", "prod"):
        return evidence.finite_wider()
    # Sums and products of numbers that float16 holds are far inside the range of float32; the
    # range of bfloat16 is that of float32 itself.
    return bool(max(largest, default=0.0) < dtypes.largest("float32") ** 0.4)
