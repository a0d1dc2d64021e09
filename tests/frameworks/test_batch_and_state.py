"""Batches and states as values: the same on every framework."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from stayfinite.frameworks import base
from stayfinite.frameworks.batch import Batch, ChangeError, order_without
from stayfinite.frameworks.keras.model_subject import KerasModel
from stayfinite.frameworks.state import RandomState, State


def subject_with(*inputs):
    given = [keras.Input((2,), name=name) for name in inputs]
    joined = keras.layers.Concatenate()(given) if len(given) > 1 else given[0]
    return KerasModel(keras.Model(given, keras.layers.Dense(1)(joined)))


def batch_of(data, *inputs) -> Batch:
    return base.current().batch(subject_with(*(inputs or (None,))), data)


def rows(*numbers):
    return np.array([[number, number] for number in numbers], "float32")


def test_names_are_those_of_the_inputs_or_of_the_roles():
    x, y, weights = rows(1, 2), np.ones(2, "float32"), np.ones(2, "float32")
    assert [leaf.name for leaf in batch_of((x, y, weights)).leaves] == ["x", "y", "sample_weight"]
    named = batch_of(([x, x], y), "left", "right")
    assert [(leaf.role, leaf.name) for leaf in named.leaves] == [
        ("input", "left"),
        ("input", "right"),
        ("target", "y"),
    ]
    by_key = batch_of(({"b": x, "a": x}, y), "a", "b")
    assert sorted(leaf.name for leaf in by_key.leaves) == ["a", "b", "y"]


def test_a_loop_may_take_more_arguments_than_keras_has_names_for():
    batch = batch_of((rows(1), rows(2), rows(3), rows(4)))
    assert batch.leaves[-1].name == "argument 3"
    changed = batch.with_arrays({"argument 3": rows(9)})
    np.testing.assert_array_equal(changed.data[3], rows(9))


def test_structure_stays_and_none_stays_none():
    batch = batch_of(({"b": rows(1), "a": rows(2)}, [rows(3)], None))
    doubled = batch.map(lambda array: array * 2)
    x, y, weights = doubled.data
    np.testing.assert_array_equal(x["a"], rows(4))
    np.testing.assert_array_equal(x["b"], rows(2))
    np.testing.assert_array_equal(y[0], rows(6))
    assert weights is None
    # The batch itself is a value.
    np.testing.assert_array_equal(batch.arrays()["a"], rows(2))


def test_suspect_samples_are_replaced_by_others_of_the_batch():
    batch = batch_of((rows(0, 1, 2, 3), np.arange(4)))
    assert batch.num_samples == 4
    x, y = batch.without((1, 2)).data
    assert x[:, 0].tolist() == [0, 3, 0, 3]
    assert y.tolist() == [0, 3, 0, 3]
    with pytest.raises(ChangeError, match="every sample"):
        batch.without((0, 1, 2, 3))


def test_each_suspect_sample_is_replaced_by_another_one():
    assert order_without((0, 6), 8) == [1, 1, 2, 3, 4, 5, 7, 7]
    assert order_without((5, 6, 7), 8) == [0, 1, 2, 3, 4, 0, 1, 2]
    assert order_without((0, 1, 2), 4) == [3, 3, 3, 3]


def test_samples_of_another_batch():
    one, other = batch_of((rows(0, 1, 2), None)), batch_of((rows(7, 8, 9), None))
    assert one.mixed((1,), other).data[0][:, 0].tolist() == [0, 8, 2]
    with pytest.raises(ChangeError, match="shapes of two batches differ"):
        one.mixed((1,), batch_of((rows(7, 8), None)))
    with pytest.raises(ChangeError, match="numbers of arrays"):
        one.mixed((1,), batch_of((rows(7, 8, 9), rows(1, 2, 3))))


def test_another_number_of_samples():
    batch = batch_of((rows(0, 1, 2), np.float32(5)))
    x, number = batch.resized(5).data
    assert x[:, 0].tolist() == [0, 1, 2, 2, 2]
    assert number == 5
    assert batch_of((rows(),)).shapes() == [(0,)]


def test_scaling_leaves_whole_numbers_and_other_arrays():
    batch = batch_of((rows(2, -4), np.array([6, 8])))
    assert batch.magnitudes() == {"x": 4.0, "y": 8.0}
    x, y = batch.scaled({"x": 2.0, "y": 2.0}).data
    assert x[:, 0].tolist() == [1, -2]
    assert x.dtype == np.float32
    assert y.tolist() == [6, 8]
    bad = batch.with_arrays({"x": rows(np.nan, np.inf)})
    assert bad.magnitudes() == {"x": 0.0, "y": 8.0}


def test_state_has_a_form_without_its_metrics():
    state = State.of([[1, 2], [3], [4], []], RandomState("cpu"))
    more = state.with_metrics([5, 6])
    assert more.has_form_of(state)
    assert more.values == (1, 2, 3, 4, 5, 6)
    assert more.random == state.random
    assert not State.of([[1], [3], [4], []]).has_form_of(state)
    with pytest.raises(ValueError, match="not enough values"):
        State.of([[1], [2], [3]])


def test_state_with_arrays_by_name():
    state = State.of([[1, 2], [3], [4], []], RandomState("cpu"))
    names = ["a", "b", "c", "d"]
    changed = state.with_arrays(names, {"b": 20, "d": 40, "other": 50})
    assert changed == State((1, 20), (3,), (40,), (), state.random)
    assert state.map(lambda value: -value).values == (-1, -2, -3, -4)
