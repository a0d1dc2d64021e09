"""The source of `next` and the step draw random numbers; a list is bound anew before the update."""

import torch
from torch import nn


def batches():
    number = 0
    while True:
        number += 1
        x = torch.randn(8, 4)
        if number == 10:
            x[2] = 0
        yield x


torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 16), nn.Dropout(0.2), nn.Linear(16, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)
data = batches()
pending = []
for number in range(14):
    real = next(data)
    real = 2 * real
    pending.append(real + torch.rand(4) * (real.sum() != 0))
    if len(pending) < 2:
        continue
    real = real / real.norm(dim=1, keepdim=True)  # <- here
    loss = sum(model(each).square().mean() for each in [*pending, real])
    loss = loss + model(torch.randn(3, 4)).mean()
    pending = []
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
