"""# masked-branch

A branch or element that `where` or a mask throws away is non-finite, and leaks through its
gradient or through `0 * inf`.

`where(x > 0, log(x), 0)` has the right value at 0: the -inf is not taken. Its derivative is
`0 * (1 / x)`, and at 0 that is `0 * inf`, NaN. Both branches are computed, and the gradient of
`where` is a product with 0, not an absence. The cure is the double `where`: give the branch an
argument that is harmless where it will be thrown away.

## Fails

```python
import keras, numpy as np
from keras import ops

def log_where_positive(y_true, y_pred):
    return ops.mean(ops.where(y_pred > 0, ops.log(y_pred), 0.0))

x = np.linspace(1, 2, 64, dtype="float32")[:, None]
x[37] = 0.0
model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
model.layers[0].set_weights([np.ones((1, 1), "float32")])
model.compile(keras.optimizers.SGD(1e-3), loss=log_where_positive)
model.fit(x, np.zeros(64), batch_size=8, shuffle=False, verbose=0)
```

## Passes

```python
import keras, numpy as np
from keras import ops

def log_where_positive(y_true, y_pred):
    positive = y_pred > 0
    return ops.mean(ops.where(positive, ops.log(ops.where(positive, y_pred, 1.0)), 0.0))

x = np.linspace(1, 2, 64, dtype="float32")[:, None]
x[37] = 0.0
model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
model.layers[0].set_weights([np.ones((1, 1), "float32")])
model.compile(keras.optimizers.SGD(1e-3), loss=log_where_positive)
model.fit(x, np.zeros(64), batch_size=8, shuffle=False, verbose=0)
```
"""

from __future__ import annotations

import numpy as np

from stayfinite.diagnose import numbers
from stayfinite.diagnose.causes.half_overflow import literal_beyond
from stayfinite.diagnose.evidence import Evidence, as_float
from stayfinite.diagnose.finding import Critical, Finding
from stayfinite.diagnose.hiding import CHOICES, hidden_by, same_expression
from stayfinite.diagnose.masks import masked_by_product
from stayfinite.graph.graph import Op


def match(evidence: Evidence) -> Finding | None:
    """The forward op at fault is non-finite itself, and something threw that value away."""
    op, primal = evidence.op, evidence.primal
    if op is None or primal is None or literal_beyond(evidence, op) is not None:
        return None
    value = as_float(evidence.results_of(primal))
    bad = ~np.isfinite(value)
    if not bad.any():
        return None
    if op.phase == "backward":
        leaking = numbers.bad_elements(evidence)
        if leaking.shape == bad.shape:
            bad = bad & leaking
        if not bad.any():
            return None
        return _finding(evidence, primal, value, bad, "its gradient leaks")
    hider = hidden_by(evidence, op)
    # A bound or a function that saturates hides an infinity as well, but masks nothing: then the
    # infinity itself is the cause.
    if hider is not None and hider.name in CHOICES and not same_expression(hider, op):
        return _finding(evidence, primal, value, bad, "its gradient leaks")
    if masked_by_product(evidence, op):
        return _finding(evidence, primal, value, bad, "0 * inf is nan")
    return None


def _finding(evidence: Evidence, op: Op, value: np.ndarray, bad: np.ndarray, how: str) -> Finding:
    samples = numbers.samples_of(evidence, op, 0, bad)
    thrown_away = value[bad]
    kind = "nan" if np.isnan(thrown_away).any() else "-inf" if (thrown_away < 0).any() else "inf"
    return Finding(
        cause="masked-branch",
        message=f"`{op.name}` is {kind} where it is masked, and {how}",
        op=op.name,
        detail=(
            f"{int(bad.sum())} of {bad.size} results are {kind} and thrown away"
            + numbers.count(samples, evidence.trace.num_samples)
        ),
        samples=samples,
        critical=Critical(op.operands[0], samples) if op.operands else None,
        mechanism="masked-branch",
        phase="backward" if evidence.loss_finite else None,
    )
