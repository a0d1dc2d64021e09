"""# bad-input

The batch itself holds NaN, infinities or absurd values: uninitialised memory, a failed decode, a
division in the preprocessing.

A single bad sample is enough. It passes through the network into the loss, whose mean carries it
into every gradient. Memory from `numpy.empty` holds whatever was there before: often zeros, at
times numbers like 1e38, at times NaN, which is why such a training fails on a random batch.

The report names the samples. It names their files, too, where the data set can tell: those of
`stayfinite.data`, and any `keras.utils.PyDataset` with a method `files_of(batch_index)` that gives
the path, or paths, of each sample of a batch.

## Fails

```python
import keras, numpy as np

x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
x[37, 2] = np.nan
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(x, np.zeros(64), batch_size=8, shuffle=False, verbose=0)
```

## Passes

```python
import keras, numpy as np

x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
x[37, 2] = np.nan
x = x[np.isfinite(x).all(axis=1)]
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(x, np.zeros(len(x)), batch_size=8, shuffle=False, verbose=0)
```
"""

from __future__ import annotations

from stayfinite.diagnose import batch_arrays
from stayfinite.diagnose.evidence import Evidence
from stayfinite.diagnose.finding import Finding


def match(evidence: Evidence) -> Finding | None:
    """An input of the model is non-finite, absurdly large, or an index out of range."""
    return batch_arrays.match(evidence, cause="bad-input", roles=("input",), noun="input")
