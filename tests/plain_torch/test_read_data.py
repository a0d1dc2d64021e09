"""Batches that the code of a step makes of arrays outside of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import stayfinite

ROWS = np.random.default_rng(0).normal(size=(6, 8, 4)).astype("float32")


def one_bad(step):
    rows = ROWS.copy()
    rows[step, 2, 1] = np.nan
    return rows


def update(optimizer, outputs):
    loss = (outputs - 1.0).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def with_guard_clauses(net, optimizer, rows):
    for step in range(6):
        if step == 4:
            continue
        if step > 4:
            print("end")
            break
        x = torch.tensor(rows[step])
        update(optimizer, net(x))


def without_a_name(net, optimizer, rows):
    for step in range(6):
        update(optimizer, net(torch.tensor(rows[step])))


@pytest.mark.parametrize("step", [0, 3])
@pytest.mark.parametrize(
    ("train", "found"), [(with_guard_clauses, "sample 2"), (without_a_name, "at [2, 1]")]
)
def test_array_that_a_step_reads_is_data(train, found, step, tmp_path):
    torch.manual_seed(0)
    net = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with pytest.raises(stayfinite.NonFiniteError) as caught, stayfinite.watching(keep=tmp_path):
        train(net, optimizer, one_bad(step))
    incident = caught.value.incident
    assert (incident.cause.name, incident.where.step) == ("bad-input", step)
    assert found in str(caught.value)


def test_drawn_batch_that_the_step_writes_to(tmp_path):
    """Each run of the step begins with the batch as it was drawn."""
    torch.manual_seed(0)
    net = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

    def train():
        for step in range(6):
            x = torch.randn(8, 4)
            if step == 3:
                x[2] *= 3000
            update(optimizer, net(x) / (x.abs().amax(1, keepdim=True) < 300))

    with pytest.raises(stayfinite.NonFiniteError) as caught, stayfinite.watching(keep=tmp_path):
        train()
    incident = caught.value.incident
    assert (incident.cause.name, incident.where.step) == ("division-by-zero", 3)
