"""A `Guard` made before the model knows the line of each layer, as `stayfinite run` does."""

from __future__ import annotations

import copy
import inspect
import pickle

import keras
import pytest

from stayfinite.frameworks.keras import creation
from stayfinite.graph.object_sites import last_setting, site_of
from tests import warm

SCRIPT = """
import keras
import numpy as np
import stayfinite

{before}
keras.utils.set_random_seed(0)
x = np.random.default_rng(0).normal(size=(32, 4)).astype("float32")
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
model.compile("sgd", lambda y_true, y_pred: keras.ops.log(y_pred))
model.fit(x, x[:, :1], verbose=0, batch_size=8, callbacks=[{guard}])
"""


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="does not depend on the framework")
def test_the_fix_is_that_of_a_run_where_the_guard_was_made_first(tmp_path):
    first, later = (
        " ".join(warm.python(tmp_path, SCRIPT.format(before=before, guard=guard)).stderr.split())
        for before, guard in (("guard = stayfinite.Guard()", "guard"), ("", "stayfinite.Guard()"))
    )
    assert "give this `Dense` layer the activation softplus" in first
    assert "is not known" not in first
    assert "softplus" not in later
    assert "note: the line that made layer `sequential/dense` is not known" in later


def test_the_line_that_assigns_to_a_learning_rate_is_noted():
    creation.record()
    optimizer = keras.optimizers.SGD(0.1)
    assert last_setting(optimizer) is None
    line = inspect.currentframe().f_lineno + 1
    optimizer.learning_rate.assign(0.2)
    noted = last_setting(optimizer)
    assert (noted.file, noted.line) == (__file__, line)
    optimizer.learning_rate.assign_add(0.1)
    assert last_setting(optimizer).line == line + 3
    assert float(optimizer.learning_rate) == pytest.approx(0.3)


def test_the_line_that_makes_an_optimizer_is_noted():
    creation.record()
    line = inspect.currentframe().f_lineno + 1
    optimizer = keras.optimizers.SGD(0.1)
    noted = site_of(optimizer)
    assert (noted.file, noted.line) == (__file__, line)


def test_a_learning_rate_that_keras_sets_is_not_noted_as_assigned():
    creation.record()
    first, second = keras.optimizers.Adam(0.1), keras.optimizers.Adam(0.2)
    for optimizer in (first, second):
        optimizer.build([keras.Variable([1.0])])
    store = {}
    first.save_own_variables(store)
    second.load_own_variables(store)
    assert float(second.learning_rate) == pytest.approx(0.1)
    assert last_setting(second) is None


def test_a_copied_learning_rate_is_not_that_of_the_optimizer():
    creation.record()
    optimizer = keras.optimizers.SGD(0.1)
    copied = copy.deepcopy(optimizer)
    copied.learning_rate.assign(0.5)
    assert last_setting(optimizer) is None
    assert float(optimizer.learning_rate) == pytest.approx(0.1)


def test_a_learning_rate_can_be_pickled():
    creation.record()
    rate = keras.optimizers.SGD(0.1).learning_rate
    again = pickle.loads(pickle.dumps(rate))
    again.assign(0.3)
    assert (float(again), float(rate)) == pytest.approx((0.3, 0.1))
