"""Importing the package costs next to nothing and decides nothing."""

from __future__ import annotations

import ast
import subprocess
import sys

import stayfinite

HEAVY = ("keras", "jax", "tensorflow", "torch")

COST = f"""
import sys, time
before = time.perf_counter()
import stayfinite
seconds = time.perf_counter() - before
print([seconds, [name for name in {HEAVY} if name in sys.modules]])
"""


def in_fresh_process(code):
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    return ast.literal_eval(done.stdout)


def test_import_is_fast_and_loads_no_framework():
    costs = [in_fresh_process(COST) for _ in range(3)]
    assert [loaded for _, loaded in costs] == [[], [], []]
    # The fastest of them: the others measure the machine.
    assert min(seconds for seconds, _ in costs) < 0.2


def test_the_command_line_loads_no_framework():
    loaded = f"import sys, stayfinite.cli; print([m for m in {HEAVY} if m in sys.modules])"
    assert in_fresh_process(loaded) == []


def test_an_explanation_loads_libcst_only_to_write_a_rewriting():
    loaded = "import sys, stayfinite.explanation.pipeline; print('libcst' in sys.modules)"
    assert in_fresh_process(loaded) is False


def test_public_names():
    assert sorted(stayfinite.__all__) == stayfinite.__all__ == dir(stayfinite)
    assert len(stayfinite.__all__) <= 20
    for name in stayfinite.__all__:
        assert hasattr(stayfinite, name), name


def test_unknown_name():
    try:
        _ = stayfinite.nowhere
    except AttributeError as error:
        assert str(error) == "module 'stayfinite' has no attribute 'nowhere'"
    else:
        raise AssertionError("found")
