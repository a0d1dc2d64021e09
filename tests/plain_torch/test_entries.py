"""`stayfinite.watching` and `stayfinite.guarded` for loops over `torch.optim`."""

from __future__ import annotations

import builtins
import copy
import warnings

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import stayfinite


@pytest.fixture
def data():
    torch.manual_seed(0)
    x, y = torch.randn(64, 4), torch.randn(64, 1)
    x[33, 1] = float("nan")
    return x, y


@pytest.fixture
def training():
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 1))
    return model, torch.optim.Adam(model.parameters(), 1e-2)


def train(model, optimizer, x, y):
    num_steps = 0
    for inputs, labels in DataLoader(TensorDataset(x, y), 8):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(inputs), labels)
        loss.backward()
        optimizer.step()
        num_steps += 1
    return num_steps


def is_finite(model):
    return all(bool(torch.isfinite(value).all()) for value in model.state_dict().values())


def test_a_loop_inside_watching_is_stopped_before_the_update(data, training, tmp_path):
    model, optimizer = training
    with pytest.raises(stayfinite.NonFiniteError) as caught, stayfinite.watching(keep=tmp_path):
        train(model, optimizer, *data)
    incident = caught.value.incident
    assert (incident.where.step, incident.cause.name) == (4, "bad-input")
    assert incident.origin.samples == (1,)
    assert incident.origin.tensor == "inputs"
    assert is_finite(model)
    slots = optimizer.state[model[0].weight]
    assert float(slots["step"]) == 4 and bool(torch.isfinite(slots["exp_avg"]).all())


def test_policy_skip_leaves_the_step_out(data, training, tmp_path):
    model, optimizer = training
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with stayfinite.watching(keep=tmp_path, policy="skip"):
            assert train(model, optimizer, *data) == 8
    assert any("the step is left out" in str(each.message) for each in told)
    assert is_finite(model) and float(optimizer.state[model[0].weight]["step"]) == 7


def test_nothing_is_judged_after_the_block(data, training, tmp_path):
    model, optimizer = training
    with stayfinite.watching(keep=tmp_path):
        train(model, optimizer, data[0][:8], data[1][:8])
    assert train(model, optimizer, *data) == 8
    assert not is_finite(model)


def test_an_internal_error_ends_the_guard_and_not_the_training(
    data, training, tmp_path, monkeypatch
):
    def broken(*args):
        raise ZeroDivisionError("broken")

    monkeypatch.setattr("stayfinite.frameworks.torch.plain.notes.place_of", broken)
    monkeypatch.delenv("STAYFINITE_STRICT")
    with (
        pytest.warns(RuntimeWarning, match="ZeroDivisionError: broken; this training runs unguard"),
        stayfinite.watching(keep=tmp_path),
    ):
        assert train(*training, *data) == 8


def test_a_guarded_step_is_made_again_by_a_call(data, training, tmp_path):
    model, optimizer = training

    def train_step(inputs, labels, scale=1.0):
        optimizer.zero_grad()
        loss = scale * nn.functional.mse_loss(model(inputs), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    step = stayfinite.guarded(train_step, keep=tmp_path)
    x, y = data
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        for start in range(0, 64, 8):
            assert step(x[start : start + 8], labels=y[start : start + 8]) > 0
    incident = caught.value.incident
    assert (incident.where.step, incident.cause.name) == (4, "bad-input")
    assert incident.made_again.startswith("made again from: a call of ")
    assert incident.made_again.endswith("train_step, bit-equal to training")
    assert is_finite(model)


@pytest.mark.parametrize("what", ["step", "update", "loss"])
def test_a_guarded_update_alone_is_stopped_and_says_what_to_guard(training, tmp_path, what):
    model, optimizer = training

    def update():
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    def apply(loss):
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    functions = {"step": optimizer.step, "update": update, "loss": apply}
    guarded = stayfinite.guarded(functions[what], keep=tmp_path)
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        for factor in (1.0, float("nan")):
            loss = model(torch.ones(8, 4) * factor).square().mean()
            if what == "loss":
                guarded(loss)
            else:
                optimizer.zero_grad()
                loss.backward()
                guarded()
    incident = caught.value.incident
    assert incident.where.step == 1
    assert "guard the function that computes loss, gradients and update" in incident.made_again
    assert all(bool(torch.isfinite(weight).all()) for weight in model.parameters())


def test_a_step_that_cannot_be_made_again_is_stopped_with_the_reason(data, training, tmp_path):
    model, optimizer = training
    x, y = data

    def batches():
        optimizer.zero_grad()
        for start in range(0, 64, 8):
            loss = nn.functional.mse_loss(model(x[start : start + 8]), y[start : start + 8])
            loss.backward()
            is_last = yield loss  # what is sent is not known
            optimizer.step()
            optimizer.zero_grad(set_to_none=not is_last)

    with pytest.raises(stayfinite.NonFiniteError) as caught, stayfinite.watching(keep=tmp_path):
        list(batches())
    incident = caught.value.incident
    assert (incident.where.step, incident.cause.name) == (4, "unknown")
    assert incident.made_again.startswith("not made again: ")
    assert incident.spread.num_gradients_nonfinite > 0
    assert is_finite(model)


def test_next_is_that_of_python_again_after_the_loop(training, tmp_path):
    model, optimizer = training
    batches = (torch.randn(8, 4) for _ in range(5))
    with stayfinite.watching(keep=tmp_path):
        for _ in range(5):
            inputs = next(batches)
            optimizer.zero_grad()
            model(inputs * 2).square().mean().backward()
            optimizer.step()
        noting = globals()["next"]
    assert "next" not in globals()
    # In another process it is the builtin.
    assert copy.copy(noting) is builtins.next
