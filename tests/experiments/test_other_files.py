"""A formula that is in another file than the training: the fix is one of that file."""

from __future__ import annotations

import importlib
import sys
import textwrap

import keras
import numpy as np
import pytest

import stayfinite

HELPER = """\
    from keras import ops


    def hazard(time, rate):
        # exponential model
        return rate * ops.exp(-rate * time)


    def likelihood(event, time, rate):
        alive = ops.exp(-rate * time)
        return ops.where(event > 0.5, hazard(time, rate), alive)
    """

# The logarithm of what the helper returns, and a helper that returns a logarithm.
TRAINING = """\
    from keras import ops

    from lab.survival_parts import likelihood


    def loss(y_true, y_pred):
        rate = ops.exp(y_pred[:, 0])
        return -ops.log(likelihood(y_true[:, 1], y_true[:, 0], rate))
    """
CASES = {
    "survival_training.py": (HELPER, TRAINING),
    "lab/survival_parts.py": (
        HELPER.replace("return ops.where", "chance = ops.where") + "    return ops.log(chance)\n",
        TRAINING.replace("ops.log(likelihood", "(likelihood"),
    ),
}


@pytest.mark.slow_on("jax", "tensorflow")
@pytest.mark.parametrize("changed", CASES)
def test_a_formula_that_two_files_share(changed, tmp_path, monkeypatch):
    helper, training = map(textwrap.dedent, CASES[changed])
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "survival_parts.py").write_text(helper)
    (tmp_path / "survival_training.py").write_text(training)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("lab", "lab.survival_parts", "survival_training"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(24, 1)).astype("float32")
    y = np.stack([rng.uniform(0.5, 2, 24), rng.integers(0, 2, 24)], 1).astype("float32")
    x[18], y[18] = 3.0, (9.0, 1.0)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
    loss = importlib.import_module("survival_training").loss
    model.compile(keras.optimizers.SGD(1e-4), loss=loss)
    guard = stayfinite.Guard(keep=tmp_path / "kept")
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        model.fit(x, y, batch_size=8, shuffle=False, verbose=0, callbacks=[guard])
    fix = caught.value.incident.fix
    assert (fix.verified, fix.value) == (True, "exact")
    assert fix.loss == pytest.approx(_exact(model, x[16:], y[16:]), rel=1e-5)
    assert [line for line in fix.diff.splitlines() if line[:3] == "+++"] == [f"+++ {changed}"]


def _exact(model, x, y):
    """The loss by the logarithm of the density, in float64."""
    log_rate = keras.ops.convert_to_numpy(model(x)).astype(np.float64)[:, 0]
    likelihood = -np.exp(log_rate) * y[:, 0] + np.where(y[:, 1] > 0.5, log_rate, 0.0)
    return -likelihood.mean()
