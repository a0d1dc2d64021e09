"""A clamp that moves the loss of a healthy step is not verified, however little it moves it."""

from __future__ import annotations

import importlib

import pytest
import torch
from torch import nn

import stayfinite
from stayfinite.experiments.applied_patch import AppliedPatch
from stayfinite.experiments.healthy_steps import Objection
from stayfinite.experiments.patch_trials import PatchTrials
from stayfinite.repair import Edit, SourceFile
from stayfinite.repair.edit import Replacement

PLACE = "p.log()  # at fault"


def train():
    torch.manual_seed(0)
    net = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        net.weight.fill_(1.0)
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-5)
    for number in range(4):
        x, y = torch.rand(8, 1), torch.ones(8)
        if number == 1:
            x[3], y[3] = 2e-8, 2e-3
        if number == 3:
            x[3], y[3] = 0.0, 0.0
        p = net(x).squeeze(-1).abs()
        logarithm = p.log()  # at fault
        loss = -(y * logarithm).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.mark.parametrize(
    ("text", "trouble"),
    [
        ("p.clamp(min=1e-7).log()", Objection.CHANGES_HEALTHY_STEPS),
        ("p.clamp(min=1e-12).log()", None),
    ],
)
def test_healthy_steps_tell_a_clamp_from_a_rounding(text, trouble, monkeypatch, tmp_path):
    found = []

    def tried(step, diagnosis, wider, healthy, path):
        trials = PatchTrials(step, diagnosis, wider, healthy, path)
        source = SourceFile.of(__file__)
        start = source.text.rindex(PLACE)
        piece = Replacement(start, start + len("p.log()"), text)
        edit = Edit(source, "clamp", text, (piece,))
        found.append(trials.trial(AppliedPatch.start(source).edited(edit, None)))

    pipeline = importlib.import_module("stayfinite.explanation.pipeline")
    monkeypatch.setattr(pipeline, "find_source_fix", tried)
    with pytest.raises(stayfinite.NonFiniteError), stayfinite.watching(keep=tmp_path):
        train()
    [fix] = found
    assert fix.trouble is trouble
    assert fix.verified is (trouble is None)
