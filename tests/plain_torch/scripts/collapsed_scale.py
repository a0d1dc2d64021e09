"""Every gradient is NaN, so the loss scale falls from 16 to 1 and the fifth step is bad."""

import torch
from torch import nn

torch.manual_seed(0)
x, y = torch.rand(64, 8), torch.rand(64, 1)
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
scaler = torch.amp.GradScaler("cpu", init_scale=16.0)
for _ in range(40):
    optimizer.zero_grad()
    distance = torch.sqrt((model(x) - y).square().sum(dim=0) * 0.0)  # <- here
    loss = distance.mean() + (model(x) - y).square().mean()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
