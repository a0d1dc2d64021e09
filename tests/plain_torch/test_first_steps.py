"""The first steps of a loop: generators of the user, and snapshots of the trained network."""

from __future__ import annotations

import importlib

import pytest
import torch
from torch import nn

import stayfinite
from stayfinite.frameworks.recorder import Recorder
from stayfinite.frameworks.torch.plain.loop_snapshots import LoopSnapshots
from stayfinite.frameworks.torch.plain.modules import NamedModule
from stayfinite.frameworks.torch.plain.subject import TorchLoop


def train(bad):
    """The batch is drawn inside the loop; what is drawn decides whether the step is finite."""
    draws = torch.Generator().manual_seed(0)
    net = nn.Linear(4, 1, bias=False).bfloat16()
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3)
    expected = torch.Generator().manual_seed(0)
    at_fault = [torch.randn(8, 4, generator=expected) for _ in range(bad + 1)][bad][2, 1]
    for _ in range(3):
        x = torch.randn(8, 4, generator=draws)
        scale = torch.where(x == at_fault, 0.0, 1.0).bfloat16()
        loss = (net(x.bfloat16()) / scale).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.mark.parametrize("bad", [0, 1])
def test_a_generator_of_the_user_is_known_from_the_first_step_on(bad, monkeypatch, tmp_path):
    pipeline = importlib.import_module("stayfinite.explanation.pipeline")
    monkeypatch.setattr(pipeline, "find_source_fix", lambda *_: None)
    with pytest.raises(stayfinite.NonFiniteError) as caught, stayfinite.watching(keep=tmp_path):
        train(bad)
    incident = caught.value.incident
    assert (incident.cause.name, incident.where.step) == ("division-by-zero", bad)
    # A gradient in bfloat16 is applied again with a lower rate.
    assert "learning-rate" in {trial.kind for trial in incident.trials}


def subject_of(network):
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    return TorchLoop(optimizer, [NamedModule("net", network)], [], None)


def test_a_snapshot_is_of_the_network_that_it_was_taken_of():
    one, other = subject_of(nn.Linear(2, 2)), subject_of(nn.Linear(2, 2))
    recorder, snapshots = Recorder(), LoopSnapshots()
    assert not snapshots.is_due(0) and snapshots.is_due(1)
    snapshots.take(recorder, 1, lambda: one)
    assert [kept.step for kept in snapshots.of(recorder, one)] == [1]
    assert snapshots.of(recorder, other) == []
