"""# empty-reduction

A mean over nothing: the count, the sum of the weights or the batch that it divides by is 0.

A masked mean is `sum(values * mask) / sum(mask)`. The first batch in which the mask holds nothing,
because no pixel is labelled, no pair is positive, or a class does not occur, is 0 / 0. So is the
mean of a tensor that a boolean index has left empty.

Divide by `maximum(count, 1)`: the sum above it is 0 then, and so is the mean and its gradient.

## Fails

```python
import keras, numpy as np
from keras import ops

def masked_error(y_true, y_pred):
    labelled = ops.cast(ops.not_equal(y_true, -1), "float32")
    return ops.sum(ops.square(y_pred - y_true) * labelled) / ops.sum(labelled)

x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
y = x[:, :1].copy()
y[32:40] = -1
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
model.compile(keras.optimizers.SGD(1e-3), loss=masked_error)
model.fit(x, y, batch_size=8, shuffle=False, verbose=0)
```

## Passes

```python
import keras, numpy as np
from keras import ops

def masked_error(y_true, y_pred):
    labelled = ops.cast(ops.not_equal(y_true, -1), "float32")
    return ops.sum(ops.square(y_pred - y_true) * labelled) / ops.maximum(ops.sum(labelled), 1)

x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
y = x[:, :1].copy()
y[32:40] = -1
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
model.compile(keras.optimizers.SGD(1e-3), loss=masked_error)
model.fit(x, y, batch_size=8, shuffle=False, verbose=0)
```
"""

from __future__ import annotations

import dataclasses

import numpy as np

from stayfinite.diagnose import numbers
from stayfinite.diagnose.booleans import COMPARISONS, LOGICAL
from stayfinite.diagnose.causes import division_by_zero
from stayfinite.diagnose.evidence import Evidence, as_float
from stayfinite.diagnose.finding import Finding
from stayfinite.graph.graph import Graph, Op
from stayfinite.graph.walk import STRUCTURAL, unwrapped
from stayfinite.numerics import dtypes

_SUMS = {"sum", "mean", "count_nonzero", "matmul", "dot", "einsum", "bincount", "segment_sum"}
_LINEAR = STRUCTURAL | {"add", "subtract", "maximum", "clip", "stack", "gather", "where"}
_COUNTED = COMPARISONS | LOGICAL | {"any", "all", "one_hot"}
# What a sum of it is no count and no weight, but an energy, a norm or a softmax denominator.
_NOT_WEIGHTS = {"square", "power", "exp", "abs", "absolute", "sqrt", "log"}
_OF_NOTHING = {"mean", "var", "std", "var_mean", "std_mean", "nll_loss", "median", "nanmean"}


def match(evidence: Evidence) -> Finding | None:
    """A reduction of nothing, or 0 / 0 whose divisor is a count or a sum of weights."""
    return _of_nothing(evidence) or _by_empty_count(evidence)


def _of_nothing(evidence: Evidence) -> Finding | None:
    op = evidence.op
    if op is None or op.phase == "backward" or op.name not in _OF_NOTHING:
        return None
    if not op.operands or not numbers.finite_operands(evidence, op):
        return None
    result = as_float(evidence.results_of(op))
    if not np.isnan(result).any():
        return None
    shape = evidence.trace.values[op.operands[0]].shape
    largest = float(np.max(np.abs(as_float(evidence.arrays[op.operands[0]])), initial=0.0))
    if largest > dtypes.largest(evidence.trace.values[op.operands[0]].dtype) ** 0.5:
        return None
    return Finding(
        cause="empty-reduction",
        message=f"`{op.name}` over nothing is nan",
        op=op.name,
        detail=f"its operand has the shape {shape}, and nothing of it counts",
        mechanism="empty-reduction",
    )


def _by_empty_count(evidence: Evidence) -> Finding | None:
    op = evidence.op
    found = division_by_zero.match(evidence)
    if found is None or op is None or op.name != "divide":
        return None
    summand = _summand(evidence, op.operands[1])
    counted = _is_shape(evidence, op)
    if not counted and (summand is None or not _is_weights(evidence, op, summand)):
        return None
    return dataclasses.replace(
        found,
        cause="empty-reduction",
        message="a mean over nothing: the count that it divides by is 0",
        mechanism="empty-reduction",
    )


def _is_shape(evidence: Evidence, op: Op) -> bool:
    """Whether the divisor is known from the shape of the batch, and nothing was there to sum."""
    if evidence.trace.leaves_of(op.operands[1]):
        return False
    total, divisor = (as_float(evidence.operand(op, position)) for position in (0, 1))
    total, divisor = np.broadcast_arrays(total, divisor)
    return bool((total[divisor == 0] == 0).all())


def _summand(evidence: Evidence, divisor: int) -> int | None:
    """What the divisor is the sum of, if it is a sum, a count, or a sum of such."""
    trace = evidence.trace
    frontier = [divisor]
    for _ in range(12):
        if not frontier:
            return None
        value = unwrapped(trace, frontier.pop(0), STRUCTURAL)
        made_by = trace.producer.get(value)
        if made_by is None:
            continue
        if made_by.name in _SUMS and made_by.operands:
            return unwrapped(trace, made_by.operands[0], STRUCTURAL)
        if made_by.name in _LINEAR or _by_constant(trace, made_by):
            frontier += made_by.operands
    return None


def _by_constant(trace: Graph, op: Op) -> bool:
    return op.name in ("multiply", "divide") and any(v in trace.constants for v in op.operands)


def _is_weights(evidence: Evidence, op: Op, summand: int) -> bool:
    """Whether the values under the sum are a mask or weights, and not the numerator itself."""
    trace = evidence.trace
    made_by = trace.producer.get(summand)
    leaf = trace.leaves.get(summand)
    if leaf is not None and leaf.role == "sample_weight":
        return True
    if made_by is not None and (made_by.name in _NOT_WEIGHTS or _is_square(made_by)):
        return False
    if trace.values[summand].dtype.startswith(("bool", "int", "uint")):
        return True
    if made_by is not None and made_by.name in _COUNTED:
        return True
    numerator = unwrapped(trace, op.operands[0], STRUCTURAL)
    over = trace.producer.get(numerator)
    if over is not None and over.name in (_SUMS | {"add", "multiply"}):
        # `x / sum(x)` normalises; `sum(w * x) / sum(w)` is a mean.
        return numerator != summand
    binary = as_float(evidence.fetch([summand])[summand])
    return numerator != summand and bool(np.isin(binary, (0.0, 1.0)).all())


def _is_square(op: Op) -> bool:
    return op.name == "multiply" and len(op.operands) == 2 and op.operands[0] == op.operands[1]
