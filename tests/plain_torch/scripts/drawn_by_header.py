"""What is drawn between two updates: by the generator in the header, and by a validation."""

import torch
from torch import nn


def batches(x):
    for rows in torch.randperm(len(x)).split(8):
        yield x[rows]


torch.manual_seed(0)
data = torch.rand(32, 4) + 0.1
model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
mean = torch.zeros(())
for epoch in range(3):
    for number, x in enumerate(batches(data)):
        mean = 0.9 * mean + 0.1 * x.mean()
        loss = model(x).mean() * (1 + mean)
        if epoch == 2:
            loss = loss + torch.sqrt(x.amin() * 0 * model[0].weight.sum())  # <- here
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        print(model(data + 0.01 * torch.randn(32, 4)).mean())
