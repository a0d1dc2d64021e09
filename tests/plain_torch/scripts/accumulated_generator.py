"""Gradients of three batches of a generator are added up; the eighth batch has a row of zeros."""

import torch
from torch import nn

torch.manual_seed(0)
x = torch.randn(96, 8)
x[60] = 0


def batches(size):
    for start in range(0, len(x), size):
        yield x[start : start + size]


model = nn.Sequential(nn.Linear(8, 16), nn.Dropout(0.2), nn.Linear(16, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for number, batch in enumerate(batches(8), 1):
    unit = batch / batch.norm(dim=1, keepdim=True)  # <- here
    loss = model(unit).square().mean() / 3
    loss.backward()
    if number % 3 == 0:
        optimizer.step()
        optimizer.zero_grad()
