"""The value of the failing step, held against that of the twin."""

import difflib
import sys

import keras
import numpy as np
import pytest

from zoo.answer import ProposedFix
from zoo.collect import collect
from zoo.pool import Pool
from zoo.running import environment
from zoo.values import compare, compare_with_twin


def step(loss=2.0, kernel=(0.5, -0.25), bias=(1e-9,), mean=0.1):
    """One step: a kernel and a bias with their gradients, and a moving mean."""
    return {
        "logs/loss": np.array(loss),
        "gradients/0.0": np.array(kernel),
        "gradients/0.1": np.array(bias),
        "before/0": np.array([1.0, 2.0]),
        "before/1": np.array([0.0]),
        "before/2": np.array([5.0]),
        "after/0": np.array([1.0, 2.0]) - 0.1 * np.array(kernel),
        # As Adam does: as large for a rounding error as for a gradient.
        "after/1": np.array([0.0]) - 0.1 * np.sign(bias),
        "after/2": np.array([5.0 + mean]),
        "trainable": np.array([True, True, False]),
    }


def without(prefix):
    return {name: value for name, value in step().items() if not name.startswith(prefix)}


@pytest.mark.parametrize(
    "other",
    [
        step(),
        step(loss=2.0004),
        step(kernel=(0.5004, -0.25)),
        step(bias=(-1e-9,)),
    ],
    ids=["nothing", "loss", "gradient", "gradient of 0 but for rounding"],
)
def test_rounding_is_no_difference(other):
    found = compare(other, step())
    assert (found.same, found.detail) == (True, "")
    assert found.twin_loss == 2.0


@pytest.mark.parametrize(
    "other, said",
    [
        (step(loss=2.1), "loss 2.1, twin 2"),
        (step(loss=np.nan), "loss nan, twin 2"),
        (step(kernel=(0.5, 0.0)), "gradient 0.0 differs by 0.25 of 0.5"),
        (step(kernel=(np.nan, 0.0)), "gradient 0.0 differs by nan of 0.5"),
        (step(mean=0.3), "state weight 2 differs by 0.2 of 0.1"),
        (without("gradients/0.1"), "1 gradients, twin 2"),
        (without("gradients/"), "no gradient is applied: a loss scale skips the step"),
    ],
)
def test_difference_is_told(other, said):
    found = compare(other, step())
    assert (found.same, found.detail) == (False, said)


def test_update_is_compared_where_the_optimizer_is_to_blame():
    other = step() | {"after/0": np.array([1.0, 2.0])}
    assert compare(other, step()).same is True
    found = compare(other, step(), with_update=True)
    assert (found.same, found.detail) == (False, "update weight 0 differs by 0.05 of 0.05")


@pytest.mark.parametrize(
    "other, twin, said",
    [
        (step() | {"before/0": np.array([1.0, 2.1])}, step(), "the steps before differ: before/0"),
        (step() | {"before/0": np.array([1.0])}, step(), "the twin has other weights"),
        (step(), step(kernel=(np.inf, 0.0)), "gradients/0.0 of the twin is not finite"),
    ],
)
def test_what_cannot_be_compared_is_told(other, twin, said):
    found = compare(other, twin)
    assert found.same is None
    assert said in found.detail


@pytest.mark.slow
def test_step_of_a_real_case():
    (case,) = collect("overflow/soft_margin_triplets").cases
    backend = keras.backend.backend()
    on = environment(backend, sys.executable, warm=Pool())

    def fixed(line):
        text = case.path.read_text(encoding="utf-8")
        (old,) = (each for each in text.splitlines() if "# at fault" in each)
        new = text.replace(old, f"    return {line}")
        lines = text.splitlines(True), new.splitlines(True)
        diff = "".join(difflib.unified_diff(*lines, case.path.name, case.path.name))
        return compare_with_twin(case, on, ProposedFix(True, "source", "", diff))

    exact = fixed("K.logaddexp(0.0, to_positive - to_negative)")
    assert (exact.same, exact.detail) == (True, "")
    clamped = fixed("K.log1p(K.exp(K.minimum(to_positive - to_negative, 80.0)))")
    assert clamped.same is False
    assert clamped.loss < clamped.twin_loss
    assert exact.twin_loss == clamped.twin_loss
    other = fixed("K.log1p(K.exp(0.1 * (to_positive - to_negative)))")
    assert other.same is None
    assert "the steps before differ" in other.detail
