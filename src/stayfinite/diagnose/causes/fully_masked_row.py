"""# fully-masked-row

A softmax, or a logsumexp, over a row that is all -inf.

A mask sets scores to -inf so that softmax gives them the weight 0. In a row where everything is
masked (an empty sequence, a query of padding, a node without neighbours) no score is left: the
maximum is -inf, `-inf - -inf` is NaN, or a sum of exponentials that are all 0 is divided by.

Give such a row something to look at (let each query see itself), mask with a large negative number
that is finite, or replace the row before the softmax and throw it away after it.

## Fails

```python
import keras, numpy as np
from keras import ops

def attention(x):
    scores = ops.where(x > 0, x, -np.inf)
    return ops.softmax(scores) * x

x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
x[37] = -1
model = keras.Sequential([keras.Input((4,)), keras.layers.Lambda(attention, output_shape=(4,)),
                          keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(x, np.zeros(64), batch_size=8, shuffle=False, verbose=0)
```

## Passes

```python
import keras, numpy as np
from keras import ops

def attention(x):
    scores = ops.where(x > 0, x, -1e9)
    return ops.softmax(scores) * x

x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
x[37] = -1
model = keras.Sequential([keras.Input((4,)), keras.layers.Lambda(attention, output_shape=(4,)),
                          keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(x, np.zeros(64), batch_size=8, shuffle=False, verbose=0)
```
"""

from __future__ import annotations

import numpy as np

from stayfinite.diagnose import numbers
from stayfinite.diagnose.evidence import Evidence, as_float
from stayfinite.diagnose.finding import Critical, Finding
from stayfinite.graph.graph import Op
from stayfinite.graph.walk import STRUCTURAL, unwrapped, upstream
from stayfinite.numerics.dtypes import HALF

_FUSED = {"softmax", "log_softmax", "logsumexp", "softmax_cross_entropy_with_logits"}
_NEAR = 10
# So many ops a stable logsumexp may consist of.
_REDUCTION = 40


def match(evidence: Evidence) -> Finding | None:
    """The op at fault is part of a softmax or logsumexp, and a whole row of its scores is -inf."""
    op = evidence.op
    if op is None:
        return None
    scores = _scores(evidence, op)
    if scores is None:
        return None
    value, masked = scores
    rows = _rows(evidence, value, masked) or evidence.samples(
        op.results[0], evidence.bad(op.results[0])
    )
    dtype = evidence.trace.values[value].dtype
    by_range = dtype in HALF and evidence.finite_wider()
    name = (evidence.primal or op).name
    return Finding(
        cause="half-overflow" if by_range else "fully-masked-row",
        message=(
            f"a mask that is finite in float32 is -inf in {dtype}, and fills a row"
            if by_range
            else f"`{name}` over a row that is all -inf"
        ),
        op=name,
        detail="every score of a row is masked" + numbers.count(rows, evidence.trace.num_samples),
        samples=rows,
        critical=Critical(value, rows),
        mechanism="fully-masked-row",
    )


def _scores(evidence: Evidence, op: Op) -> tuple[int, np.ndarray] | None:
    """The value that holds the scores, and the mask of its rows that are -inf."""
    if op.name in _FUSED and op.operands:
        return _all_masked(evidence, op.operands[0])
    if op.name == "subtract" and len(op.operands) == 2:
        return _minus_maximum(evidence, op)
    if op.name in ("divide", "log"):
        return _of_exponentials(evidence, op)
    return None


def _minus_maximum(evidence: Evidence, op: Op) -> tuple[int, np.ndarray] | None:
    """Scores less their own maximum, or logsumexp, both of which are -inf."""
    scores, subtracted = op.operands
    left, right = (as_float(evidence.operand(op, position)) for position in (0, 1))
    both = np.isneginf(left) & np.isneginf(right)
    if not both.any() or both.shape != left.shape:
        return None
    # A mean is -inf for one score that is, a maximum for a row of them.
    if (np.isneginf(right) & ~np.isneginf(left)).any():
        return None
    source = unwrapped(evidence.trace, scores, STRUCTURAL)
    own = any(
        source in (unwrapped(evidence.trace, value, STRUCTURAL) for value in made_by.operands)
        for made_by, _ in zip(upstream(evidence.trace, subtracted), range(_REDUCTION), strict=False)
    )
    return (scores, both) if own else None


def _of_exponentials(evidence: Evidence, op: Op) -> tuple[int, np.ndarray] | None:
    """A sum of exponentials that is 0: of scores that are all -inf, or all masked by a product."""
    position = 1 if op.name == "divide" else 0
    divisor = op.operands[position]
    if not (as_float(evidence.arrays[divisor]) == 0).any():
        return None
    near = [o for o, _ in zip(upstream(evidence.trace, divisor), range(_NEAR), strict=False)]
    if not any(o.name == "sum" for o in near):
        return None
    for exponential in (o for o in near if o.name == "exp"):
        found = _all_masked(evidence, exponential.operands[0])
        if found is not None:
            return found
    if op.name == "divide" and any(o.name == "exp" for o in near):
        return _masked_after(evidence, op)
    return None


def _masked_after(evidence: Evidence, op: Op) -> tuple[int, np.ndarray] | None:
    """`exp(x) * mask / sum(exp(x) * mask)`: the summand is the numerator, and is a product."""
    numerator = unwrapped(evidence.trace, op.operands[0], STRUCTURAL)
    made_by = evidence.trace.producer.get(numerator)
    if made_by is None or made_by.name not in ("multiply", "where"):
        return None
    array = as_float(evidence.fetch([numerator])[numerator])
    mask = array == 0
    return (numerator, mask) if mask.any() else None


def _all_masked(evidence: Evidence, value: int) -> tuple[int, np.ndarray] | None:
    array = as_float(evidence.fetch([value])[value])
    masked = np.isneginf(array)
    for axis in range(array.ndim - 1, -1, -1):
        whole = masked.all(axis=axis, keepdims=True)
        if array.shape[axis] and whole.any():
            return value, np.broadcast_to(whole, array.shape)
    return None


def _rows(evidence: Evidence, value: int, masked: np.ndarray) -> tuple[int, ...] | None:
    if masked.shape != evidence.trace.values[value].shape:
        return None
    return evidence.samples(value, masked)
