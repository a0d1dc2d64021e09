import torch
from torch import nn

torch.manual_seed(0)
weight = nn.Parameter(torch.randn(4, 3, dtype=torch.cfloat))
optimizer = torch.optim.Adam([weight], lr=1e-2)
signals = torch.randn(32, 4, dtype=torch.cfloat)
signals[21] = 0.0
for first in range(0, 32, 8):
    z = signals[first : first + 8] @ weight
    loss = (z / z.abs() - 1.0j).abs().square().mean()  # <- here
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
