"""Lines at fault in an installed library: the remedies that are tried."""

from __future__ import annotations

import importlib
import sys

import pytest
import torch

import stayfinite
from stayfinite.frameworks.torch.plain.private import autocast_in_bfloat16

LIBRARY = """
import torch
from torch import nn


class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.up = nn.Linear(6, 8)
        self.down = nn.Linear(8, 1)

    def forward(self, x):
        return self.down(self.up(x) * self.up(x))


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(6, 4)
        self.logit_scale = nn.Parameter(torch.tensor(2.6592))

    def forward(self, x):
        logits = self.body(x) * self.logit_scale.exp()
        return torch.nn.functional.cross_entropy(logits, torch.arange(len(x)) % 4)


class Normed(nn.Module):
    def __init__(self, eps):
        super().__init__()
        self.body = nn.Linear(6, 1)
        self.eps = eps

    def forward(self, x):
        return self.body(x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps))
"""


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A package among those that are installed."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    (folder / "gatedlib.py").write_text(LIBRARY, encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))
    yield importlib.import_module("gatedlib")
    del sys.modules["gatedlib"]


def incident_of(train, tmp_path):
    with (
        pytest.raises(stayfinite.NonFiniteError) as raised,
        stayfinite.watching(keep=tmp_path / "kept"),
    ):
        train()
    return raised.value.incident


def test_autocast_to_float16_computes_in_bfloat16():
    layer, x = torch.nn.Linear(2, 2), torch.ones(1, 2)
    with torch.autocast("cpu", dtype=torch.float16):
        with autocast_in_bfloat16():
            outer = layer(x).dtype
            with torch.autocast("cpu", dtype=torch.float16):
                inner = layer(x).dtype
        after = layer(x).dtype
    assert (outer, inner, after) == (torch.bfloat16, torch.bfloat16, torch.float16)


def test_float16_is_tried_as_bfloat16_and_float32(library, tmp_path):
    def train():
        torch.manual_seed(0)
        model = library.Gated().half()
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
        for number in range(4):
            x = torch.randn(8, 6, dtype=torch.float16) * (600 if number == 2 else 1)
            loss = model(x).float().square().mean().sqrt()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    incident = incident_of(train, tmp_path)
    assert incident.cause.name == "half-overflow"
    assert "gatedlib.py:13 in Gated.forward: `self.up(x) * self.up(x)`" in incident.because[0]
    fix = incident.fix
    assert fix.verified and "`dtype=torch.bfloat16`" in fix.text
    assert fix.loss == pytest.approx(fix.reference_loss, rel=0.02)
    finite = [trial.change for trial in incident.trials if trial.outcome == "finite"]
    assert "float32 in the place of float16" in finite


def test_the_scale_of_logits_is_bounded(library, tmp_path):
    def train():
        torch.manual_seed(0)
        model = library.Scaled()
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
        with torch.no_grad():
            model.logit_scale.fill_(100.0)
        for _ in range(4):
            loss = model(torch.randn(8, 6))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    fix = incident_of(train, tmp_path).fix
    assert fix.verified and fix.text.startswith("keep `logit_scale` at most 4.605")


def test_an_epsilon_is_raised_to_the_usual_one(library, tmp_path):
    def train():
        torch.manual_seed(0)
        model = library.Normed(0.0)
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
        for number in range(4):
            x = torch.randn(8, 6)
            x[3] *= number != 2
            loss = model(x).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    fix = incident_of(train, tmp_path).fix
    assert fix.verified and fix.text.startswith("make the model with `eps=1e-06`")
