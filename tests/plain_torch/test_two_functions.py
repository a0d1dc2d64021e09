"""Fixes of formulas that span two functions, in loops over `torch.optim`."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import stayfinite


class Clicks(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(3, 1)

    def chance(self, inputs, temperature=1.0):
        """The chance of a click."""
        score = self.net(inputs).squeeze(-1)
        return 1 / (1 + torch.exp(-score / temperature))

    def loss(self, x, y):
        p = self.chance(x, temperature=2.0)
        return -(y * p.log() + (1 - y) * (1 - p).log()).mean()


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.choice = nn.Linear(3, 3)
        self.value = nn.Linear(3, 1)

    def forward(self, x):
        chances = torch.softmax(self.choice(x), dim=-1)
        return chances, self.value(x).squeeze(-1)


def policy_loss(policy, x, action):
    chances, value = policy(x)
    taken = torch.log(chances.gather(1, action.unsqueeze(1))).squeeze(1)
    return value.square().mean() - taken.mean()


def positions_loss(weigh, net, x, label):
    chances = weigh(net(x))
    chosen = chances[torch.arange(len(label)), label]
    return -torch.log(chosen).mean()


def batches():
    generator = torch.Generator().manual_seed(1)
    for number in range(4):
        x = torch.randn(8, 3, generator=generator)
        label = torch.randint(0, 3, (8,), generator=generator)
        if number == 2:
            x[3], label[3] = torch.tensor([160.0, 1.0, 2.0]), 1
        yield x, label


def train(model, loss_of):
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.eye(*weight.shape) if weight.ndim == 2 else weight)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
    for x, label in batches():
        optimizer.zero_grad()
        loss_of(x, label).backward()
        optimizer.step()


def fix_of(model, loss_of, folder):
    with pytest.raises(stayfinite.NonFiniteError) as caught, stayfinite.watching(keep=folder):
        train(model, loss_of)
    fix = caught.value.incident.fix
    assert (fix.verified, fix.value) == (True, "exact"), fix
    return fix.diff


def test_a_helper_that_reads_the_network_is_written_out_where_it_is_called(tmp_path):
    clicks = Clicks()
    diff = fix_of(clicks, lambda x, label: clicks.loss(x, (label == 0).float()), tmp_path)
    assert "-        p = self.chance(x, temperature=2.0)" in diff
    assert "+        score = self.net(x).squeeze(-1)" in diff
    assert "logsigmoid(" in diff and "def chance" not in diff


def test_a_network_with_two_outputs_gives_logits_to_the_function_that_calls_it(tmp_path):
    policy = Policy()
    diff = fix_of(policy, lambda x, label: policy_loss(policy, x, label), tmp_path)
    assert "+        chances = self.choice(x)" in diff
    assert "torch.log_softmax(chances, dim=-1)" in diff


def test_an_element_picked_by_a_parameter_is_part_of_the_formula(tmp_path):
    net = nn.Linear(3, 3)
    weigh = nn.Softmax(dim=1)
    diff = fix_of(net, lambda x, label: positions_loss(weigh, net, x, label), tmp_path)
    assert "log_softmax(" in diff
