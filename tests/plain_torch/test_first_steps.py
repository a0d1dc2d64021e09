"""The first steps of a loop that draws its batches from a generator of its own."""

from __future__ import annotations

import importlib

import pytest
import torch
from torch import nn

import stayfinite


def train(bad, *, is_late):
    """The batch is drawn inside the loop; what is drawn decides whether the step is finite."""
    draws = None if is_late else torch.Generator().manual_seed(0)
    net = nn.Linear(4, 1, bias=False).bfloat16()
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3)
    draws = draws or torch.Generator().manual_seed(0)
    expected = torch.Generator().manual_seed(0)
    at_fault = [torch.randn(8, 4, generator=expected) for _ in range(bad + 1)][bad][2, 1]
    for _ in range(3):
        x = torch.randn(8, 4, generator=draws)
        scale = torch.where(x == at_fault, 0.0, 1.0).bfloat16()
        loss = (net(x.bfloat16()) / scale).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.mark.parametrize(("bad", "is_late"), [(0, False), (1, False), (0, True)])
def test_a_generator_of_the_user_is_known_from_the_first_step_on(
    bad, is_late, monkeypatch, tmp_path
):
    """One that is made after the optimizer is not; the step begins after its first draw then."""
    pipeline = importlib.import_module("stayfinite.explanation.pipeline")
    monkeypatch.setattr(pipeline, "find_source_fix", lambda *_: None)
    with pytest.raises(stayfinite.NonFiniteError) as caught, stayfinite.watching(keep=tmp_path):
        train(bad, is_late=is_late)
    incident = caught.value.incident
    assert (incident.cause.name, incident.where.step) == ("division-by-zero", bad)
    # A gradient in bfloat16 is applied again with a lower rate.
    assert "learning-rate" in {trial.kind for trial in incident.trials}
