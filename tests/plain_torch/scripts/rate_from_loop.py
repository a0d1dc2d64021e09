import math

import torch
import torch.nn as nn

torch.manual_seed(0)
x = torch.randn(32, 4)
model = nn.Linear(4, 1)
opt = torch.optim.SGD(model.parameters(), lr=0.1)
planned = 3
for step in range(8):
    left = 1 - step / planned
    opt.param_groups[0]["lr"] = 0.1 * math.sqrt(left) if left >= 0 else math.nan
    opt.zero_grad()
    loss = (model(x) - x[:, :1]).square().mean()
    loss.backward()
    opt.step()
