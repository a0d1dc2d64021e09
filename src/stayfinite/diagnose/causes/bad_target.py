"""# bad-target

Labels or targets are non-finite or out of range.

A NaN target makes the loss NaN, an infinite one makes it infinite. A class index that is not
below the number of classes gives NaN on JAX where it is looked up (`take`, `take_along_axis`);
labels that count from 1 do so exactly for the last class. In a sparse cross entropy such an index
is silent: its sample has no class and teaches nothing.

## Fails

```python
import keras, numpy as np

x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
y = x.sum(axis=1)
y[37] = np.inf
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(x, y, batch_size=8, shuffle=False, verbose=0)
```

## Passes

```python
import keras, numpy as np

x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
y = x.sum(axis=1)
y[37] = np.inf
x, y = x[np.isfinite(y)], y[np.isfinite(y)]
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(x, y, batch_size=8, shuffle=False, verbose=0)
```
"""

from __future__ import annotations

from stayfinite.diagnose import batch_arrays
from stayfinite.diagnose.evidence import Evidence
from stayfinite.diagnose.finding import Finding


def match(evidence: Evidence) -> Finding | None:
    """A target or a sample weight is non-finite, absurdly large, or a class that is not there."""
    return batch_arrays.match(
        evidence, cause="bad-target", roles=("target", "sample_weight"), noun="target"
    )
