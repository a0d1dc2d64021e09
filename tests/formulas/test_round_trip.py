"""A naive function and its exact twin: the edit that is written is the twin, word for word."""

import ast

import numpy as np
import pytest

from stayfinite.repair.extraction import NothingRecorded
from stayfinite.repair.patch import Patch
from stayfinite.repair.writing import available, write
from stayfinite.repair.writing.compare import same
from tests.formulas.helpers import as_array, cases, extracted, ran

# The words of Keras are the same on each backend.
OF_KERAS = ("tests.formulas.cases.in_keras", "tests.formulas.cases.in_k")
CASES = [
    pytest.param(
        case,
        id=f"{case.module.__name__.rpartition('.')[2]}-{case.name}",
        marks=pytest.mark.slow_on("jax", "tensorflow") if case.module.__name__ in OF_KERAS else (),
    )
    for case in cases()
]


@pytest.mark.parametrize("case", CASES)
def test_the_exact_twin_is_written(case):
    naive = extracted(case.naive, case.arrays(), case.receiver)
    exact = extracted(case.exact, case.arrays(), case.receiver)
    written = write(naive, exact.root)
    patch = Patch.start(written.edit.source).then(written.edit)
    last = case.name.rpartition(".")[2]
    now = _function(patch.source.text, last)
    assert now == _function(patch.source.text, f"{last}_exact").replace(f"{last}_exact", last)
    assert same(written.root, exact.root)
    # What runs is what was meant, in the library itself.
    before, after, twin = (
        np.asarray(as_array(ran(case, text, name)), dtype="float64")
        for text, name in (
            (patch.original.text, case.name),
            (patch.source.text, case.name),
            (patch.original.text, f"{case.name}_exact"),
        )
    )
    assert after == pytest.approx(twin, abs=1e-5)
    assert before.shape == after.shape


@pytest.mark.parametrize("case", CASES)
def test_the_formula_can_be_spelled(case):
    extraction = extracted(case.naive, case.arrays(), case.receiver)
    assert {"exp", "log", "where", "logsumexp"} <= available(extraction)
    assert extraction.arrays().keys() == set(extraction.leaves)
    assert NothingRecorded().evaluation([]) is None


def _function(text, name):
    [found] = [
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef) and node.name == name
    ]
    return ast.get_source_segment(text, found)
