"""Which weights a remedy of a growth may make narrower."""

from __future__ import annotations

import numpy as np

from stayfinite.experiments.remedies.growth_remedies import is_table
from tests.diagnose.steps import StepByHand


def test_a_table_is_known_by_its_look_up_and_not_by_its_name():
    step = StepByHand()
    table = step.leaf("weight", np.ones((5, 2)), "tokens/weights")
    kernel = step.leaf("weight", np.ones((2, 3)), "embedding_head/kernel")
    ids = step.leaf("input", [1, 2], dtype="int32")
    cast = step.op("cast", [table], np.ones((5, 2)), dtype="float16")
    rows = step.op("gather", [cast, ids], np.ones((2, 2)), dtype="float16")
    product = step.op("matmul", [rows, kernel], np.ones((2, 3)))
    picked = step.op("gather", [product, ids], np.ones((2, 3)))
    trace = step.evidence(root=picked).trace
    assert is_table(trace, table)
    assert not is_table(trace, kernel)
    assert not is_table(trace, ids)
