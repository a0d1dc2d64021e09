"""Steps made again from an earlier state show what something else than a step has changed."""

from __future__ import annotations

import math

import numpy as np
import pytest

from stayfinite.frameworks import state_log
from stayfinite.frameworks.outside_changes import outside_change
from stayfinite.frameworks.recorded_steps import RecordedBatch
from stayfinite.frameworks.recorder import KnownFlag
from stayfinite.frameworks.state import State
from stayfinite.frameworks.state_log import StateLog
from stayfinite.frameworks.steps_again import made_again


class Sums:
    """A training whose weights are multiplied by `factor`, and the batch added; and its log."""

    def __init__(self, factor=1.0):
        self.factor = np.float32(factor)
        self.weights, self.rate = np.ones(200, "float32"), np.float32(1.0)
        self.log, self.writes, self.step = StateLog(), {}, 0

    def copied(self):
        return State.of([[self.weights.copy()], [], [np.array(self.rate)], []])

    def set_state(self, state):
        self.weights, self.rate = np.array(state.trainable[0]), np.float32(state.optimizer[0])

    def on_host(self, value):
        return np.asarray(value)

    def begin_sentinel(self):
        pass

    def make(self, data):
        if self.fails_again(None, data):
            return None, KnownFlag(0)
        self.weights = self.weights * self.factor + self.rate * data
        return None, KnownFlag(-1)

    def fails_again(self, state, data):
        return not (np.abs(self.weights) < 1e19).all()

    def write(self, position, array):
        """Other code writes to the state, and is seen."""
        self.writes[position] = np.array(array)
        if position == 0:
            self.weights = np.array(array)
        else:
            self.rate = np.float32(array)

    def train(self, num_steps):
        """Make steps as a guarded training does; returns the number of the first bad one."""
        for _ in range(num_steps):
            self.log.begin_call(self.step, self.writes, None, lambda: 804, self.copied)
            self.writes = {}
            data = np.float32(self.step)
            flag = int(self.make(data)[1])
            self.log.end_call([RecordedBatch(self.step, None, None, data, 4)])
            if flag >= 0:
                return self.step
            self.step += 1
        return None

    def again(self, bad):
        return made_again(self, self.log.until(bad), self.copied(), np.float32(bad))


@pytest.fixture(autouse=True)
def no_clock(monkeypatch):
    monkeypatch.setattr(state_log.Window, "is_over", lambda window: False)


def changed(array, value, at=7):
    array = array.copy()
    array[at] = value
    return array


@pytest.mark.parametrize("is_seen", [True, False])
def test_one_number_that_was_changed_is_found(is_seen):
    plain, spoiled = Sums(), Sums()
    plain.train(5)
    spoiled.train(5)
    if is_seen:
        spoiled.write(0, changed(spoiled.weights, 1e30))
    else:
        spoiled.weights[7] = 1e30
    bad = spoiled.train(9)
    assert bad == 5
    before = spoiled.weights.copy()
    again = spoiled.again(bad)
    (change,) = again.changes
    assert (change.position, change.num_changed, change.size) == (0, 1, 200)
    assert (change.step, change.now) == (5 if is_seen else None, pytest.approx(1e30))
    np.testing.assert_array_equal(again.state.trainable[0], plain.weights)
    np.testing.assert_array_equal(spoiled.weights, before)


def test_what_a_program_sets_is_set_again():
    plain, spoiled = Sums(), Sums()
    for training in (plain, spoiled):
        training.train(2)
        training.write(1, 0.25)
        training.train(2)
    spoiled.write(0, changed(spoiled.weights, -np.inf))
    again = spoiled.again(spoiled.train(1))
    np.testing.assert_array_equal(again.state.trainable[0], plain.weights)
    assert again.state.optimizer[0] == np.float32(0.25)


def test_growth_by_the_steps_is_no_change():
    training = Sums(factor=1e7)
    bad = training.train(9)
    assert bad is not None
    assert training.again(bad) is None


def test_a_whole_array_is_written_on_purpose():
    training = Sums()
    training.train(3)
    training.write(0, np.full(200, 1e30))
    assert training.again(training.train(1)) is None


def test_the_copy_before_the_newest_is_the_first(monkeypatch):
    monkeypatch.setattr(state_log.Window, "is_over", lambda window: True)
    training = Sums()
    training.train(3 * state_log.MIN_CALLS + 1)
    logged = training.log.until(training.step - 1)
    assert logged.first.step == 2 * state_log.MIN_CALLS
    assert [call.step for call in logged.calls] == list(range(logged.first.step, training.step))


def test_a_large_write_begins_anew():
    training = Sums()
    training.train(3)
    training.writes = None
    training.train(2)
    assert training.log.until(4).first.step == 3


def test_a_large_state_is_not_copied():
    log = StateLog()
    for step in range(2):
        log.begin_call(step, {}, None, lambda: state_log.MAX_BYTES + 1, lambda: 1 / 0)
        log.end_call([])
    assert log.until(1) is None


def test_a_batch_that_may_be_written_to_ends_the_log():
    log = StateLog()
    log.begin_call(0, {}, None, lambda: 4, lambda: State.of([[], [], [], []]))
    log.end_call([RecordedBatch(0, None, None, None, 4, is_borrowed=True)])
    assert log.until(0) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1e4, True), (math.nan, True), (-2.0, True), (3.3, False), (2.0 * 2**16, True), (2.0, False)],
)
def test_which_change_of_one_number_is_a_fault(value, expected):
    made = np.full(200, 2.0, "float32")
    change = outside_change(made, changed(made, value), 0, None)
    assert (change is not None) == expected


def test_two_of_few_numbers_are_no_fault():
    made = np.zeros(100, "float32")
    assert outside_change(made, changed(changed(made, 1e9), 1e9, 3), 0, None) is None
    assert outside_change(np.float32(0.1), np.float32(1e9), 0, None) is None
    assert outside_change(np.zeros(4, "int32"), np.full(4, 9, "int32"), 0, None) is None
