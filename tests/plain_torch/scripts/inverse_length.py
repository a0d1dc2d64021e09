import torch
from torch import nn

torch.manual_seed(0)
x = torch.randn(64, 8)
x[22] = 0.0
model = nn.Linear(8, 4, bias=False)
optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
for first in range(0, 64, 8):
    out = model(x[first : first + 8])
    loss = (1.0 / (out.norm(dim=1) ** 2)).mean()  # <- here
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
