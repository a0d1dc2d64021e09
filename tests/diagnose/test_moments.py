"""Moments of Adam that no gradients can have made."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch

import stayfinite
from stayfinite.diagnose.moments import largest_ratio
from stayfinite.frameworks.optimizers import moments_of
from stayfinite.frameworks.torch.plain.optimizer import TorchOptimizer


@pytest.mark.parametrize("decays", [(0.9, 0.999), (0.5, 0.9), (0.95, 0.95), (0.0, 0.99)])
def test_bound_holds_for_every_series_of_gradients(decays):
    one, other = decays
    random = np.random.default_rng(0)
    first, second = np.zeros(200), np.zeros(200)
    largest = 0.0
    for step in range(60):
        sizes = 10.0 ** random.uniform(-6, 6, 200)
        # Powers of the ratio of the decays come nearest to the bound.
        sizes[:100] = (one / other) ** (60 - step) + 1e-12
        first = one * first + (1 - one) * sizes
        second = other * second + (1 - other) * sizes**2
        largest = max(largest, float((first / np.sqrt(second)).max()))
    assert 0.9 * largest_ratio(decays) < largest <= largest_ratio(decays) * (1 + 1e-9)


@pytest.mark.parametrize("decays", [(0.99, 0.9), (0.9, 0.0), (1.0, 1.0)])
def test_there_is_no_bound_where_the_first_moment_remembers_longer(decays):
    assert largest_ratio(decays) is None


def trained(kind, spoil, folder, lr=0.01, num_hidden=8, spoil_batch=None):
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(4, num_hidden), torch.nn.Linear(num_hidden, 1))
    optimizer = kind(net.parameters(), lr=lr)
    x = torch.randn(12, 8, 4)
    if spoil_batch is not None:
        x[8, 0, 3] = spoil_batch
    with pytest.raises(stayfinite.NonFiniteError) as caught, stayfinite.watching(keep=folder):
        for step in range(12):
            loss = (net(x[step]) - 1.0).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if step == 8:
                spoil(net[0].weight, optimizer)
    return caught.value.incident


def spoil_moment(weight, optimizer):
    optimizer.state[weight]["exp_avg"].view(-1)[3] = -1e29


def spoil_momentum(value):
    def spoil(weight, optimizer):
        optimizer.state[weight]["momentum_buffer"].view(-1)[3] = value

    return spoil


def spoil_nothing(weight, optimizer):
    """The steps alone make what fails."""


def spoil_weight(weight, optimizer):
    weight.data.view(-1)[3] = 1e30


def test_a_moment_that_was_changed_between_two_steps_is_named(tmp_path):
    incident = trained(torch.optim.AdamW, spoil_moment, tmp_path)
    assert (incident.cause.name, incident.where.step) == ("bad-update", 10)
    assert incident.cause.message == (
        "1 of 32 values of `adamw/0.weight/exp_avg` is -9e+28, as no gradients make it: it was "
        "changed between two steps"
    )


HEAVY_BALL = functools.partial(torch.optim.SGD, momentum=0.9)


@pytest.mark.parametrize(("value", "now"), [(1e30, "9e+29"), (float("nan"), "nan")])
def test_momentum_that_was_changed_between_two_steps_is_named(value, now, tmp_path):
    incident = trained(HEAVY_BALL, spoil_momentum(value), tmp_path)
    assert (incident.cause.name, incident.where.step) == ("bad-update", 10)
    assert incident.cause.message == (
        f"1 of 32 values of `sgd/0.weight/momentum_buffer` is {now}, as no gradients make it: it "
        "was changed between two steps"
    )


@pytest.mark.parametrize(("lr", "spoil_batch"), [(0.01, 1e15), (30.0, None)])
def test_momentum_that_gradients_made_was_not_changed(lr, spoil_batch, tmp_path):
    incident = trained(HEAVY_BALL, spoil_nothing, tmp_path, lr, 1, spoil_batch)
    assert "between two steps" not in incident.cause.message


def test_a_weight_beyond_which_no_update_is_finite_was_changed_between_two_steps(tmp_path):
    incident = trained(torch.optim.SGD, spoil_weight, tmp_path)
    assert (incident.cause.name, incident.where.step) == ("bad-weights", 9)
    assert incident.fix.verified


def test_other_optimizers_have_no_such_moments():
    class Other(torch.optim.Adam):
        """May define its moments in another way."""

    weight = torch.zeros(2, requires_grad=True)
    weight.grad = torch.ones(2)
    for kind, number in ((Other, 0), (torch.optim.SGD, 0), (torch.optim.Adam, 1)):
        optimizer = kind([weight])
        optimizer.step()
        assert len(moments_of(TorchOptimizer(optimizer, {}))) == number
