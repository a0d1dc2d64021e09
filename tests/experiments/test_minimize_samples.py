"""Which samples are found, on a step that fails as a test says."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from stayfinite.diagnose.facts.expressions import FullyMaskedRow
from stayfinite.diagnose.finding import Finding
from stayfinite.experiments import minimize_samples as minimal
from stayfinite.experiments.samples_at_fault import SamplesAtFault, with_samples
from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.change import SamplesFrom, WithoutSamples
from stayfinite.frameworks.step import Outcome

NUM_SAMPLES = 16
GOOD, BAD = Outcome(1.0, {}, ()), Outcome(float("nan"), {}, ())


class Step:
    """Its batch has the samples 0 to 15; `fails` tells whether a set of samples is non-finite."""

    def __init__(self, fails):
        self.trace = SimpleNamespace(num_samples=NUM_SAMPLES)
        self._fails = fails

    def run(self, change):
        samples = set(range(NUM_SAMPLES)) - set(change.samples)
        if isinstance(change, SamplesFrom) and change.other.data == "of other shape":
            raise ValueError(change.other.data)
        assert samples or isinstance(change, SamplesFrom)
        assert isinstance(change, SamplesFrom | WithoutSamples)
        return BAD if self._fails(samples) else GOOD


def search(step, healthy):
    found = minimal.smallest_samples(step, healthy)
    return found.smallest, found.too_slow


def batch(data):
    """A batch that only the step above looks into."""
    return Batch(data, (), pack=tuple, to_numpy=np.asarray)


HEALTHY = [batch("healthy")]
WITH = {"a healthy batch": HEALTHY, "none": [], "one of other shape": [batch("of other shape")]}


@pytest.mark.parametrize("healthy", WITH.values(), ids=WITH)
@pytest.mark.parametrize("bad", [{0}, {11}, {15}])
def test_one_sample(bad, healthy):
    found, too_slow = search(Step(lambda samples: samples & bad), healthy)
    assert (found.samples, found.alone, too_slow) == (tuple(bad), None, False)


def test_several_samples_of_which_each_fails():
    found, _ = search(Step(lambda samples: samples & {2, 3, 12}), HEALTHY)
    assert (found.samples, found.alone) == ((2, 3, 12), 2)


def test_samples_that_fail_together_only():
    found, _ = search(Step(lambda samples: {2, 12} <= samples), HEALTHY)
    assert (found.samples, found.alone) == ((2, 12), None)


@pytest.mark.parametrize("healthy", [HEALTHY, []])
def test_what_fails_on_any_samples_is_not_blamed_on_some(healthy):
    assert search(Step(lambda samples: True), healthy) == (None, False)


def test_most_of_the_batch_is_not_a_few_samples():
    found, _ = search(Step(lambda samples: samples & set(range(12))), HEALTHY)
    assert found is None


def test_batch_that_is_alike_throughout_has_no_sample_at_fault():
    # Without a healthy batch other samples of the same one are put in: still all alike.
    assert search(Step(lambda samples: samples), [])[0] is None


def test_sample_in_the_place_of_the_only_one_that_counts_is_not_at_fault():
    class ZeroSum(Step):
        """Fails where a sum over the batch is 0; 7 alone adds to that of the first healthy one."""

        def run(self, change):
            adding = {"first": {7}, "second": set(range(NUM_SAMPLES))}[change.other.data]
            return GOOD if adding & set(change.samples) else BAD

    step = ZeroSum(None)
    assert search(step, [batch("first")])[0].samples == (7,)
    assert search(step, [batch("first"), batch("second")]) == (None, False)


def test_samples_in_the_place_of_several_that_count_are_not_at_fault():
    """Rows that are alike have a variance of 0; each column varies by a few healthy rows only."""

    class Columns(Step):
        def run(self, change):
            varying = {"first": {2, 5, 10, 11}, "second": set(range(NUM_SAMPLES))}
            return GOOD if len(varying[change.other.data] & set(change.samples)) > 1 else BAD

    step = Columns(None)
    assert len(search(step, [batch("first")])[0].samples) == 3
    assert search(step, [batch("first"), batch("second")]) == (None, False)


def test_slow_step_is_not_searched(monkeypatch):
    monkeypatch.setattr(minimal, "_LONGEST_STEP", -1.0)
    found, too_slow = search(Step(lambda samples: samples & {3}), HEALTHY)
    assert found is None
    assert too_slow


@pytest.mark.parametrize(
    ("fails", "expected"),
    [
        (lambda samples: 6 in samples, (6,)),
        (lambda samples: samples & {6, 9}, (6, 9)),
        (lambda samples: {6, 9} <= samples, (6, 9)),
        (lambda samples: True, (6, 9)),
    ],
    ids=["one drags the other along", "each fails", "both together", "any samples"],
)
def test_samples_that_fail_by_themselves_among_those_named(fails, expected):
    assert minimal.failing_alone(Step(fails), (6, 9), HEALTHY) == expected


@pytest.mark.parametrize(
    ("alone", "named"), [(2, (3,)), (3, (2, 3)), (None, (2, 3))], ids=["other", "own", "pair"]
)
def test_a_sample_that_fails_at_another_op_is_not_one_of_the_op_at_fault(alone, named):
    finding = Finding("fully-masked-row", FullyMaskedRow(False, False), "softmax", samples=(3,))
    searched = minimal.SmallestSamples((2, 3), alone, num_runs=5)
    found = SamplesAtFault((2, 3), shown=True, bisection=searched)
    assert with_samples(finding, found).samples == named
