"""A training from a notebook cell: its source is in `linecache`, not in a file."""

from __future__ import annotations

import ast
import json
import linecache
import re

import keras
import numpy as np
import pytest

import stayfinite
from tests import warm

NAME = "<ipython-input-4-0a1b2c>"
# One cell is rewritten on each backend.
SAME_ON_EACH = pytest.mark.slow_on("jax", "tensorflow")
CELL = """\
def loss(y_true, y_pred):
    return keras.ops.mean(keras.ops.log(keras.ops.abs(y_pred)))

model = keras.Sequential([keras.layers.Dense(1, use_bias=False)])
model.compile("sgd", loss)
model.fit(x, y, batch_size=8, shuffle=False, verbose=0, callbacks=[guard])
"""


@SAME_ON_EACH
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
    assert (incident.origin.file, incident.origin.line) == ("Cell In [4]", 2)
    assert incident.origin.function == "loss"
    assert incident.source_line == lines[1].rstrip()


OTHER_NAME = "<ipython-input-5-0a1b2c>"
IMPORTS = "import keras\nfrom keras import ops as K\n"
LOGISTIC = """\
def loss(y_true, y_pred):
    return K.mean(K.log(K.exp(y_pred) + K.exp(-y_pred)))

model = keras.Sequential([keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")])
model.compile("sgd", loss)
model.fit(x, y, batch_size=8, shuffle=False, verbose=0, callbacks=[guard])
"""


def run_cell(text, names):
    """Run a cell as a notebook does, one statement at a time."""
    for statement in ast.parse(text).body:
        exec(compile(ast.Module([statement], []), OTHER_NAME, "exec"), names)


@pytest.mark.parametrize(
    ("before", "cell"),
    [(IMPORTS, LOGISTIC), pytest.param("", IMPORTS + LOGISTIC, marks=SAME_ON_EACH)],
)
def test_fix_in_a_cell_uses_the_names_in_reach(before, cell, tmp_path, monkeypatch):
    lines = cell.splitlines(keepends=True)
    monkeypatch.setitem(linecache.cache, OTHER_NAME, (len(cell), None, lines, OTHER_NAME))
    x, y = np.ones((32, 1), "float32"), np.ones((32, 1), "float32")
    x[20] = 120
    names = {"x": x, "y": y, "guard": stayfinite.Guard(keep=tmp_path)}
    run_cell(before, names)
    with pytest.raises(stayfinite.NonFiniteError) as stopped:
        run_cell(cell, names)
    fix = stopped.value.incident.fix
    assert (fix.verified, fix.value) == (True, "exact")
    # The form differs by backend; none needs another import.
    removed, added = (line for line in fix.diff.splitlines()[2:] if line[0] in "+-")
    assert removed == "-    return K.mean(K.log(K.exp(y_pred) + K.exp(-y_pred)))"
    assert added.startswith("+    return K.mean(")
    assert set(re.findall(r"(\w+)\.\w+\(", added)) == {"K"}


@SAME_ON_EACH
def test_code_without_text_has_its_place_and_a_note(tmp_path):
    x, y = np.ones((32, 3), "float32"), np.ones((32, 1), "float32")
    x[20] = 0
    names = {"keras": keras, "x": x, "y": y, "guard": stayfinite.Guard(keep=tmp_path)}
    with pytest.raises(stayfinite.NonFiniteError) as stopped:
        exec(compile(CELL, "<stdin>", "exec"), names)
    incident = stopped.value.incident
    origin = incident.origin
    assert (origin.file, origin.line, origin.function) == ("<stdin>", 2, "loss")
    assert incident.source_line is None
    assert any("the text of <stdin> is not known" in note for note in incident.notes)


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="the same on each backend")
def test_code_of_exec_is_named_by_its_op(tmp_path):
    data = "x, y = np.zeros((32, 3)), np.ones((32, 1))\n"
    text = "import keras\nimport numpy as np\n" + data + CELL.replace("[guard]", "[]")
    (tmp_path / "train.py").write_text(text)
    (tmp_path / "start.py").write_text('exec(open("train.py").read())\n')
    done = warm.stayfinite(tmp_path, "run", "start.py")
    assert done.returncode == 3, done.stderr
    path = tmp_path / "stayfinite-out" / "incident-000000" / "incident.json"
    incident = json.loads(path.read_text())
    assert (incident["origin"]["op"], incident["cause"]["name"]) == ("log", "log-of-zero")
    assert incident["fix"] is None
    assert any("the text that `exec` runs is not known" in note for note in incident["notes"])
