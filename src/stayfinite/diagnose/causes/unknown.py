"""# unknown

The step was non-finite and none of the known causes could be shown.

The report still names the first op that made a non-finite value out of finite ones, its operands
and your line. Two things help most: look at the operands' minimum and maximum, and run
`stayfinite explain` on the incident folder, which keeps the batch and the state of the step.

## Fails

```python
import keras, numpy as np
from keras import ops

def marked(y_true, y_pred):
    return ops.mean(ops.where(y_pred > 1, np.nan, y_pred))

x = np.linspace(0, 2, 64, dtype="float32")[:, None]
model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
model.compile(keras.optimizers.SGD(1e-9), loss=marked)
model.fit(x, np.zeros(64), batch_size=8, shuffle=False, verbose=0)
```

## Passes

```python
import keras, numpy as np
from keras import ops

def marked(y_true, y_pred):
    return ops.mean(ops.where(y_pred > 1, 0.0, y_pred))

x = np.linspace(0, 2, 64, dtype="float32")[:, None]
model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
model.compile(keras.optimizers.SGD(1e-9), loss=marked)
model.fit(x, np.zeros(64), batch_size=8, shuffle=False, verbose=0)
```
"""

from __future__ import annotations

import numpy as np

from stayfinite.diagnose.evidence import Evidence
from stayfinite.diagnose.finding import Critical, Finding
from stayfinite.diagnose.numbers import samples_of


def match(evidence: Evidence) -> Finding | None:
    """Always: the first bad op, without a reason."""
    op = evidence.op
    if op is None:
        name = evidence.leaf.name if evidence.leaf else "the step"
        return Finding("unknown", f"`{name}` is non-finite", "", tensor=name)
    bad = evidence.bad(op.results[0])
    samples = samples_of(evidence, op, 0, bad)
    kind = "nan" if np.isnan(evidence.results_of(op)[bad].astype("float64")).any() else "inf"
    finite = "finite operands" if op.operands else "no operands"
    critical = Critical(op.operands[0], samples) if op.operands else None
    return Finding(
        "unknown",
        f"`{op.name}` gave {kind} from {finite}, for a reason that could not be shown",
        op.name,
        detail=f"{int(bad.sum())} of {bad.size} results are {kind}",
        samples=samples,
        critical=critical,
    )
