"""# divergence

Values grew over many steps until one operation left the range of its dtype: the learning rate,
the initialisation, a recurrence, unscaled inputs or targets.

No single expression is at fault. Each update overshot a little more than the one before, and the
weights, or the activations behind them, grew by a factor each step. The last step only shows
where the range ended. Lower the learning rate, scale inputs and targets to about 1, or clip the
gradient norm from the start; none of these can save the step that failed, because its weights had
grown before it.

## Fails

```python
import keras, numpy as np

x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
model.compile(keras.optimizers.SGD(10.0), "mse")
model.fit(x, x.sum(axis=1), batch_size=8, epochs=20, verbose=0)
```

## Passes

```python
import keras, numpy as np

x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
model.compile(keras.optimizers.SGD(0.1), "mse")
model.fit(x, x.sum(axis=1), batch_size=8, epochs=20, verbose=0)
```
"""

from __future__ import annotations

import numpy as np

from stayfinite.rules import numbers, overflow
from stayfinite.rules.finding import Finding
from stayfinite.trace.evidence import Evidence, as_float

# Trained weights and moving statistics stay within a few orders of magnitude of 1. Beyond this
# they have run away, whatever the network.
_RUNAWAY = 1e6


def match(evidence: Evidence) -> Finding | None:
    """An op overflowed, and the weights that it depends on had run away before the step."""
    found = overflow.match(evidence)
    if found is None or not evidence.ranges:  # no step before this one: nothing has grown
        return None
    weights = [leaf for leaf in evidence.trace.leaves.values() if leaf.role == "weight"]
    arrays = evidence.fetch([leaf.value for leaf in weights])
    sizes = {
        leaf.name: float(np.max(np.abs(as_float(arrays[leaf.value])), initial=0.0))
        for leaf in weights
    }
    name = max(sizes, key=lambda name: sizes[name], default=None)
    if name is None or sizes[name] < _RUNAWAY:
        return None
    return Finding(
        cause="divergence",
        message=f"the training diverged: `{name}` had grown to {numbers.short(sizes[name])}",
        op=found.op,
        detail=f"{found.message}; {found.detail}",
        remedy=(
            "lower the learning rate or scale inputs and targets to about 1, and train again from "
            "the start: the weights of this step had run away before it"
        ),
    )
