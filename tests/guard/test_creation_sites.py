"""A `Guard` made before the model knows the line of each layer, as `stayfinite run` does."""

from __future__ import annotations

import keras
import pytest

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
