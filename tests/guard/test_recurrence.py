"""A step that is bad once: run again here and elsewhere, and made again under "rollback"."""

from __future__ import annotations

import dataclasses
import json

import keras
import numpy as np
import pytest

import stayfinite
from stayfinite.frameworks.recorder import Recorder
from tests import warm
from tests.guard import nets

BACKEND = keras.backend.backend()
BAD, SAMPLE = 3, 2


@pytest.fixture
def spoiled(monkeypatch):
    """Data with one NaN, which only the device gets: what the guard keeps has the true number."""
    x, y = nets.table()
    row = BAD * nets.BATCH + SAMPLE
    true = float(x[row, 0])
    plain = Recorder.take

    def mended(leaf):
        array = np.array(keras.ops.convert_to_numpy(leaf))
        array = np.where(np.isnan(array), np.float32(true), array)
        return array if isinstance(leaf, np.ndarray) else keras.ops.convert_to_tensor(array)

    def take(recorder, step):
        bad, healthy = plain(recorder, step)
        data = keras.tree.map_structure(mended, bad.data)
        return dataclasses.replace(bad, data=data), healthy

    monkeypatch.setattr(Recorder, "take", take)
    spoiled = x.copy()
    spoiled[row, 0] = np.nan
    return (x, y), (spoiled, y)


def fit(data, folder, policy):
    model = nets.mlp()
    keras.utils.set_random_seed(1)
    guards = [stayfinite.Guard(policy, keep=folder)] if policy else []
    options = {"batch_size": nets.BATCH, "shuffle": False, "verbose": 0}
    history = model.fit(*data, callbacks=guards, **options)
    return model, history


def test_fault_that_was_seen_once_is_transient(spoiled, tmp_path):
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        fit(spoiled[1], tmp_path, "stop")
    incident = caught.value.incident
    assert (incident.where.step, incident.cause.name) == (BAD, "not-reproduced")
    again = incident.recurrence
    assert (again.kind, again.num_reruns, again.num_bad) == ("transient", 5, 0)
    assert "transient: the compiled step was finite in 5 of 5 runs" in str(caught.value)
    assert "there is no other device" in str(caught.value)


@pytest.mark.filterwarnings("ignore:.*non-finite:RuntimeWarning")
def test_rollback_makes_it_again(spoiled, tmp_path):
    plain, expected = fit(spoiled[0], tmp_path, None)
    model, history = fit(spoiled[1], tmp_path, "rollback")
    nets.assert_bit_equal(nets.state_of(model), nets.state_of(plain))
    assert history.history == expected.history
    (made,) = history.interventions
    assert made.action == "the step is made again: it was finite in 5 of 5 runs"


@pytest.mark.skipif(
    BACKEND != "torch", reason="runs op by op on each framework, fastest on PyTorch"
)
@pytest.mark.parametrize(
    ("num_wrong", "cause", "kind", "num_reruns", "num_bad"),
    [
        (1, "not-reproduced", "transient", 5, 0),
        (2, "not-reproduced", "intermittent", 4, 1),
        (1000, "log-of-zero", "persistent", 4, 4),
    ],
)
def test_fault_in_a_number_of_executions(num_wrong, cause, kind, num_reruns, num_bad, tmp_path):
    """A loss whose values lose their bits in some of its executions, from that of one step on."""
    num_executions = 0

    def loss(target, predicted):
        nonlocal num_executions
        is_wrong = BAD < num_executions <= BAD + num_wrong  # Keras runs it once to build it
        num_executions += 1
        return keras.ops.log(keras.ops.abs(predicted - target) * (0.0 if is_wrong else 1.0))

    model = nets.mlp()
    model.compile("sgd", loss)
    x, y = nets.table()
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        guard = stayfinite.Guard(keep=tmp_path)
        model.fit(x, y[:, None], batch_size=nets.BATCH, shuffle=False, verbose=0, callbacks=[guard])
    incident = caught.value.incident
    again = incident.recurrence
    assert (incident.where.step, incident.cause.name) == (BAD, cause)
    assert (again.kind, again.num_reruns, again.num_bad) == (kind, num_reruns, num_bad)


# The first device computes otherwise. TensorFlow can tell it in an eager step, JAX where an
# operation is compiled for a device.
OTHERWISE = {
    "tensorflow": 'if "CPU:1" in getattr(predicted, "device", ""): return predicted - target',
    "jax": "return unit(predicted) - target",
}
UNIT = """
import jax
from jax.extend.core import Primitive
from jax.interpreters import mlir

plain = Primitive("unit")
plain.def_abstract_eval(lambda a: a)

def compiled(context, a):
    is_other = jax.config.jax_default_device is not None
    return mlir.lower_fun(lambda b: b if is_other else b / 0.0, False)(context, a)

mlir.register_lowering(plain, compiled)
unit = jax.custom_jvp(plain.bind)
unit.defjvp(lambda values, tangents: (unit(*values), tangents[0]))
"""
DEVICES = {
    "jax": """
import os
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
"""
    + UNIT,
    "tensorflow": """
import tensorflow as tf
two = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], two)
""",
}
SCRIPT = """
{devices}
import json
import keras
import numpy as np
import stayfinite

def loss(target, predicted):
    {first}
    return keras.ops.log(predicted * 0.0) + target

model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
model.compile("sgd", loss)
try:
    model.fit(np.ones((8, 3)), np.ones((8, 1)), verbose=0, callbacks=[stayfinite.Guard()])
except stayfinite.NonFiniteError as error:
    incident = error.incident.to_json()
    json.dump([incident["recurrence"], incident["because"]], open("found.json", "w"))
"""


@pytest.mark.skipif(BACKEND == "torch", reason="PyTorch has one CPU device")
@pytest.mark.parametrize(
    ("first", "bad", "kind", "begin"),
    [
        pytest.param(
            "pass",
            True,
            "everywhere",
            "everywhere: the step is non-finite on cpu:1",
            marks=pytest.mark.slow_on("jax", "tensorflow"),
            id="everywhere",
        ),
        pytest.param(
            OTHERWISE.get(BACKEND, ""),
            False,
            "persistent-on-device",
            "persistent on this device: the step is finite on cpu:1",
            id="this-device",
        ),
    ],
)
def test_bad_step_is_run_on_the_other_device(first, bad, kind, begin, tmp_path):
    done = warm.python(tmp_path, SCRIPT.format(devices=DEVICES[BACKEND], first=first))
    assert done.returncode == 0, done.stderr
    recurrence, because = json.loads((tmp_path / "found.json").read_text())
    assert recurrence == {
        "kind": kind,
        "num_reruns": 4,
        "num_bad": 4,
        "devices": [{"device": "cpu:1", "bad": bad}],
    }
    assert because[-1] == begin
