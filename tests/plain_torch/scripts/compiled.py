"""Model and loss are compiled; one row of zeros makes the gradient of the loss infinite."""

import torch
from torch import nn

torch.manual_seed(0)
x, y = torch.rand(64, 8), torch.rand(64, 1)
x[37] = 0.0
net = nn.Sequential(nn.Linear(8, 16, bias=False), nn.ReLU(), nn.Linear(16, 1, bias=False))
model = torch.compile(net, backend="aot_eager")


@torch.compile(backend="aot_eager")
def loss_of(out, labels):
    return (torch.sqrt(out.square()) - labels).square().mean()  # <- here


optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)
for begin in range(0, 64, 8):
    inputs, labels = x[begin : begin + 8], y[begin : begin + 8]
    optimizer.zero_grad()
    loss = loss_of(model(inputs), labels)
    loss.backward()
    optimizer.step()
