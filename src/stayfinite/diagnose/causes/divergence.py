"""# divergence

Values grew over many steps until one operation left the range of its dtype: the learning rate,
the initialisation, a recurrence, unscaled inputs or targets.

No single expression is at fault. Each update overshot a little more than the one before, and the
weights, or the activations behind them, grew by a factor each step. The last step only shows
where the range ended. Lower the learning rate, scale inputs and targets to about 1, or clip the
gradient norm from the start; none of these can save the step that failed, because its weights had
grown before it.

It is told from an overflow of one operation by holding the failing batch against the weights of
some steps before: there the same values were smaller by orders of magnitude. Where a network is so
deep, or a sequence so long, that the values grow on the way through it, the initial weights are
what makes them grow. What would have kept them small is tried by training again from those weights.

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

from stayfinite.diagnose import growth, numbers
from stayfinite.diagnose.evidence import Evidence, as_float
from stayfinite.diagnose.finding import Finding
from stayfinite.diagnose.growth import Growth
from stayfinite.graph.graph import Op
from stayfinite.numerics import dtypes

# Between a value that one op has made large and one that has become so over many steps.
_FAR = 1e3
_RUNAWAY = 1e6
# Loops that are one op, so that nothing is known of the values inside.
_LOOPS = {"scan", "while_loop"}


def match(evidence: Evidence) -> Finding | None:
    """What the root op failed on had grown over steps, or on the way through the network."""
    op = evidence.op
    if op is None or not op.operands or not numbers.finite_operands(evidence, op):
        return None
    if op.phase == "statistics" or not growth.depends_on_weights(evidence, op):
        return None
    if op.name in _LOOPS:
        return _through_loop(evidence, op)
    grown = growth.measured(evidence, op)
    if not _is_far(evidence, op, grown) or growth.is_made_by_one_op(evidence, op):
        return None
    # Where targets are made by the model itself, they have grown along with it.
    grew = grown.values_before <= grown.values / _FAR or grown.weights_grew(_RUNAWAY)
    if grown.steps is None or not grew:
        return _through_depth(evidence, op, grown)
    if op.phase == "update" and not grown.weights_grew(_FAR):
        return None  # the gradients alone: a factor on the loss, not the training
    return _over_steps(evidence, op, grown)


def _is_far(evidence: Evidence, op: Op, grown: Growth) -> bool:
    """Whether the values at the failing op are beyond what it should have to deal with."""
    largest = dtypes.largest(evidence.trace.values[op.results[0]].dtype)
    if growth.is_sum_or_product(evidence, op):
        # With the factor of a sum of as many terms as a batch or a layer may have.
        return bool(grown.operands > largest**0.5 / 1e4)
    # exp, log, a pole: they fail on ordinary values, unless these have run away.
    return grown.values > min(_RUNAWAY, largest**0.5) and grown.weights_grew(_FAR)


def _over_steps(evidence: Evidence, op: Op, grown: Growth) -> Finding:
    assert grown.steps is not None
    steps = f"{grown.steps} step{'s' if grown.steps > 1 else ''}"
    leader = grown.leader
    what, now, before = "the values at the failing op", grown.values, grown.values_before
    if leader is not None and grown.weights_grew(10.0):
        what, now, before = f"`{leader}`", grown.leader_now, grown.leader_before
    factor = (now / max(before, growth.SMALLEST_WEIGHT)) ** (1.0 / grown.steps)
    return Finding(
        cause="divergence",
        message=(
            f"the training diverged: {what} grew from {numbers.short(before)} to "
            f"{numbers.short(now)} in {steps}"
        ),
        op=op.name,
        detail=(
            f"a factor of {numbers.short(factor)} a step; `{op.name}` of "
            f"{numbers.short(grown.operands)} is past the range of "
            f"{evidence.trace.values[op.results[0]].dtype}, and with the weights of {steps} before "
            f"it has {numbers.short(grown.operands_before)} on this batch"
        ),
        remedy=_ADVICE,
    )


def _through_depth(evidence: Evidence, op: Op, grown: Growth) -> Finding | None:
    """The values are large from the first step on: do they grow from one layer to the next?"""
    if op.phase == "update" or not growth.is_sum_or_product(evidence, op):
        return None
    depth = growth.through_layers(evidence, op)
    if depth is None or depth.largest < _RUNAWAY * max(1.0, depth.came_in):
        return None
    return Finding(
        cause="divergence",
        message=(
            f"the values grow on their way through the network, from "
            f"{numbers.short(depth.came_in)} to {numbers.short(depth.largest)}"
        ),
        op=op.name,
        detail=(
            f"over {depth.num_products} products with weights; `{op.name}` of "
            f"{numbers.short(grown.operands)} is past the range of "
            f"{evidence.trace.values[op.results[0]].dtype}"
        ),
        remedy=_ADVICE_ON_DEPTH,
    )


def _through_loop(evidence: Evidence, op: Op) -> Finding | None:
    """A recurrence with weights that begins with ordinary values.

    A library's recurrent layer has no pole to meet, it can only grow. Of a loop that the user wrote
    the same is believed if in float64 there is room for it.
    """
    if op.phase == "update" or not (_is_of_library(op) or evidence.finite_wider()):
        return None
    operands = [np.abs(as_float(evidence.arrays[value])) for value in op.operands]
    if max((float(array.max(initial=0.0)) for array in operands), default=0.0) > _RUNAWAY:
        return None
    return Finding(
        cause="divergence",
        message="the values grow in a recurrence until they leave the range of their dtype",
        op=op.name,
        detail=f"`{op.name}` begins with ordinary values, and multiplies by its weights each time",
        remedy=_ADVICE_ON_DEPTH,
    )


def _is_of_library(op: Op) -> bool:
    return not op.stack


_ADVICE_ON_DEPTH = (
    "initialise the weights so that a layer keeps the size of its input (`glorot_uniform`, "
    "`he_normal`, `orthogonal`), or normalise between layers"
)
_ADVICE = (
    "lower the learning rate or scale inputs and targets to about 1, and train again from the "
    "start: the weights of this step had run away before it"
)
