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


FIRST, OTHER_NAME = "<ipython-input-4-5f6e7d>", "<ipython-input-5-0a1b2c>"
LOGISTIC = """\
def loss(y_true, y_pred):
    return K.mean(K.log(K.exp(y_pred) + K.exp(-y_pred)))

model = keras.Sequential([keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")])
model.compile("sgd", loss)
model.fit(x, y, batch_size=8, shuffle=False, verbose=0, callbacks=[guard])
"""


def diff_in_a_cell(text, names, tmp_path, monkeypatch):
    """The verified, exact fix of the training in `text`, a cell run among `names`."""
    lines = text.splitlines(keepends=True)
    monkeypatch.setitem(linecache.cache, OTHER_NAME, (len(text), None, lines, OTHER_NAME))
    x, y = np.ones((32, 1), "float32"), np.ones((32, 1), "float32")
    x[20] = 120
    names |= {"x": x, "y": y, "guard": stayfinite.Guard(keep=tmp_path)}
    with pytest.raises(stayfinite.NonFiniteError) as stopped:
        exec(compile(text, OTHER_NAME, "exec"), names)
    fix = stopped.value.incident.fix
    assert (fix.verified, fix.value) == (True, "exact")
    return [line for line in fix.diff.splitlines() if line[0] in "+-" and line[1] not in "+-"]


def test_fix_in_a_cell_uses_names_of_another_cell(tmp_path, monkeypatch):
    names = {}
    exec(compile("import keras\nfrom keras import ops as K", FIRST, "exec"), names)
    assert diff_in_a_cell(LOGISTIC, names, tmp_path, monkeypatch) == [
        "-    return K.mean(K.log(K.exp(y_pred) + K.exp(-y_pred)))",
        "+    return K.mean(K.logaddexp(y_pred, -y_pred))",
    ]
