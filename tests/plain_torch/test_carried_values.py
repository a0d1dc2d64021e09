"""State that a step carries to the next one in attributes, buffers, dicts and lists."""

from __future__ import annotations

import collections

import numpy as np
import pytest
import torch

import stayfinite

ROWS = torch.arange(192.0).reshape(6, 8, 4).sin()
ROWS[4, 2] = 0.0


class Net(torch.nn.Module):
    """Its only singular point is a row of zeros, which the last gradients of its weights show."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first = torch.nn.Linear(4, 4, bias=False)
        self.last = torch.nn.Linear(4, 3, bias=False)
        self.optimizer = torch.optim.SGD(self.parameters(), lr=0.05)

    def forward(self, x):
        return self.last(self.first(x))


def update(net, outputs, carried):
    loss = torch.sqrt((outputs * outputs).sum(1)).mean() + (outputs - carried).square().mean()
    net.optimizer.zero_grad()
    loss.backward()
    net.optimizer.step()


class Centre(torch.nn.Module):
    """Two running means: one is bound anew in each step, the other one written to."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(3))
        self.register_buffer("sum", torch.zeros(3))

    def forward(self, x):
        self.mean = 0.9 * self.mean + 0.1 * x.detach().mean(0)
        self.sum += x.detach().mean(0)
        return self.mean + self.sum.clone()


class Memory:
    """Attributes that are bound anew, and an array that is filled in turn."""

    def __init__(self):
        self.value, self.count = None, 0
        self.rows = np.zeros((2, 3), np.float32)

    def add(self, x):
        row = x.detach().mean(0)
        before = row if self.value is None else self.value
        self.count += 1
        self.value = before + (row - before) / self.count
        self.rows[self.count % 2] += row.numpy()
        return self.value + torch.from_numpy(self.rows.sum(0))


def by_modules_and_objects(net):
    centre, memory = torch.nn.Sequential(Centre()), Memory()
    for x in ROWS:
        outputs = net(x)
        update(net, outputs, centre(outputs) + memory.add(outputs))


def by_containers(net):
    averages = {"weight": net.last.weight.detach().clone(), "rate": 1.0}
    means = collections.deque([torch.zeros(3), torch.ones(3)], maxlen=2)
    for x in ROWS:
        outputs = net(x)
        averages["weight"] = 0.9 * averages["weight"] + 0.1 * net.last.weight.detach()
        averages["rate"] *= 0.5
        means.append(outputs.detach().mean(0))
        update(net, outputs, averages["rate"] * averages["weight"].mean(1) + sum(means))


def by_a_list_of_batches(net):
    left = list(ROWS)
    while left:
        update(net, net(left.pop(0)), 0.0)


@pytest.mark.parametrize("train", [by_modules_and_objects, by_containers, by_a_list_of_batches])
def test_a_step_begins_with_what_the_one_before_has_left(train, tmp_path):
    net = Net()
    with pytest.raises(stayfinite.NonFiniteError) as caught, stayfinite.watching(keep=tmp_path):
        train(net)
    incident = caught.value.incident
    assert (incident.cause.name, incident.where.step) == ("singular-gradient", 4)
    assert "bit-equal" in str(caught.value)


@pytest.mark.filterwarnings("ignore:step 4 :RuntimeWarning")
def test_a_repaired_step_leaves_what_it_has_bound(tmp_path):
    """The average of the repaired run is that of one with the right formula from the beginning."""
    found = []
    for policy in ("repair", None):
        net = Net()
        held = {"mean": torch.zeros(3), "count": 0}
        if policy is None:
            for x in ROWS:
                step_of_means(net, x, held, torch.linalg.vector_norm)
        else:
            with stayfinite.watching(keep=tmp_path, policy=policy):
                for x in ROWS:
                    step_of_means(net, x, held, root_of_squares)
        found.append(held)
    assert found[0]["count"] == found[1]["count"] == 6
    torch.testing.assert_close(found[0]["mean"], found[1]["mean"], rtol=1e-5, atol=1e-6)


def step_of_means(net, x, held, norm):
    outputs = net(x)
    held["count"] += 1
    held["mean"] = held["mean"] + outputs.detach().mean(0) / held["count"]
    loss = norm(outputs, dim=1).mean() + (outputs - held["mean"]).square().mean()
    net.optimizer.zero_grad()
    loss.backward()
    net.optimizer.step()


def root_of_squares(x, dim):
    return torch.sqrt((x * x).sum(dim))
