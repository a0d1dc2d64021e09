"""# bad-statistics

Moving statistics, as those of a BatchNormalization, are non-finite or negative.

In training such a layer uses the mean and variance of its batch, so the loss is fine while the
moving ones go wrong unseen; they are read when the layer is frozen, in validation, and from the
saved file. A momentum above 1 makes them grow by that factor in each step and may push a variance
below 0; a sum that is kept in float16 ends at 65504; a file that was converted in the wrong order
puts another array in their place.

## Fails

```python
import keras, numpy as np

x = np.random.default_rng(0).normal(size=(256, 4)).astype("float32")
norm = keras.layers.BatchNormalization(momentum=99)
model = keras.Sequential([keras.Input((4,)), norm, keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(x, x.sum(axis=1), batch_size=8, verbose=0)
```

## Passes

```python
import keras, numpy as np

x = np.random.default_rng(0).normal(size=(256, 4)).astype("float32")
norm = keras.layers.BatchNormalization(momentum=0.99)
model = keras.Sequential([keras.Input((4,)), norm, keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(x, x.sum(axis=1), batch_size=8, verbose=0)
```
"""

from __future__ import annotations

import numpy as np

from stayfinite.diagnose import local_causes, numbers
from stayfinite.diagnose.evidence import Evidence, as_float
from stayfinite.diagnose.finding import Finding
from stayfinite.graph.graph import Leaf, Op
from stayfinite.graph.walk import new_state_of

# A root or a logarithm, to which a negative statistic is no number.
_NOT_BELOW_0 = {"sqrt", "rsqrt", "log", "log1p", "log2", "log10", "power"}
# No statistic of data that anything is learnt from is so large.
_RUNAWAY = 1e15


def match(evidence: Evidence) -> Finding | None:
    """A statistic came in bad, is made bad in this step, or is what a layer cannot compute with."""
    leaf, op = evidence.leaf, evidence.op
    if leaf is not None:
        return _came_in(evidence, leaf) if leaf.role == "statistics" else None
    if op is None:
        return None
    if op.phase == "statistics":
        return _made(evidence, op) if evidence.loss_finite else None
    return _read(evidence, op)


def _came_in(evidence: Evidence, leaf: Leaf) -> Finding:
    array = as_float(evidence.arrays[leaf.value])
    bad = ~np.isfinite(array)
    kind = "nan" if np.isnan(array).any() else "inf"
    return Finding(
        cause="bad-statistics",
        message=f"the moving statistic `{leaf.name}` was {kind} before the step",
        op="state",
        detail=f"{int(bad.sum())} of {bad.size} values of `{leaf.name}` are non-finite",
        remedy=f"load or compute `{leaf.name}` with finite values",
        tensor=leaf.name,
        phase="load",
    )


def _made(evidence: Evidence, op: Op) -> Finding:
    bad = evidence.bad(op.results[0])
    kind = "nan" if np.isnan(as_float(evidence.results_of(op))).any() else "inf"
    names = set(_statistics(evidence))
    reached = [name for name in new_state_of(evidence.trace, op.results[0]) if name in names]
    which = f"`{reached[0]}`" if reached else "a moving statistic"
    local = local_causes.match(evidence)
    because = "" if local is None else f": {local.message}"
    mendable = local if local is not None and op.stack else None
    return Finding(
        cause="bad-statistics",
        message=f"{which} became {kind} while the loss was finite{because}",
        op=op.name,
        detail=f"{int(bad.sum())} of {bad.size} results of `{op.name}` are {kind}",
        samples=None if local is None else local.samples,
        critical=None if mendable is None else mendable.critical,
        mechanism=None if mendable is None else mendable.mechanism,
        operand=0 if mendable is None else mendable.operand,
        remedy=f"keep {which} within the range of its dtype" if mendable is None else None,
    )


def _read(evidence: Evidence, op: Op) -> Finding | None:
    """The root is computed from a statistic alone, and that is negative or past all measure."""
    for value in op.operands:
        leaves = evidence.trace.leaves_of(value)
        if not leaves or any(leaf.role != "statistics" for leaf in leaves):
            continue
        arrays = evidence.fetch([leaf.value for leaf in leaves])
        for leaf in leaves:
            array = as_float(arrays[leaf.value])
            negative = op.name in _NOT_BELOW_0 and array.size and float(array.min()) < 0
            if not negative and not float(np.max(np.abs(array), initial=0.0)) > _RUNAWAY:
                continue
            worst = float(array.min()) if negative else float(array.flat[np.abs(array).argmax()])
            count = int((array < 0).sum() if negative else (np.abs(array) > _RUNAWAY).sum())
            said = "negative" if negative else "past all measure"
            return Finding(
                cause="bad-statistics",
                message=(
                    f"the moving statistic `{leaf.name}` was {said} before the step: "
                    f"{numbers.short(worst)}"
                ),
                op=op.name,
                detail=f"{count} of {array.size} values of `{leaf.name}` are {said}",
                remedy=f"load or compute `{leaf.name}` anew",
                tensor=leaf.name,
                phase="forward",
                span=op.span,
            )
    return None


def _statistics(evidence: Evidence) -> list[str]:
    return [leaf.name for leaf in evidence.trace.leaves.values() if leaf.role == "statistics"]
