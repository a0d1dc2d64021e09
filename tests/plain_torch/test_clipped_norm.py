"""The norm of `clip_grad_norm_` in the place of a pass over the gradients, and where it is none."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_
from torch.optim.optimizer import register_optimizer_step_pre_hook

import stayfinite
from stayfinite.frameworks.torch import private
from stayfinite.frameworks.torch.plain.notes import StepNotes

BAD_STEP = 9


@pytest.fixture
def read(monkeypatch):
    """The identities of the tensors that were read, by pass."""
    passes = []
    plain = private.sum_of_squares

    def counted(copied, read):
        passes.append({id(tensor) for tensor in (*copied, *read)})
        return plain(copied, read)

    monkeypatch.setattr(private, "sum_of_squares", counted)
    return passes


class Loop:
    """A loop of 12 steps; `model.bad` is the number of the step in which a gradient is spoilt."""

    def __init__(self):
        torch.manual_seed(0)
        self.model = nn.Linear(4, 2)
        self.optimizer = torch.optim.Adam(self.model.parameters())
        self.step = 0

    def batches(self):
        for self.step in range(12):
            self.optimizer.zero_grad()
            self.model(torch.randn(8, 4)).square().mean().backward()
            yield self.step

    def spoil(self):
        if self.step == BAD_STEP:
            self.model.weight.grad.data[0, 0] = math.nan


def clipped(loop):
    for _ in range(12):
        loop.optimizer.zero_grad(set_to_none=False)
        loss = loop.model(torch.randn(8, 4)).square().mean()
        loss.backward()
        clip_grad_norm_(loop.model.parameters(), 0.1)
        loop.optimizer.step()


def test_gradients_that_were_just_clipped_are_not_read_again(tmp_path, read):
    guarded, bare = Loop(), Loop()
    with stayfinite.watching(keep=tmp_path):
        clipped(guarded)
    gradient = id(guarded.model.weight.grad)
    # The first steps are looked at in another way.
    assert sum(gradient in tensors for tensors in read) < 12 / 2
    torch.manual_seed(0)
    Loop()
    clipped(bare)
    assert all(map(torch.equal, guarded.model.parameters(), bare.model.parameters()))


def spoilt_before(loop):
    for _ in loop.batches():
        loop.spoil()
        norm = clip_grad_norm_(loop.model.parameters(), 0.1)
        loop.optimizer.step()
        loop.norm = norm


def spoilt_after(loop):
    for _ in loop.batches():
        clip_grad_norm_(loop.model.parameters(), 0.1)
        loop.spoil()
        loop.optimizer.step()


def spoilt_in_a_helper(loop):
    def clip():
        clip_grad_norm_(loop.model.parameters(), 0.1)
        loop.spoil()

    for _ in loop.batches():
        clip()
        loop.optimizer.step()


def clipped_now_and_then(loop):
    for step in loop.batches():
        loop.spoil()
        if step != BAD_STEP:
            clip_grad_norm_(loop.model.parameters(), 0.1)
        loop.optimizer.step()


def clipped_without_update(loop):
    for step in loop.batches():
        loop.spoil()
        if step != BAD_STEP:
            clip_grad_norm_(loop.model.parameters(), 0.1)
        if step != BAD_STEP - 1:
            loop.optimizer.step()


def clipped_in_part(loop):
    for _ in loop.batches():
        loop.spoil()
        clip_grad_norm_(loop.model.bias, 0.1)
        loop.optimizer.step()


def clipped_to_nothing(loop):
    for step in loop.batches():
        clip_grad_norm_(loop.model.parameters(), math.nan if step == BAD_STEP else 0.1)
        loop.optimizer.step()


def enlarged(loop):
    for step in loop.batches():
        clip_grad_norm_(loop.model.parameters(), -1e38 if step == BAD_STEP else 0.1)
        loop.optimizer.step()


def spoilt_by_a_hook(loop):
    handle = register_optimizer_step_pre_hook(lambda *args: loop.spoil())
    try:
        for _ in loop.batches():
            clip_grad_norm_(loop.model.parameters(), 0.1)
            loop.optimizer.step()
    finally:
        handle.remove()


@pytest.mark.parametrize(
    "train",
    [
        spoilt_before,
        spoilt_after,
        spoilt_in_a_helper,
        clipped_now_and_then,
        clipped_without_update,
        clipped_in_part,
        clipped_to_nothing,
        enlarged,
        spoilt_by_a_hook,
    ],
)
def test_a_bad_gradient_reaches_no_weight(train, tmp_path):
    loop = Loop()
    with pytest.raises(stayfinite.NonFiniteError), stayfinite.watching(keep=tmp_path):
        train(loop)
    assert loop.step == BAD_STEP
    held = [*loop.model.parameters(), *(v["exp_avg_sq"] for v in loop.optimizer.state.values())]
    assert all(bool(tensor.isfinite().all()) for tensor in held)


def test_a_step_of_a_scaler_is_noted_as_the_one_before(tmp_path, monkeypatch):
    noted = []
    plain = StepNotes.update

    def counted(*args):
        noted.append(args)
        return plain(*args)

    monkeypatch.setattr(StepNotes, "update", counted)
    loop = Loop()
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    with stayfinite.watching(keep=tmp_path):
        for _ in range(12):
            loop.optimizer.zero_grad()
            loss = loop.model(torch.randn(8, 4)).square().mean()
            scaler.scale(loss).backward()
            scaler.step(loop.optimizer)
            scaler.update()
    assert len(noted) < 12 / 2
