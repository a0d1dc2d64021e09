"""A training in the cells of a notebook: stopped, explained, repaired by hand, and going on."""

from __future__ import annotations

import pytest

from tests.kernel import running_kernel

# The same cells are in `test_cells.py`, and a whole notebook in `tests/examples`.
pytestmark = pytest.mark.slow

IMPORTS = """\
import numpy as np, keras
from keras import ops as K
import stayfinite
"""
LOSS = """\
def loss(y, p):
    d = K.sqrt(K.sum(K.square(y - p), axis=-1))
    return d
"""
MODEL = """\
x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
x[40] = 0
y = np.zeros((64, 2), "float32")
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, use_bias=False)])
model.compile("sgd", loss)
"""
FIT = "history = model.fit(x, y, batch_size=8, shuffle=False, verbose=0, callbacks=[guard])"
FACTS = """\
import json, sys
incident = sys.last_value.incident
print(json.dumps({**incident.to_json(), "iterations": int(model.optimizer.iterations)}))
"""


def test_a_cell_is_named_and_its_fix_proved_and_the_next_fit_goes_on(tmp_path):
    import json

    with running_kernel(tmp_path) as kernel:
        for text in (IMPORTS, LOSS, MODEL, "guard = stayfinite.Guard()"):
            assert kernel.run(text).traceback is None
        stopped = kernel.run(FIT)
        facts = json.loads(kernel.run(FACTS).printed)
        fixed = facts["fix"]["diff"].split("\n")
        new_lines = [line[1:] for line in fixed if line.startswith(("+", " "))]
        kernel.run("\n".join(line for line in new_lines if not line.startswith("++")))
        kernel.run("model.compile('sgd', loss)\nbefore = model.get_weights()")
        going_on = kernel.run(f"{FIT}\nprint(history.history, int(model.optimizer.iterations))")

    (shown,) = stopped.shown
    assert "Cell In [2], line 2 in loss" in shown["text/plain"]
    assert "Cell In [2], line 2" in shown["text/html"]
    assert stopped.traceback.count("\n") == 0
    assert stopped.traceback.startswith("NonFiniteError: the gradient of `sqrt` is infinite at 0")
    assert (facts["origin"]["file"], facts["origin"]["line"]) == ("Cell In [2]", 2)
    assert facts["where"]["step"] == facts["iterations"] == 5
    assert (facts["fix"]["verified"], facts["fix"]["value"]) == (True, "exact")
    assert fixed[0].strip() == "--- Cell In [2]"
    assert going_on.traceback is None
    assert "nan" not in going_on.printed
    assert going_on.printed.strip().endswith("8")
