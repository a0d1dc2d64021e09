"""A clamp that moves the loss of a healthy step is not verified, however little it moves it."""

from __future__ import annotations

import importlib

import pytest
import torch
from torch import nn

import stayfinite
from stayfinite.experiments.applied_patch import AppliedPatch
from stayfinite.experiments.fix_search import FixSearch
from stayfinite.experiments.patch_trials import PatchTrials
from stayfinite.experiments.source_fix import SourceFix
from stayfinite.incident import Objection
from stayfinite.repair import BoundAdded, BoundedPart, SourceFile, TemplateEdit
from stayfinite.repair.edit import Replacement
from stayfinite.repair.engine.problem import FixValue

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


def train_exponent():
    """A cube root at 0 with a trained exponent, whose gradient 1e-12 leaves much of."""
    torch.manual_seed(0)
    scale, exponent = nn.Parameter(torch.tensor(1.0)), nn.Parameter(torch.tensor(3.0))
    optimizer = torch.optim.SGD([scale, exponent], lr=1e-5)
    for number in range(3):
        x = torch.ones(64)
        if number == 2:
            x[5] = 0.0
        p = x * scale
        root = p.pow(1.0 / exponent)  # of high degree
        loss = (root - 0.5).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def train_noise():
    """Gumbel noise of numbers that bfloat16 rounds to 1: the log of 0, and in float64 of 0.0015."""
    torch.manual_seed(6)
    net, codes = nn.Linear(10, 32).bfloat16(), nn.Linear(32, 10, bias=False).bfloat16()
    optimizer = torch.optim.SGD([*net.parameters(), *codes.parameters()], lr=0.1)
    for number in range(3):
        x, u = torch.randn(2, 10).bfloat16(), 0.1 + 0.8 * torch.rand(2, 32)
        if number == 2:
            u[1, 3] = 0.9985
        logits = net(x)  # what comes before this is the batch
        rates = -u.bfloat16().log()
        logarithm = rates.log()  # of a rounded number
        shares = (logits - logarithm).softmax(-1)
        loss = (codes(shares).float() - x.float()).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def train_directions():
    """Rows of length 1, one of which is 0 although its weights count."""
    net = nn.Linear(3, 3, bias=False)
    with torch.no_grad():
        net.weight.copy_(torch.eye(3))
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-12)
    wanted = torch.linspace(-1.0, 1.5, 24).reshape(8, 3)
    for number in range(3):
        x = 1.5 + torch.arange(24.0).reshape(8, 3) / 24
        if number == 2:
            x[2] = 1.0
        z = net(x) - 1.0
        length = z.square().sum(-1, keepdim=True).sqrt()  # of a row
        unit = z / length
        loss = (unit - wanted).square().mean()
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
    fix = tried(train, PLACE, "p.log()", text, monkeypatch, tmp_path)
    assert fix.trouble is trouble
    assert fix.verified is (trouble is None)


@pytest.mark.parametrize(("bound", "value"), [("1e-12", "changed"), ("1e-36", "exact")])
def test_a_bound_that_is_a_part_of_the_value_is_not_exact(bound, value, monkeypatch, tmp_path):
    place = "p.pow(1.0 / exponent)  # of high degree"
    text = f"p.clamp(min={bound}).pow(1.0 / exponent)"
    written = "p.pow(1.0 / exponent)"
    fix = tried(train_exponent, place, written, text, monkeypatch, tmp_path)
    assert fix.judged.value is FixValue(value)


def test_a_bound_in_the_place_of_a_rounded_number_is_not_exact(monkeypatch, tmp_path):
    place, text = "rates.log()  # of a rounded number", "rates.clamp(min=1e-7).log()"
    fix = tried(train_noise, place, "rates.log()", text, monkeypatch, tmp_path)
    assert fix.judged.value is FixValue.CHANGED


def test_a_formula_without_a_value_gets_a_usual_bound_and_no_other_is_tried(monkeypatch, tmp_path):
    fixes = []
    kept = PatchTrials.trial

    def trial(self, applied):
        fixes.append(kept(self, applied))
        return fixes[-1]

    monkeypatch.setattr(PatchTrials, "trial", trial)
    with pytest.raises(stayfinite.NonFiniteError) as caught, stayfinite.watching(keep=tmp_path):
        train_directions()
    assert "clamp(min=1e-12).sqrt()" in caught.value.incident.fix.diff
    assert not any("e-37" in fix.diff for fix in fixes if isinstance(fix, SourceFix))


def test_a_bound_with_gradients_that_end_the_training_is_told_as_such(monkeypatch, tmp_path):
    written = "z.square().sum(-1, keepdim=True).sqrt()"
    text = "z.square().sum(-1, keepdim=True).clamp(min=1e-37).sqrt()"
    place = f"{written}  # of a row"
    arguments = train_directions, place, written, text, monkeypatch, tmp_path
    fix, incident = tried_in_incident(*arguments)
    assert fix.far_gradients > 1e15
    assert "times those of any healthy step" in incident.fix.text


def tried(*arguments):
    """The fix that puts `text` in the place of `written`."""
    return tried_in_incident(*arguments)[0]


def tried_in_incident(training, place, written, text, monkeypatch, folder):
    """The fix that puts `text` in the place of `written`, and the incident with it."""
    found = []

    def find(step, diagnosis, wider, healthy, path):
        trials = PatchTrials(step, diagnosis, wider, healthy, path)
        source = SourceFile.of(__file__)
        start = source.text.index("= " + place) + 2
        piece = Replacement(start, start + len(written), text)
        edit = TemplateEdit(source, "clamp", (piece,), does=BoundAdded(BoundedPart.ARGUMENT))
        found.append(trials.trial(AppliedPatch.start(source).edited(edit, None)))
        return FixSearch(found[0])

    pipeline = importlib.import_module("stayfinite.explanation.pipeline")
    monkeypatch.setattr(pipeline, "find_source_fix", find)
    with pytest.raises(stayfinite.NonFiniteError) as caught, stayfinite.watching(keep=folder):
        training()
    [fix] = found
    return fix, caught.value.incident
