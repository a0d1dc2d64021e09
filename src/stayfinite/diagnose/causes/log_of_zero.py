"""# log-of-zero

`log` of 0, or of a number that rounded to 0.

A probability that comes out of a softmax or a sigmoid can be smaller than the smallest number of
its dtype; then it is exactly 0 and its logarithm is -inf. Multiplied by a 0 of a one-hot label,
-inf becomes NaN, and the loss with it. An epsilon does not help where it vanishes: in float32,
`1e-10 + 1 - p` is 0 when `p` is 1.

## Fails

```python
import keras, numpy as np
from keras import ops

def cross_entropy(y_true, y_pred):
    return -ops.mean(ops.sum(y_true * ops.log(y_pred), axis=-1))

x = np.linspace(0, 600, 64, dtype="float32")[:, None]
y = np.eye(2, dtype="float32")[np.arange(64) % 2]
model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2, activation="softmax")])
model.layers[0].set_weights([np.array([[1.0, -1.0]], "float32"), np.zeros(2, "float32")])
model.compile(keras.optimizers.SGD(1e-9), loss=cross_entropy)
model.fit(x, y, batch_size=8, shuffle=False, verbose=0)
```

## Passes

```python
import keras, numpy as np

x = np.linspace(0, 600, 64, dtype="float32")[:, None]
y = np.eye(2, dtype="float32")[np.arange(64) % 2]
model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2)])
model.layers[0].set_weights([np.array([[1.0, -1.0]], "float32"), np.zeros(2, "float32")])
model.compile(
    keras.optimizers.SGD(1e-9), loss=keras.losses.CategoricalCrossentropy(from_logits=True)
)
model.fit(x, y, batch_size=8, shuffle=False, verbose=0)
```
"""

from __future__ import annotations

from stayfinite.diagnose import numbers
from stayfinite.diagnose.domains import LOG_POLES
from stayfinite.diagnose.evidence import Evidence, as_float
from stayfinite.diagnose.finding import Critical, Finding


def match(evidence: Evidence) -> Finding | None:
    """The root is a logarithm at its pole."""
    op = evidence.op
    if op is None or op.phase == "backward" or op.name not in LOG_POLES:
        return None
    operand = as_float(evidence.operand(op, 0))
    at_pole = numbers.bad_elements(evidence) & (operand == LOG_POLES[op.name])
    if not at_pole.any():
        return None
    samples = numbers.samples_of(evidence, op, 0, at_pole)
    dtype = evidence.trace.values[op.operands[0]].dtype
    pole = numbers.short(LOG_POLES[op.name])
    return Finding(
        cause="log-of-zero",
        message=f"`{op.name}` of {pole} is -inf",
        op=op.name,
        detail=(
            f"{int(at_pole.sum())} of {at_pole.size} operands are exactly {pole} in {dtype}"
            + numbers.count(samples, evidence.trace.num_samples)
        ),
        samples=samples,
        critical=Critical(op.operands[0], samples),
        mechanism="log-of-zero",
    )
