"""How far roundings alone may move a step."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from stayfinite.experiments.comparison import alike, rounding_errors
from stayfinite.experiments.healthy_steps import HealthySteps
from stayfinite.frameworks.batch import Batch, BatchArray
from stayfinite.frameworks.change import Arrays, Compiled, OnBatch
from stayfinite.frameworks.step import Outcome

WEIGHTS = np.array([1.5, -2.0, 0.0], "float32")


class Amplifies:
    """A step whose gradient is `factor` times its weights; counts its runs."""

    def __init__(self, factor, dtype="float32"):
        self.factor = factor
        self.runs = 0
        self.trace = SimpleNamespace(values={0: SimpleNamespace(dtype=dtype)})
        leaves = (BatchArray("input", "x", np.ones(3, "float32")),)
        self.batch = Batch(leaves[0].value, leaves, lambda values: values[0], np.asarray)

    def state_arrays(self):
        return {"w": WEIGHTS, "count": np.array([3]), "rate": np.array(0.1)}

    def changed(self, change):
        assert isinstance(change, OnBatch)
        assert not np.array_equal(change.batch.data, self.batch.data), "inputs are moved, too"
        return self

    def run(self, change):
        self.runs += 1
        weights = WEIGHTS
        if isinstance(change, Arrays):
            assert set(change.values) == {"w"}, "a count and a scalar are no weights"
            weights = change.values["w"]
        return Outcome(float(np.sum(weights)), {"w": self.factor * weights}, ())


def errors(step, number=3):
    return [found.gradients["w"] for found in itertools.islice(rounding_errors(step), number)]


def test_estimates_grow_with_the_step_and_never_decrease():
    small, large = errors(Amplifies(1.0)), errors(Amplifies(1024.0))
    assert small == sorted(small) and large == sorted(large)
    assert 0 < small[0] < 1e-4
    assert large[-1] == 1024.0 * small[-1]


def test_gradients_that_differ_in_their_imaginary_parts_are_not_alike():
    one = Outcome(1.0, {"w": np.array([1.0 + 2.0j])}, ())
    other = Outcome(1.0, {"w": np.array([1.0 - 2.0j])}, ())
    assert alike(one, one, 1e-4) and not alike(one, other, 1e-4)


def test_a_step_that_is_partly_in_half_precision_is_moved_by_its_roundings():
    assert errors(Amplifies(1.0, "float16"))[0] > 100 * errors(Amplifies(1.0))[0]


def test_a_step_that_is_not_finite_has_no_estimate():
    step = Amplifies(np.nan)
    assert errors(step) == []
    assert step.runs == 1


def test_gradients_that_differ_by_less_than_the_estimate_are_alike():
    step = Amplifies(1000.0, "float16")
    (estimate,) = itertools.islice(rounding_errors(step), 1)
    plain = Outcome(1.0, {"w": 1000.0 * WEIGHTS}, ())
    moved = Outcome(1.0, {"w": 1000.0 * WEIGHTS + 0.5 * estimate.gradients["w"]}, ())
    beyond = Outcome(1.0, {"w": 1000.0 * WEIGHTS + 2.0 * estimate.gradients["w"]}, ())
    assert not alike(plain, moved, 0.0)
    assert alike(plain, moved, 0.0, estimate)
    assert not alike(plain, beyond, 0.0, estimate)


class Compiles:
    """A step that a compiler rounds by `compiled`, which operations one by one do not show."""

    def __init__(self, compiled, rounding=0.0):
        self.compiled, self.rounding = compiled, rounding
        self.trace = SimpleNamespace(values={})
        self.subject = SimpleNamespace(optimizers=[])

    def changed(self, change):
        if isinstance(change, Compiled):
            return Compiles(self.compiled, self.compiled)
        return self

    def run(self, change):
        return Outcome(1.0, {"w": WEIGHTS + np.float32(self.rounding)}, ())


@pytest.mark.parametrize("compiled", [0.0, 2.0**-20])
def test_healthy_steps_are_equal_if_they_are_as_one_program_too(compiled):
    healthy = HealthySteps(Compiles(0.0), [object()])
    patched = Compiles(compiled)
    assert healthy.objection(patched, clamps=False) is None
    assert healthy.are_equal
    healthy.compare_compiled(healthy.newest(patched.changed(Compiled())))
    assert healthy.are_equal == (compiled == 0.0)
