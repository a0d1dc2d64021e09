"""Windows of steps on TensorFlow: when a state is copied, and when it is known to be unchanged."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from stayfinite.frameworks import heavy
from stayfinite.frameworks.keras.model_subject import KerasModel
from stayfinite.frameworks.recorder import Recorder
from stayfinite.frameworks.subject import Compilation
from stayfinite.frameworks.tensorflow import guard, private_functions
from stayfinite.frameworks.tensorflow.drawing_step import DrawingStep
from stayfinite.frameworks.tensorflow.guard_heavy import TensorFlowHeavySteps
from stayfinite.frameworks.tensorflow.held_values import HeldValues
from stayfinite.frameworks.tensorflow.state import value_of
from tests.guard import nets

NUM_STEPS = 4
BAD = 2


@pytest.fixture
def copies(monkeypatch):
    """The snapshots that are taken, in windows without end, for states of any size."""
    made = []
    plain = TensorFlowHeavySteps.copy
    monkeypatch.setattr(heavy, "MIN_STATE_BYTES", 0)
    monkeypatch.setattr(heavy, "SHARE", 0.0)
    monkeypatch.setattr(
        TensorFlowHeavySteps, "copy", lambda steps: (made.append(steps), plain(steps))
    )
    return made


class Stop(Exception):
    """Raised at a bad step, in the place of an explanation."""


def stop(state, step, rerun):
    raise Stop(step)


def batches(num_steps, bad):
    x, y = nets.table()
    for step in range(num_steps):
        rows = slice(step * nets.BATCH, (step + 1) * nets.BATCH)
        yield (x[rows] * np.nan if step == bad else x[rows]), y[rows]


def fit(model, num_steps=NUM_STEPS):
    """One epoch without a guard."""
    model.fit(batches(num_steps, None), steps_per_epoch=num_steps, shuffle=False, verbose=0)


def guarded_fit(model, function, bad=None):
    """What `fit` with a guard calls, for one epoch."""
    function.begin_training(sees_steps=False, is_alone=False)
    function.begin_epoch()
    model.reset_metrics()
    source = batches(NUM_STEPS, bad)
    for _ in range(NUM_STEPS):
        function(source)
    function.end_epoch()


def nothing(model):
    """Write nothing, but read everything."""
    model.evaluate(*nets.table(), verbose=0)
    nets.state_of(model)


def by_hook(model):
    """Write a number, by Keras."""
    model.optimizer.learning_rate = 0.5


def compiled(model):
    """Write one number of a weight in a compiled function, which no hook sees."""
    kernel = model.trainable_variables[0]._value
    tf.function(lambda: kernel.scatter_nd_add([[1, 1]], [0.25]))()


@pytest.mark.parametrize(("write", "num_copies"), [(nothing, 1), (by_hook, 1), (compiled, 2)])
def test_snapshot_of_the_last_fit_is_used_unless_the_state_may_have_changed(
    write, num_copies, copies
):
    plain, model = nets.mlp(), nets.mlp()
    fit(plain)
    write(plain)
    fit(plain, BAD)

    function = guard.attach(KerasModel(model), Recorder(), stop)
    guarded_fit(model, function)
    write(model)
    with pytest.raises(Stop) as caught:
        guarded_fit(model, function, BAD)
    assert caught.value.args == (NUM_STEPS + BAD,)
    nets.assert_bit_equal(nets.state_of(model), nets.state_of(plain))
    assert len(copies) == num_copies


@pytest.mark.parametrize("write", ["assign", "assign_add", "scatter_nd_add"])
def test_any_write_to_a_variable_is_known_of(write):
    variable = tf.Variable(np.zeros((3, 4), "float32"))
    values = HeldValues()
    assert not values.are_present(apart_from=())
    values.hold([variable], [value_of(variable)])
    assert values.are_present(apart_from=())
    if write == "scatter_nd_add":
        variable.scatter_nd_add([[0, 0]], [0.0])
    else:
        getattr(variable, write)(tf.zeros((3, 4)))
    assert not values.are_present(apart_from=())
    assert values.are_present(apart_from={id(variable)})


@pytest.mark.parametrize("xla", [True, False])
def test_batch_that_a_step_draws_is_given_without_a_copy(xla):
    x = np.arange(8, dtype="float32").reshape(4, 2)
    step = DrawingStep(Compilation(eager=False, xla=xla), lambda batch: {"sum": batch[0] + 1})
    # Where each `tf.function` is watched, this one is left as it is.
    assert private_functions.is_of_library(step._compiled)
    source = iter(tf.data.Dataset.from_tensors((x, x)).repeat(2))
    batches = []
    for _ in range(2):
        made, batch = step(source)
        np.testing.assert_array_equal(made["sum"], x + 1)
        batches.append(batch)
    assert [type(batch) for batch in batches] == [tuple, tuple]
    # The data set gives the same tensors each time.
    for one, other in zip(*batches, strict=True):
        assert np.shares_memory(np.asarray(one), np.asarray(other))
    with pytest.raises(tf.errors.OutOfRangeError):
        step(source)
