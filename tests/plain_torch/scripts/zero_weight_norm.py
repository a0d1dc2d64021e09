import torch
from torch.nn.utils.parametrizations import weight_norm

torch.manual_seed(0)
layer = torch.nn.Linear(4, 3)
torch.nn.init.zeros_(layer.weight)
layer = weight_norm(layer)  # <- here
optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
for _ in range(3):
    optimizer.zero_grad()
    layer(torch.randn(8, 4)).square().mean().backward()
    optimizer.step()
