"""The rule of heavy states, and the search for the bad step in a window, without a framework."""

from __future__ import annotations

import math

import numpy as np
import pytest

from stayfinite.frameworks import heavy
from stayfinite.frameworks.heavy_steps import HeavySteps
from stayfinite.frameworks.recorded_steps import RecordedBatch

MEGABYTE = 2**20


class ReadyNumber(float):
    """A loss that is on the host."""

    def is_ready(self) -> bool:
        return True


class Sum(HeavySteps):
    """The state is a sum of the batches times a factor; the loss is the last batch."""

    def __init__(self, forgets=()):
        super().__init__(MEGABYTE)
        self.state = {"sum": 0.0, "factor": 1.0}
        self.kept = {}
        self.num_made = 0
        # Numbers of steps, in the order of being made, that the device computes as 0.
        self.forgets = set(forgets)

    def step(self, number, data, factor=None):
        if factor is not None:
            self.state["factor"] = factor
        self.begin_step({} if factor is None else {1: np.array(factor)})
        self.end_step(RecordedBatch(number, 0, number, data, 8), self.make(data))

    def make(self, data):
        data = 0.0 if self.num_made in self.forgets else data
        self.num_made += 1
        self.state["sum"] += self.state["factor"] * data
        return ReadyNumber(self.loss_of(data))

    def loss_of(self, data):
        return 1.0

    def wait(self):
        pass

    @property
    def snapshot_bytes(self):
        return 8

    def copy(self):
        self.kept = dict(self.state)

    def restore(self):
        self.state = dict(self.kept)

    def write(self, writes):
        for value in writes.values():
            self.state["factor"] = float(value)

    def is_finite(self):
        return math.isfinite(self.state["sum"])

    def is_bad(self, data):
        return not math.isfinite(data)

    def set_aside(self):
        return dict(self.state)

    def take_back(self, state):
        self.state = state

    def drop(self):
        self.state = {}


class LossOverflows(Sum):
    """The mean of the loss overflows at batches above 3."""

    def loss_of(self, data):
        return math.inf if data > 3 else 1.0


class BadLossOfFiniteState(LossOverflows):
    """A batch above 10 has a loss that is infinite, and leaves the state finite."""

    def is_bad(self, data):
        return data > 10


@pytest.fixture(autouse=True)
def one_window(monkeypatch):
    monkeypatch.setattr(heavy, "SHARE", 0.0)


@pytest.mark.parametrize("bad", [0, 5, 8, 19])
def test_first_bad_step_and_the_state_before_it(bad):
    steps = Sum()
    for number in range(20):
        steps.step(
            number, math.nan if number == bad else float(number), 2.0 if number == 3 else None
        )
    assert steps.check() == bad
    expected = sum(number * (1.0 if number < 3 else 2.0) for number in range(bad))
    assert steps.state["sum"] == expected
    assert steps.check() is None


def test_checked_steps_are_made_again_from_the_same_snapshot():
    steps = Sum()
    for number in range(4):
        steps.step(number, 1.0)
        assert steps.check() is None
    steps.step(4, math.inf)
    assert steps.needs_check() is False
    assert (steps.check(), steps.state["sum"]) == (4, 4.0)


def test_last_step_is_the_bad_one_where_nothing_is_bad_again():
    steps = Sum(forgets=range(12, 100))
    for number in range(12):
        steps.step(number, math.nan if number == 2 else 1.0)
    assert (steps.check(), math.isfinite(steps.state["sum"])) == (11, True)


def test_mean_of_the_loss_alone_makes_no_step_bad():
    steps = LossOverflows()
    for number in range(6):
        steps.step(number, float(number))
    assert steps.needs_check()
    assert (steps.check(), steps.trusts_loss, steps.state["sum"]) == (None, False, 15.0)


def test_a_bad_loss_is_found_behind_a_mean_that_overflows_before():
    steps = BadLossOfFiniteState()
    for number in range(20):
        steps.step(number, 20.0 if number == 12 else float(number % 6))
    assert (steps.check(), steps.trusts_loss, steps.state["sum"]) == (12, False, 30.0)


def test_large_write_begins_a_window():
    steps = Sum()
    steps.step(0, 1.0)
    steps.check()
    steps.begin_step(None)
    assert steps.kept["sum"] == 1.0


def test_window_that_ends_before_a_step_is_checked_first(monkeypatch):
    steps = Sum()
    steps.step(0, 1.0)
    steps.step(1, math.nan)
    # The data of the next step took long.
    monkeypatch.setattr(heavy, "SHARE", math.inf)
    steps.step(2, 1.0)
    assert steps.needs_check()
    assert (steps.check(), steps.state["sum"]) == (1, 1.0)


class Interrupted(Sum):
    """Ctrl-C while steps are made again."""

    def make(self, data):
        if self.num_made == 4:
            raise KeyboardInterrupt
        return super().make(data)


@pytest.mark.parametrize(("data", "left"), [((1.0, math.nan), 0.0), ((1.0, 5.0), 6.0)])
def test_interrupted_search_leaves_a_finite_state(data, left, monkeypatch):
    steps = Interrupted()
    for number, value in enumerate((*data, 0.0)):
        steps.step(number, value)
    # A mean of the loss that overflows has a search made, too.
    monkeypatch.setattr(steps, "_is_loss_bad", True)
    with pytest.raises(KeyboardInterrupt):
        steps.check()
    assert (steps.state["sum"], steps.has_window) == (left, False)


def test_snapshot_that_is_interrupted_in_a_search_is_not_restored(monkeypatch):
    steps = Sum()
    for number in range(12):
        steps.step(number, math.nan if number == 10 else 1.0)

    def torn():
        steps.kept = {"sum": math.nan, "factor": 1.0}
        raise KeyboardInterrupt

    monkeypatch.setattr(steps, "copy", torn)
    with pytest.raises(KeyboardInterrupt):
        steps.check()
    assert (steps.state["sum"], steps.has_window) == (8.0, False)


def test_rule_compares_state_and_batch():
    assert not heavy.is_heavy(heavy.MIN_STATE_BYTES - 1, 0)
    assert heavy.is_heavy(heavy.MIN_STATE_BYTES, 4 * MEGABYTE)
    assert not heavy.is_heavy(heavy.MIN_STATE_BYTES, 5 * MEGABYTE)
    assert heavy.is_heavy(1024 * MEGABYTE, 16 * MEGABYTE)


def test_window_is_over_by_time_and_by_bytes(monkeypatch):
    monkeypatch.setattr(heavy, "SHARE", 0.02)
    now = [0.0]
    window = heavy.Window(heavy.MIN_STATE_BYTES, clock=lambda: now[0])
    window.begin(cost=1.0)
    now[0] = 49.0
    assert not window.is_over()
    now[0] = 50.0
    assert window.is_over()
    window.begin(cost=1.0)
    window.add(heavy.MIN_BATCH_BUDGET)
    assert window.is_over()
