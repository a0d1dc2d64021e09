"""# bad-weights

Weights were non-finite before the first step: the file they were loaded from, or their
initialiser.

A file written after a training had gone wrong holds NaN in every weight that was trained. It
loads without a word, and the first step shows it. `stayfinite verify FILE` tells beforehand, and
names each bad tensor. A number that was computed once, as the scale 1 / 0 of a constant feature or
the weight of a loss, belongs here, too.

## Fails

```python
import keras, numpy as np

x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
model.layers[0].set_weights([np.full((4, 1), np.nan, "float32"), np.zeros(1, "float32")])
model.compile("sgd", "mse")
model.fit(x, np.zeros(64), batch_size=8, shuffle=False, verbose=0)
```

## Passes

```python
import keras, numpy as np

x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
weights = [np.full((4, 1), np.nan, "float32"), np.zeros(1, "float32")]
if all(np.isfinite(w).all() for w in weights):
    model.layers[0].set_weights(weights)
model.compile("sgd", "mse")
model.fit(x, np.zeros(64), batch_size=8, shuffle=False, verbose=0)
```
"""

from __future__ import annotations

import numpy as np

from stayfinite.diagnose.evidence import Evidence, as_float
from stayfinite.diagnose.finding import Finding
from stayfinite.diagnose.infinities import is_scaled_by_infinity

# A `where` may choose a nan on purpose; nobody computes with one.
_ARITHMETIC = {"add", "divide", "multiply", "subtract"}


def match(evidence: Evidence) -> Finding | None:
    """The root is a weight that came in bad, whether it is trained or frozen, or a number is."""
    leaf = evidence.leaf
    if leaf is None:
        return _number(evidence)
    if leaf.role != "weight":
        return None
    array = as_float(evidence.arrays[leaf.value])
    bad = ~np.isfinite(array)
    kind = "nan" if np.isnan(array).any() else "inf"
    return Finding(
        cause="bad-weights",
        message=f"weight `{leaf.name}` was {kind} before the step",
        op="weight",
        detail=f"{int(bad.sum())} of {bad.size} values of `{leaf.name}` are non-finite",
        remedy=(
            f"load or initialise `{leaf.name}` with finite values; "
            "`stayfinite verify FILE` names the bad tensors of a weights file"
        ),
        tensor=leaf.name,
        phase="load",
    )


def _number(evidence: Evidence) -> Finding | None:
    """A factor that was computed before the training, as a scale of 1 / 0, and is in no weight."""
    op = evidence.op
    if op is None or op.phase != "forward" or op.name not in _ARITHMETIC:
        return None
    written = [
        as_float(evidence.arrays[value])
        for value in op.operands
        if value in evidence.trace.constants
    ]
    nan = any(np.isnan(array).any() for array in written)
    infinite = any(np.isinf(array).any() for array in written)
    if not nan and not (infinite and is_scaled_by_infinity(evidence, op)):
        return None
    kind = "nan" if nan else "inf"
    return Finding(
        cause="bad-weights",
        message=f"a number that `{op.name}` is given, and that is no weight, is {kind}",
        op=op.name,
        detail="it was computed before the training: a division by 0 there looks like this",
        remedy=f"make the number finite where it is computed, before it is given to `{op.name}`",
        phase="load",
    )
