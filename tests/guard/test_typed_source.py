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
