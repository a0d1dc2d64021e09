"""A patch that leaves the bad value to what the step logs."""

from types import SimpleNamespace

import numpy as np
import pytest

from stayfinite.experiments.bad_line import bad_line
from stayfinite.graph.graph import Span
from stayfinite.repair import Patch, SourceFile

BEFORE = "entropy = p * log(p)\nloss = g * log(p)\n"


@pytest.mark.parametrize(
    ("after", "logged", "line"),
    [
        ("q = log_softmax(z)\nentropy = p * log(p)\nloss = g * q\n", np.nan, 2),
        ("q = log_softmax(z)\nentropy = p * log(p)\nloss = g * q\n", 1.0, None),
        ("entropy = p * log(p + 1e-7)\nloss = g * log(p)\n", np.nan, None),
    ],
)
def test_a_line_that_is_left_counts_where_what_is_logged_is_not_finite(
    after, logged, line, tmp_path
):
    path = tmp_path / "train.py"
    path.write_text(BEFORE)
    source = SourceFile.read(path)
    op = SimpleNamespace(span=Span(source.path, 1, 14, 1, 20, "train_step"))
    diagnosis = SimpleNamespace(evidence=SimpleNamespace(forward_op=op))
    trace = SimpleNamespace(observed=(7, 8), producer={7: None})
    step = SimpleNamespace(trace=trace, fetch=lambda numbers: {7: np.float32(logged)})
    assert bad_line(diagnosis, Patch(source, source.with_text(after)), step) == line
