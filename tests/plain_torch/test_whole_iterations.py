"""A fix is compared on healthy steps with the other updates of their iterations."""

from __future__ import annotations

import importlib

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

import stayfinite
from stayfinite.experiments.applied_patch import AppliedPatch
from stayfinite.experiments.patch_trials import PatchTrials
from stayfinite.incident import Objection
from stayfinite.repair import BoundAdded, BoundedPart, SourceFile, TemplateEdit
from stayfinite.repair.edit import Replacement

BOUND = "p.clamp(min=1e-30).log()"
BOTH = f"{BOUND} + 0 * (gain := 2.0)"


class Pair:
    def __init__(self):
        torch.manual_seed(0)
        self.critic, self.generator = nn.Linear(2, 1), nn.Linear(2, 2)
        self.of_critic = torch.optim.SGD(self.critic.parameters(), lr=1e-5)
        self.of_generator = torch.optim.SGD(self.generator.parameters(), lr=1e-5)
        self.noise = iter(DataLoader(torch.rand(64, 2), 8))


def alternating(pair, *, draws):
    for number in range(4):
        gain = 1.0
        p = pair.critic(torch.rand(8, 2)).square().sum(-1) * float(number < 3)
        logarithm = p.log()  # alternating
        pair.of_critic.zero_grad(set_to_none=False)
        (-(p * logarithm).mean()).backward()
        pair.of_critic.step()
        pair.of_generator.zero_grad()
        made = pair.generator(next(pair.noise) if draws else torch.rand(8, 2))
        (gain * pair.critic(made)).mean().backward()
        pair.of_generator.step()


def several(pair, *, draws):
    for number in range(2):
        for of_critic in range(3):
            p = pair.critic(torch.rand(8, 2)).square().sum(-1) * float(number + of_critic < 3)
            logarithm = p.log()  # several
            pair.of_critic.zero_grad()
            (-(p * logarithm).mean()).backward()
            pair.of_critic.step()
        pair.of_generator.zero_grad()
        pair.critic(pair.generator(torch.rand(8, 2))).mean().backward()
        pair.of_generator.step()


@pytest.mark.parametrize(
    ("train", "draws", "text", "trouble", "is_whole"),
    [
        (alternating, False, BOUND, None, True),
        (alternating, False, BOTH, Objection.CHANGES_HEALTHY_STEPS, True),
        (alternating, True, BOTH, Objection.CHANGES_HEALTHY_STEPS, True),
        (several, False, BOUND, None, False),
    ],
)
def test_a_fix_may_not_change_the_update_of_another_network(
    train, draws, text, trouble, is_whole, monkeypatch, tmp_path
):
    found = []

    def tried(step, diagnosis, wider, healthy, path):
        trials = PatchTrials(step, diagnosis, wider, healthy, path)
        source = SourceFile.of(__file__)
        start = source.text.index(f"p.log()  # {train.__name__}")
        piece = Replacement(start, start + len("p.log()"), text)
        edit = TemplateEdit(source, "clamp", (piece,), does=BoundAdded(BoundedPart.ARGUMENT))
        found.append(trials.trial(AppliedPatch.start(source).edited(edit, None)))

    pipeline = importlib.import_module("stayfinite.explanation.pipeline")
    monkeypatch.setattr(pipeline, "find_source_fix", tried)
    with pytest.raises(stayfinite.NonFiniteError), stayfinite.watching(keep=tmp_path):
        train(Pair(), draws=draws)
    [fix] = found
    assert fix.experiment.finite
    assert fix.trouble is trouble
    assert fix.is_whole is is_whole
