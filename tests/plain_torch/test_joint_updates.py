"""Optimizers that are applied one after another to gradients of one backward pass."""

import pytest
import torch

import stayfinite
from stayfinite.frameworks.torch.plain.joint_updates import JointUpdates


def optimizers(num=2):
    weights = [torch.nn.Parameter(torch.ones(2)) for _ in range(num)]
    return weights, [torch.optim.Adam([weight]) for weight in weights]


def term(weight, factor, *, is_bad):
    """A finite part of a loss; a bad one has an infinite gradient."""
    return ((weight - weight.detach()).sqrt() if is_bad else weight * factor).sum()


def apply(joint, weights, optimizers, bad=None):
    """Each optimizer up to the one with the number `bad`; the updates that were undone."""
    joint.differentiated()
    for number, weight in enumerate(weights):
        weight.grad = torch.full((2,), torch.nan if number == bad else 1.0)
    for number, optimizer in enumerate(optimizers):
        if number == bad:
            return joint.undo()
        joint.before(optimizer)
        optimizer.step()
        joint.applied(optimizer, None)
    return None


def test_earlier_updates_of_the_same_gradients_are_undone_and_made_after_all():
    joint, (weights, own) = JointUpdates(), optimizers(3)
    apply(joint, weights, own)
    before = [weight.detach().clone() for weight in weights]
    moments = own[0].state[weights[0]]["exp_avg"].clone()
    undone = apply(joint, weights, own, bad=2)
    assert [each.optimizer for each in undone.made] == own[:2]
    assert all(torch.equal(a, b) for a, b in zip(weights, before, strict=True))
    assert torch.equal(own[0].state[weights[0]]["exp_avg"], moments)
    undone.redo()
    assert not torch.equal(weights[0], before[0]) and torch.equal(weights[2], before[2])


def test_an_update_before_the_last_backward_pass_is_not_undone():
    joint, (weights, own) = JointUpdates(), optimizers()
    apply(joint, weights, own)
    joint.differentiated()
    assert not joint.undo().made


@pytest.mark.parametrize("clipped", [False, True])
def test_a_bad_gradient_that_the_loop_makes_finite_is_no_bad_step(clipped, tmp_path):
    def train():
        weights, own = optimizers()
        for step in range(4):
            for each in own:
                each.zero_grad()
            (weights[0].sum() + term(weights[1], 1.0, is_bad=step == 2)).backward()
            own[0].step()
            if clipped:
                torch.nn.utils.clip_grad_value_(weights[1], 1.0)
            own[1].step()
        return torch.stack([weight.detach() for weight in weights])

    if not clipped:
        with pytest.raises(stayfinite.NonFiniteError), stayfinite.watching(keep=tmp_path):
            train()
        return
    with stayfinite.watching(keep=tmp_path):
        guarded = train()
    assert torch.equal(guarded, train())


def test_a_step_that_is_left_out_is_left_out_for_each_of_them(tmp_path):
    def train(steps):
        weights, own = optimizers()
        for factor in steps:
            for each in own:
                each.zero_grad()
            (weights[0].square().sum() + term(weights[1], factor, is_bad=factor == 0.0)).backward()
            for each in own:
                each.step()
        return torch.stack([weight.detach() for weight in weights])

    watching = stayfinite.watching(keep=tmp_path, policy="skip")
    with watching, pytest.warns(RuntimeWarning, match="step 4"):
        skipped = train([1.0, 2.0, 0.0, 3.0])
    assert torch.equal(skipped, train([1.0, 2.0, 3.0]))


@pytest.mark.parametrize("bad", [0, 1, 2])
def test_a_bad_step_is_left_out_for_all_optimizers(bad, tmp_path):
    def train(*, is_by_hand):
        weights, own = optimizers(3)
        for step in range(5):
            for each in own:
                each.zero_grad()
            numbered = enumerate(weights)
            sum(term(w, 2.0, is_bad=step == 3 and n == bad) for n, w in numbered).backward()
            if is_by_hand and not all(weight.grad.isfinite().all() for weight in weights):
                continue
            for each in own:
                each.step()
        moments = [each.state[w]["exp_avg"] for each, w in zip(own, weights, strict=True)]
        return torch.stack([*(weight.detach() for weight in weights), *moments])

    with pytest.warns(RuntimeWarning), stayfinite.watching(policy="skip", keep=tmp_path):
        guarded = train(is_by_hand=False)
    assert torch.equal(guarded, train(is_by_hand=True))
