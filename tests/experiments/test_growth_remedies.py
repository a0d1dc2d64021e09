"""Which weights a remedy of a growth may make narrower."""

from __future__ import annotations

from types import SimpleNamespace

import keras
import numpy as np
import pytest

import stayfinite
from stayfinite.experiments.remedies.growth_remedies import is_table, narrowed
from tests.diagnose.steps import StepByHand


def test_a_table_is_known_by_its_look_up_and_not_by_its_name():
    step = StepByHand()
    table = step.leaf("weight", np.ones((5, 2)), "tokens/weights")
    kernel = step.leaf("weight", np.ones((2, 3)), "embedding_head/kernel")
    ids = step.leaf("input", [1, 2], dtype="int32")
    cast = step.op("cast", [table], np.ones((5, 2)), dtype="float16")
    rows = step.op("gather", [cast, ids], np.ones((2, 2)), dtype="float16")
    product = step.op("matmul", [rows, kernel], np.ones((2, 3)))
    picked = step.op("gather", [product, ids], np.ones((2, 3)))
    trace = step.evidence(root=picked).trace
    assert is_table(trace, table)
    assert not is_table(trace, kernel)
    assert not is_table(trace, ids)


class Layer:
    """A layer whose initializer has the deviation `wide`."""

    def __init__(self, wide):
        self.wide = wide

    def kernel_initializer(self, shape, dtype):
        return (self.wide * np.random.default_rng(1).normal(size=shape)).astype(dtype)


@pytest.mark.parametrize(
    ("layer", "is_first", "names"),
    [
        (Layer(0.3), False, []),
        (Layer(0.3), True, ["dense/kernel"]),  # the program has set them
        (Layer(40.0), False, ["dense/kernel"]),
        (None, False, ["dense/kernel"]),
    ],
)
def test_a_kernel_that_has_grown_was_not_initialised_too_wide(layer, is_first, names):
    step = StepByHand()
    kernel = np.random.default_rng(0).normal(size=(6, 8)) * 40.0
    step.leaf("weight", kernel, "dense/kernel")
    trace = step.evidence(root=step.op("square", [0], kernel)).trace
    context = SimpleNamespace(step=SimpleNamespace(trace=trace))
    start = SimpleNamespace(
        state_arrays=lambda: {"dense/kernel": kernel},
        subject=SimpleNamespace(layer=lambda path: layer),
    )
    found = [list(c.remedy.names) for c in narrowed(context, start, is_first=is_first)]
    assert found == [names, names] * bool(names)


def test_the_rate_is_lowered_where_that_learns_more_than_clipping(tmp_path):
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(512, 16)).astype("float32")
    y = (x @ rng.normal(size=(16, 1)) * 3).astype("float32")
    layers = [keras.layers.Dense(32, activation="relu"), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((16,)), *layers])
    model.compile(keras.optimizers.SGD(2.0), "mse")
    guard = stayfinite.Guard(keep=tmp_path)
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        model.fit(x, y, batch_size=32, verbose=0, callbacks=[guard])
    incident = caught.value.incident
    assert incident.cause.name == "divergence"
    assert incident.fix.verified and "learning rate to 1/100" in incident.fix.text
    # In the first 8 steps, clipping has the lower loss.
    assert any("clipnorm" in t.change and t.outcome == "finite" for t in incident.trials)
