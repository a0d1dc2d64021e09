"""Fixes of half precision in loops over `torch.optim`: which of them are called verified."""

from __future__ import annotations

import importlib

import pytest
import torch
from torch import nn

import stayfinite
from stayfinite.experiments.applied_patch import AppliedPatch
from stayfinite.experiments.patch_trials import PatchTrials
from stayfinite.incident import Objection
from stayfinite.repair import ComputedInFloat32, SourceFile, TemplateEdit, WidePart
from stayfinite.repair.edit import Replacement
from tests.repair.helpers import texts


class Energy(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(1, 4, 5, padding=2)
        self.head = nn.Linear(4, 1)

    def forward(self, signal):
        h = self.conv(signal.unsqueeze(1))
        energy = (h * h).sum(-1)
        return self.head(torch.log1p(energy.float())).squeeze(-1)


def train():
    torch.manual_seed(3)
    model = Energy()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)
    for number in range(8):
        signal = torch.randn(8, 32) * (120.0 if number == 6 else 1.0)
        with torch.autocast("cpu", dtype=torch.float16):
            loss = model(signal).float().square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.fixture
def fixes(monkeypatch, tmp_path):
    """A function that gives the fix by each text in the place of `(h * h).sum(-1)`."""
    pipeline = importlib.import_module("stayfinite.explanation.pipeline")
    found = {}

    def of(*texts):
        def tried(step, diagnosis, wider, healthy, path):
            trials = PatchTrials(step, diagnosis, wider, healthy, path)
            source = SourceFile.of(__file__)
            start = source.text.index("(h * h).sum(-1)")
            for text in texts:
                piece = Replacement(start, start + len("(h * h).sum(-1)"), text)
                does = ComputedInFloat32(WidePart.OPERATION)
                edit = TemplateEdit(source, "float32", (piece,), does=does)
                found[text] = trials.trial(AppliedPatch.start(source).edited(edit, None))

        monkeypatch.setattr(pipeline, "find_source_fix", tried)
        with pytest.raises(stayfinite.NonFiniteError), stayfinite.watching(keep=tmp_path):
            train()
        return [found[text] for text in texts]

    return of


def test_a_fix_that_casts_what_has_nearly_no_room_is_not_verified(fixes):
    behind, before = fixes("(h * h).float().sum(-1)", "h.float().square().sum(-1)")
    assert (behind.verified, behind.trouble) == (False, Objection.HAS_NO_ROOM)
    assert (before.verified, before.trouble) == (True, None)
    assert before.rank < behind.rank


def entropy_loss(z, y):
    p = torch.softmax(z, -1)
    return -(y * torch.log(p + 1e-9)).sum(-1).mean()


def test_an_epsilon_that_half_precision_loses_is_kept_by_float32(tmp_path):
    torch.manual_seed(0)
    net = nn.Linear(4, 4).half()
    optimizer = torch.optim.SGD(net.parameters(), 1e-4)
    with pytest.raises(stayfinite.NonFiniteError) as caught, stayfinite.watching(keep=tmp_path):
        for number in range(3):
            x, y = torch.randn(8, 4).half(), torch.softmax(torch.randn(8, 4), -1).half()
            optimizer.zero_grad()
            entropy_loss(x * (40 if number == 2 else 1) + net(x), y).backward()
            optimizer.step()
    fix = caught.value.incident.fix
    assert (fix.verified, fix.value) == (True, "exact")
    assert "+    p = torch.softmax(z.float(), -1)" in fix.diff


PRODUCT = """
import torch

def score(q, k):
    found = «torch.matmul(q, k.transpose(1, 2))»  # of all pairs
    return found
"""


def test_a_product_of_matrices_is_taken_out_of_autocast():
    block = """    with torch.autocast(q.device.type, enabled=False):
        found = torch.matmul(q.float(), k.float().transpose(1, 2))  # of all pairs
"""
    assert any(block in text for text in texts(PRODUCT, "half-overflow"))
