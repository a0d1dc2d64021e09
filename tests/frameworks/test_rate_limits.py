"""Learning rates that stay at or below a limit."""

from __future__ import annotations

import copy

import keras
import numpy as np
import pytest

from stayfinite.frameworks.keras import rate_limits


def test_a_variable_takes_no_higher_value_from_a_number_a_tensor_or_the_optimizer():
    optimizer = keras.optimizers.SGD(0.5)
    rate = optimizer.learning_rate
    rate_limits.limit_variable(rate, 0.25)
    for higher in (1.0, keras.ops.array(1.0), rate + 1.0):
        rate.assign(higher)
        assert float(keras.ops.convert_to_numpy(rate)) == 0.25
    optimizer.learning_rate = 0.125
    assert float(keras.ops.convert_to_numpy(rate)) == 0.125
    rate_limits.limit_variable(rate, 0.375)  # the lower limit of the two holds
    optimizer.learning_rate = 8.0
    assert float(keras.ops.convert_to_numpy(optimizer.learning_rate)) == 0.25


def test_a_copy_of_a_limited_variable_assigns_to_itself():
    optimizer = keras.optimizers.SGD(0.5)
    rate_limits.limit_variable(optimizer.learning_rate, 0.25)
    copied = copy.deepcopy(optimizer.learning_rate)
    copied.assign(0.125)
    assert float(keras.ops.convert_to_numpy(copied)) == 0.125
    assert float(keras.ops.convert_to_numpy(optimizer.learning_rate)) == 0.5


@pytest.mark.parametrize("kind", ["schedule", "function"])
def test_a_computed_rate_is_followed_below_its_limit(kind):
    decay = keras.optimizers.schedules.PiecewiseConstantDecay([2, 4], [0.5, 4.0, 0.125])
    optimizer = keras.optimizers.SGD(decay)
    if kind == "function":
        optimizer = keras.optimizers.SGD(lambda: decay(optimizer.iterations))
    found = []
    with rate_limits.limited_schedule(optimizer, 0.5, 0.25):
        for step in (0, 3, 5):
            optimizer.iterations.assign(step)
            found.append(float(keras.ops.convert_to_numpy(optimizer.learning_rate)))
    np.testing.assert_array_equal(found, [0.25, 0.25, 0.0625])
