"""The determinant of a kernel of two points, which float64 tells apart and float32 does not."""

import torch
from torch import nn

torch.manual_seed(0)
scale = nn.Parameter(torch.ones(1))
optimizer = torch.optim.SGD([scale], lr=1e-3)

for step in range(3):
    points = torch.tensor([0.0, 1.0 if step < 2 else 1e-5])
    kernel = torch.exp(-((points[:, None] - points) ** 2) * scale)
    loss = -torch.logdet(kernel)  # <- here
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
