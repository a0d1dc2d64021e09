"""Why a step cannot be made again, in words."""

import pytest

from stayfinite.experiments.try_change import NotTried, attempt
from stayfinite.frameworks.batch import ChangeError
from stayfinite.frameworks.obstacles import Obstacle, WhyNot
from stayfinite.frameworks.step import CannotRemakeError
from stayfinite.report.wording.made_again import not_made_again
from stayfinite.report.wording.obstacles import clause
from stayfinite.report.wording.trials import not_tried


@pytest.mark.parametrize("obstacle", Obstacle)
def test_each_obstacle_has_a_clause(obstacle):
    said = clause(WhyNot(obstacle, "x", "train_step", 8))
    assert said and "None" not in said and "{" not in said
    assert not said.endswith(".")


@pytest.mark.parametrize(
    ("why", "said"),
    [
        (
            WhyNot(Obstacle.ARGUMENT_DELETED, "x", of="step"),
            "the function step() has deleted its argument x",
        ),
        (WhyNot(Obstacle.TOO_MANY_BATCHES, number=64), "the step has more than 64 batches"),
        (
            WhyNot(Obstacle.TIME_LIMIT, number=60.0),
            "the limit of 60 s for running the step again is reached",
        ),
        (
            WhyNot(Obstacle.CALLS_WITHOUT_UPDATE, "2 calls of f"),
            "2 calls of f ended without an update",
        ),
    ],
)
def test_names_and_numbers_are_told(why, said):
    assert clause(why) == said


def test_an_obstacle_to_a_trial_is_told_as_that_of_the_step():
    def run():
        raise CannotRemakeError(WhyNot(Obstacle.NO_LOOP))

    result = attempt(run)
    assert result == NotTried(None, WhyNot(Obstacle.NO_LOOP))
    assert not_tried(result) == "no loop is around the update"
    assert not_made_again(result) == "not made again: no loop is around the update"


def test_the_clause_of_an_error_is_told_as_it_is():
    def run():
        raise ChangeError("array `x` has its samples on another axis")

    assert not_tried(attempt(run)) == "array `x` has its samples on another axis"


def test_a_traceback_names_the_obstacle():
    error = CannotRemakeError(WhyNot(Obstacle.ARGUMENT_DELETED, "x", of="step"))
    assert str(error) == "argument deleted: x: step"
