"""The values of each row over its sum, and one row is empty."""

import torch

torch.manual_seed(0)
model = torch.nn.Linear(2, 1, bias=False)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
inputs = torch.rand(4, 5, 2) + 0.5
inputs[2, 1] = 0.0

for x in inputs:
    scale = (1 / x.shape[0]) / x.sum(-1)  # <- here
    loss = (scale * model(x)[:, 0] - 0.1).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
