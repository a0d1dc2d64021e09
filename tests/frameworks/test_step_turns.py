"""The number of a step among those of several hand-written loops."""

from stayfinite.frameworks.recorder import StepCount
from stayfinite.frameworks.step_turns import StepTurns


def test_steps_of_other_loops_count_as_they_were_made():
    turns, first, second = StepTurns(), StepCount(), StepCount()
    for count in (first, second, second, first, first, second):
        if turns.present is not count:
            turns.begin(count)
        count.num_steps += 1
    assert [turns.num_others_before(first, step) for step in range(3)] == [0, 2, 2]
    assert [turns.num_others_before(second, step) for step in range(3)] == [1, 1, 3]


def test_a_training_that_is_no_such_loop_has_no_others():
    turns = StepTurns()
    turns.begin(StepCount(5))
    assert turns.num_others_before(StepCount(), 3) == 0


def test_a_loop_that_ended_before_does_not_count():
    turns, earlier, first, second = StepTurns(), StepCount(), StepCount(), StepCount()
    for count in (earlier, earlier, first, second, first, second):
        if turns.present is not count:
            turns.begin(count)
        count.num_steps += 1
    assert [turns.num_others_before(first, step) for step in range(2)] == [0, 1]
    assert [turns.num_others_before(second, step) for step in range(2)] == [1, 2]
