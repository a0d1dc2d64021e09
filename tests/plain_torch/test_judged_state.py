"""What else is judged at an update: settings, hooks of the optimizer, buffers and sparse slots."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import stayfinite
from stayfinite.frameworks.torch.plain.verdict import UpdateProof


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (torch.optim.RMSprop, "alpha", math.nan),
        (torch.optim.RMSprop, "alpha", 1.1),
        (torch.optim.RMSprop, "centered", True),
        (torch.optim.Adadelta, "rho", math.nan),
        (torch.optim.Adagrad, "lr_decay", math.inf),
        (torch.optim.NAdam, "momentum_decay", math.nan),
    ],
)
def test_a_setting_that_spoils_weights_is_no_proof(kind, name, value):
    optimizer = kind([torch.zeros(2)])
    proof = UpdateProof(optimizer)
    assert proof.holds(optimizer, 1.0)
    optimizer.param_groups[0][name] = value
    assert not proof.holds(optimizer, 1.0)


def train(model, optimizer, before_update=lambda step: None, num_steps=12):
    torch.manual_seed(0)
    for step in range(num_steps):
        optimizer.zero_grad()
        loss = model(torch.randn(8, 4)).square().mean()
        loss.backward()
        before_update(step)
        optimizer.step()


def are_finite(tensors):
    return all(bool(tensor.isfinite().all()) for tensor in tensors)


def test_a_gradient_that_a_hook_of_the_optimizer_spoils_reaches_no_weight(tmp_path):
    model = nn.Linear(4, 1)
    optimizer = torch.optim.Adam(model.parameters())

    def hook(optimizer, args, kwargs):
        if optimizer.state and optimizer.state[model.bias]["step"] == 8:
            model.bias.grad.fill_(math.nan)

    optimizer.register_step_pre_hook(hook)
    with pytest.raises(stayfinite.NonFiniteError), stayfinite.watching(keep=tmp_path):
        train(model, optimizer)
    assert are_finite(model.parameters())
    assert are_finite([optimizer.state[model.bias]["exp_avg"]])


def test_weights_that_were_finite_before_are_to_be_restored(tmp_path):
    torch.manual_seed(0)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(stayfinite.NonFiniteError) as caught, stayfinite.watching(keep=tmp_path):
        for step in range(6):
            optimizer.zero_grad()
            model(torch.randn(8, 4)).square().mean().backward()
            optimizer.step()
            if step == 4:
                with torch.no_grad():  # as a renormalization of a column of zeros
                    model.weight[:, 2:].div_(0 * model.weight[:, 2:])
    incident = caught.value.incident
    assert (incident.cause.name, incident.where.step) == ("bad-weights", 5)
    assert "before the step, and finite" in incident.cause.message
    assert incident.fix.verified, str(caught.value)
    assert "restore `weight` from a checkpoint" in incident.fix.text
    assert "the weights were non-finite before it" in str(caught.value)


class WithBuffers(nn.Module):
    """Fills buffers with numbers that are not finite on purpose."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 3)
        self.register_buffer("history", torch.full((100,), math.nan))
        self.register_buffer("mask", torch.zeros(3))
        self.register_buffer("distances", torch.zeros(3, 3), persistent=False)
        self.register_buffer("count", torch.zeros((), dtype=torch.long))

    def forward(self, x):
        result = self.inner(x)
        self.history[self.count] = result.detach().mean()
        self.count += 1
        self.mask.zero_()[1 + self.count % 2 :] = -math.inf
        self.distances.copy_(torch.cdist(result[:3].detach(), result[:3].detach()))
        self.distances.fill_diagonal_(math.inf)
        return result @ torch.softmax(self.mask, 0) + self.distances.min()


@pytest.mark.parametrize("kind", ["buffers", "sparse"])
def test_a_healthy_training_is_left_bit_for_bit(kind, tmp_path):
    def trained():
        torch.manual_seed(1)
        model = WithBuffers() if kind == "buffers" else Embedded()
        train(model, torch.optim.SGD(model.parameters(), 0.1, momentum=0.9), num_steps=40)
        return model.state_dict().values()

    alone = trained()
    with stayfinite.watching(keep=tmp_path):
        guarded = trained()
    for one, other in zip(alone, guarded, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)
    assert not [*tmp_path.glob("incident*")]


class Embedded(nn.Module):
    """Its gradients are sparse, and so are their moments."""

    def __init__(self):
        super().__init__()
        self.rows = nn.Embedding(20, 4, sparse=True)

    def forward(self, x):
        return self.rows((x[:, 0] * 100).long() % 20)


def test_a_bad_sparse_gradient_beside_its_momentum_is_stopped(tmp_path):
    model = Embedded()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)

    def spoil(step):
        if step == 8:
            model.rows.weight.grad._values()[-1, -1] = math.inf

    with pytest.raises(stayfinite.NonFiniteError) as caught, stayfinite.watching(keep=tmp_path):
        train(model, optimizer, spoil)
    assert caught.value.incident.where.step == 8
    assert are_finite(model.parameters())


def test_buffers_of_a_group_that_is_added_later_are_judged(tmp_path):
    first = nn.Linear(4, 4)
    added = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 1))
    optimizer = torch.optim.SGD(first.parameters(), 0.1)

    def change(step):
        if step == 4:
            optimizer.add_param_group({"params": [*added.parameters()]})
        if step == 8:
            added[0].running_var[0] = math.inf

    with pytest.raises(stayfinite.NonFiniteError) as caught, stayfinite.watching(keep=tmp_path):
        train(lambda x: added(first(x)), optimizer, change)
    assert caught.value.incident.cause.name == "bad-statistics"
    assert are_finite(added.state_dict().values())


@pytest.mark.parametrize("set_to_none", [True, False])
def test_a_loss_whose_gradients_were_discarded_is_of_no_step(set_to_none, tmp_path):
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    other = torch.ones(2, requires_grad=True)
    other.grad, other_optimizer = torch.ones(2), torch.optim.SGD([other], lr=0.1)
    inputs = torch.randn(6, 8, 4)
    inputs[3, 0, 0] = math.inf
    num_updates = 0
    with stayfinite.watching(keep=tmp_path, strict=True):
        for batch in inputs:
            optimizer.zero_grad(set_to_none=set_to_none)
            model(batch).square().mean().backward()
            norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            if torch.isfinite(norm):
                optimizer.step()
                num_updates += 1
    assert (num_updates, len(other_optimizer.param_groups)) == (5, 1)
