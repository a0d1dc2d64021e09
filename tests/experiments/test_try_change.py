"""What a trial records: an outcome, or why there is none."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from stayfinite.diagnose.float64_run import Float64Run
from stayfinite.experiments.advice import try_advice
from stayfinite.experiments.remedies import initial_values
from stayfinite.experiments.try_change import NotTried, attempt, try_change
from stayfinite.frameworks.batch import ChangeError
from stayfinite.frameworks.change import ClipNorm, LearningRate
from stayfinite.frameworks.step import Outcome
from stayfinite.incident import TrialKind
from stayfinite.report.wording.trials import trial_of

FINITE, BAD = Outcome(1.0, {}, ()), Outcome(float("nan"), {}, ())


def users_step():
    raise ValueError("shapes do not match")


@pytest.mark.parametrize(("outcome", "said"), [(FINITE, "finite"), (BAD, "non-finite")])
def test_step_that_runs(outcome, said):
    trial = trial_of(try_change(ClipNorm(1.0), lambda: outcome))
    assert (trial.kind, trial.change, trial.outcome) == (TrialKind.CLIPNORM, "clipnorm=1", said)
    assert trial.detail == f"loss {outcome.loss:g}"


def test_error_of_the_users_code_is_a_result():
    experiment = try_change(LearningRate(0.1), users_step)
    assert experiment.result == NotTried("ValueError", "shapes do not match")
    trial = trial_of(experiment)
    assert (trial.change, trial.outcome) == ("learning rate / 10", "not-tried")
    assert trial.detail == "could not be tried: ValueError: shapes do not match"


def test_change_that_a_step_refuses_is_a_result():
    def refused():
        raise ChangeError("no other sample is left")

    assert attempt(refused) == NotTried(None, "no other sample is left")


def internal_error():
    return initial_values.fan(None)


def test_error_of_this_package_is_raised_in_strict_mode():
    with pytest.raises(TypeError):
        attempt(internal_error)


def test_error_of_this_package_is_a_result_for_a_user(monkeypatch):
    monkeypatch.delenv("STAYFINITE_STRICT")
    assert isinstance(attempt(internal_error), NotTried)


def test_learning_rate_of_a_step_without_an_optimizer_is_not_tried():
    class Step:
        subject = SimpleNamespace(fixed_rate="the step has no Keras optimizer")

        def run(self, change):
            return BAD

    step = Step()
    rate, *others = try_advice(step, Float64Run(step), first_run=0.0).experiments
    assert trial_of(rate).outcome == "not-tried"
    assert [trial_of(tried).outcome for tried in others] == ["non-finite"] * 3
    assert [trial_of(tried).change for tried in others] == [
        "clipnorm=1",
        "clipvalue=0.5",
        "float64",
    ]
