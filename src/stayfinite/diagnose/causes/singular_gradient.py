"""# singular-gradient

The value is finite, its derivative is not: `sqrt`, a norm, a standard deviation, a power below 1,
`arccos`, `arctan2` at their singular point.

The derivative of `sqrt(x)` is `1 / (2 * sqrt(x))`, infinite at 0. The forward pass shows nothing:
`sqrt(0)` is 0 and the loss is finite. In the backward pass the infinity meets the 0 of the next
derivative, `inf * 0` is NaN, and the sum over the batch spreads it to every weight. A lower
learning rate multiplies a NaN; clipping by norm divides by one.

Subtracting two embeddings that are equal, for instance because all their units are 0, is enough.

## Fails

```python
import keras, numpy as np
from keras import ops

def distance(y_true, y_pred):
    return ops.mean(ops.sqrt(ops.sum(ops.square(y_pred), axis=-1)))

x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
x[37] = 0.0
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, use_bias=False)])
model.compile("sgd", loss=distance)
model.fit(x, np.zeros(64), batch_size=8, shuffle=False, verbose=0)
```

## Passes

```python
import keras, numpy as np
from keras import ops

def distance(y_true, y_pred):
    return ops.mean(ops.sqrt(ops.maximum(ops.sum(ops.square(y_pred), axis=-1), 1e-12)))

x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
x[37] = 0.0
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, use_bias=False)])
model.compile("sgd", loss=distance)
model.fit(x, np.zeros(64), batch_size=8, shuffle=False, verbose=0)
```
"""

from __future__ import annotations

import numpy as np

from stayfinite.diagnose import numbers
from stayfinite.diagnose.evidence import Evidence, as_float
from stayfinite.diagnose.finding import Critical, Finding
from stayfinite.diagnose.hiding import hidden_by, same_expression
from stayfinite.graph.graph import Op
from stayfinite.graph.source import callee


def match(evidence: Evidence) -> Finding | None:
    """The root is a derivative, and the forward op it belongs to is finite where it is not."""
    op, primal = evidence.op, evidence.primal
    if op is None or primal is None:
        return None
    if op.phase != "backward":
        return _inside_one_expression(evidence, op)
    value = as_float(evidence.results_of(primal))
    singular = _singular_points(evidence, primal)
    if singular is None:
        return _unnamed_point(evidence, op, primal)
    position, mask, point, formula = singular
    bad = numbers.bad_elements(evidence)
    at_point = mask & np.isfinite(value)
    if bad.shape == at_point.shape:
        at_point = at_point & bad
    if not at_point.any():
        return None
    samples = numbers.samples_of(evidence, primal, position, at_point)
    return Finding(
        cause="singular-gradient",
        message=f"the gradient of `{primal.name}` is infinite at {point}",
        op=primal.name,
        detail=f"{formula} = inf{numbers.count(samples, evidence.trace.num_samples)}",
        samples=samples,
        critical=Critical(primal.operands[position], samples),
        mechanism="singular-gradient",
        operand=position,
    )


def _unnamed_point(evidence: Evidence, op: Op, primal: Op) -> Finding | None:
    """A derivative with a pole, of a function without a name here: a norm, a decomposition."""
    if not np.isfinite(as_float(evidence.results_of(primal))).all() or primal.phase == "backward":
        return None
    if not numbers.finite_operands(evidence, op) or not _has_pole(evidence, op):
        return None
    bad = numbers.bad_elements(evidence)
    samples = numbers.samples_of(evidence, op, 0, bad)
    return Finding(
        cause="singular-gradient",
        message=f"the gradient of `{primal.name}` is not finite here, though its value is",
        op=primal.name,
        detail=f"its derivative divides by 0{numbers.count(samples, evidence.trace.num_samples)}",
        samples=samples,
        critical=Critical(primal.operands[0], samples) if primal.operands else None,
        mechanism="singular-gradient",
    )


def _has_pole(evidence: Evidence, op: Op) -> bool:
    """Whether a backward op divides by 0, or is the whole derivative of a function in one op."""
    if op.name in ("divide", "reciprocal", "rsqrt", "power", "log"):
        divisor = evidence.operand(op, 1 if op.name == "divide" else 0)
        return bool((as_float(divisor) == 0).any())
    return op.name.endswith(("_grad", "_backward"))


def _inside_one_expression(evidence: Evidence, op: Op) -> Finding | None:
    """A library function whose value is finite though an op inside it is not: `normalize(0)`."""
    hider = hidden_by(evidence, op)
    if hider is None or not same_expression(hider, op):
        return None
    bad = numbers.bad_elements(evidence)
    samples = numbers.samples_of(evidence, op, 0, bad)
    called = (op.span and callee(op.span)) or op.name
    point = numbers.short(float(as_float(evidence.operand(op, 0))[bad][0]))
    return Finding(
        cause="singular-gradient",
        message=f"the gradient of `{called}` is infinite at 0, though its value is finite",
        op=op.name,
        detail=(
            f"inside it, `{op.name}` of {point} is inf"
            + numbers.count(samples, evidence.trace.num_samples)
        ),
        samples=samples,
        critical=Critical(op.operands[0], samples),
        mechanism="singular-gradient",
        phase="backward",
    )


def _singular_points(evidence: Evidence, primal: Op) -> tuple[int, np.ndarray, str, str] | None:
    """Operand position, mask of its singular elements, the point in words, the derivative."""
    x = as_float(evidence.operand(primal, 0))
    if primal.name in ("sqrt", "cbrt", "rsqrt"):
        shown = "1 / (2 * sqrt(0))" if primal.name == "sqrt" else f"the derivative of {primal.name}"
        return 0, x == 0, "0", shown
    if primal.name == "power" and len(primal.operands) == 2:
        exponent = as_float(evidence.operand(primal, 1))
        shown = numbers.short(float(np.min(exponent)))
        return 0, (x == 0) & (exponent < 1), "0", f"{shown} * 0 ** ({shown} - 1)"
    if primal.name in ("arccos", "arcsin", "arctanh"):
        return 0, np.abs(x) == 1, "1 and -1", "1 / sqrt(1 - 1)"
    if primal.name == "arccosh":
        return 0, x == 1, "1", "1 / sqrt(1 - 1)"
    if primal.name == "arctan2":
        y = as_float(evidence.operand(primal, 1))
        return 0, (x == 0) & (y == 0), "(0, 0)", "0 / (0 + 0)"
    return None
