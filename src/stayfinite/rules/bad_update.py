"""# bad-update

Loss and gradients are finite, the optimizer's update is not: a learning rate that is NaN, an
epsilon of 0, a norm that overflows.

The optimizer divides by the root of a running mean of squared gradients. Its epsilon keeps that
divisor above 0 where a weight has never had a gradient; with `epsilon=0` such a weight gets 0 / 0.
A schedule that divides by the step number is NaN or infinite at step 0 in the same way.

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

from stayfinite.rules.finding import Finding
from stayfinite.trace.evidence import Evidence


def match(evidence: Evidence) -> Finding | None:
    """The root is an optimizer variable, or an op of the update on finite gradients."""
    leaf, op = evidence.leaf, evidence.op
    if leaf is not None and leaf.role == "optimizer":
        return Finding(
            cause="bad-update",
            message=f"the optimizer variable `{leaf.name}` was non-finite before the update",
            op="update",
            remedy=f"give the optimizer finite settings; look at `{leaf.name}` first",
            tensor=leaf.name,
            phase="update",
        )
    if op is None or op.phase != "update" or not evidence.loss_finite:
        return None
    bad = evidence.bad(op.results[0])
    return Finding(
        cause="bad-update",
        message=f"`{op.name}` inside the optimizer's update made a non-finite value",
        op=op.name,
        detail=f"{int(bad.sum())} of {bad.size} results of `{op.name}` are non-finite",
        remedy="look at the optimizer's epsilon, learning rate and clipping; gradients were finite",
    )
