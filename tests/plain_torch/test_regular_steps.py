"""Steps that are made as the one before have all that is noted of any other step."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import stayfinite
from stayfinite.frameworks.torch.plain.notes import StepNotes
from stayfinite.frameworks.torch.plain.training import Training
from stayfinite.frameworks.torch.plain.watching import WATCHING


def over_a_loader(model, optimizer):
    data = TensorDataset(torch.randn(64, 4), torch.randn(64, 2))
    for inputs, targets in DataLoader(data, 4):
        optimizer.zero_grad()
        nn.functional.mse_loss(model(inputs), targets).backward()
        optimizer.step()


def without_loader(model, optimizer):
    for _ in range(16):
        optimizer.zero_grad()
        model(torch.randn(4, 4)).square().mean().backward()
        optimizer.step()


def test_no_field_is_left_out(tmp_path, monkeypatch):
    irregular, noted = [], []
    plain_update, plain_made = StepNotes.update, Training.made

    def update(*args):
        irregular.append(args)
        return plain_update(*args)

    def made(*args):
        noted.extend(args[4:])
        noted.extend(WATCHING.notes.events.alone())
        noted.extend(event.generators for event in WATCHING.notes.events.alone())
        noted.append(args[2])
        return plain_made(*args)

    monkeypatch.setattr(StepNotes, "update", update)
    monkeypatch.setattr(Training, "made", made)
    for train in (over_a_loader, without_loader):
        model = nn.Linear(4, 2)
        optimizer = torch.optim.Adam(model.parameters())
        with stayfinite.watching(keep=tmp_path):
            train(model, optimizer)
        assert 0 < len(irregular) < 16 / 2
        irregular.clear()
    tuples = [each for each in noted if each is not None]
    kinds = {type(each).__name__ for each in tuples}
    assert kinds == {"Applied", "Draw", "Generators", "NotedStep", "StepPlace"}
    assert all(len(each) == len(each._fields) for each in tuples)
    places = [reading for each in tuples for reading in getattr(each, "readings", {}).values()]
    assert places and all(len(each) == len(each._fields) for each in places)
