"""A training from a notebook cell: its source is in `linecache`, not in a file."""

from __future__ import annotations

import linecache

import keras
import numpy as np
import pytest

import stayfinite

NAME = "<ipython-input-4-0a1b2c>"
CELL = """\
def loss(y_true, y_pred):
    return keras.ops.mean(keras.ops.log(keras.ops.abs(y_pred)))

model = keras.Sequential([keras.layers.Dense(1, use_bias=False)])
model.compile("sgd", loss)
model.fit(x, y, batch_size=8, shuffle=False, verbose=0, callbacks=[guard])
"""


def test_origin_in_a_cell(tmp_path, monkeypatch):
    lines = CELL.splitlines(keepends=True)
    monkeypatch.setitem(linecache.cache, NAME, (len(CELL), None, lines, NAME))
    x, y = np.ones((32, 3), "float32"), np.ones((32, 1), "float32")
    x[20] = 0
    names = {"keras": keras, "x": x, "y": y, "guard": stayfinite.Guard(keep=tmp_path)}
    with pytest.raises(stayfinite.NonFiniteError) as stopped:
        exec(compile(CELL, NAME, "exec"), names)
    incident = stopped.value.incident
    assert (incident.cause.name, incident.where.step) == ("log-of-zero", 2)
    assert (incident.origin.file, incident.origin.line) == (NAME, 2)
    assert incident.origin.function == "loss"
    assert incident.source_line == lines[1].rstrip()


OTHER_NAME = "<ipython-input-5-0a1b2c>"
LOGISTIC = """\
def loss(y_true, y_pred):
    return ops.mean(ops.log(ops.exp(y_pred) + ops.exp(-y_pred)))

model = keras.Sequential([keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")])
model.compile("sgd", loss)
model.fit(x, y, batch_size=8, shuffle=False, verbose=0, callbacks=[guard])
"""


def test_fix_in_a_cell_is_proved(tmp_path, monkeypatch):
    lines = LOGISTIC.splitlines(keepends=True)
    monkeypatch.setitem(linecache.cache, OTHER_NAME, (len(LOGISTIC), None, lines, OTHER_NAME))
    x, y = np.ones((32, 1), "float32"), np.ones((32, 1), "float32")
    x[20] = 120
    names = {"keras": keras, "ops": keras.ops, "x": x, "y": y}
    names["guard"] = stayfinite.Guard(keep=tmp_path)
    with pytest.raises(stayfinite.NonFiniteError) as stopped:
        exec(compile(LOGISTIC, OTHER_NAME, "exec"), names)
    fix = stopped.value.incident.fix
    assert (fix.verified, fix.value) == (True, "exact")
    added = [line for line in fix.diff.splitlines() if line.startswith("+") and line[1] != "+"]
    assert added[-1].startswith("+    return ops.mean(")
