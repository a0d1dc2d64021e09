"""The same training; a point outside is put back into the ball."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def inside(point):
    return point / (point.norm(dim=-1, keepdim=True) / 0.99).clamp(min=1.0)


class Poincare(nn.Module):
    def __init__(self, number, width):
        super().__init__()
        self.points = nn.Embedding(number, width)
        nn.init.uniform_(self.points.weight, -0.3, 0.3)

    def forward(self, u, v):
        u, v = (inside(self.points(which)) for which in (u, v))
        apart = (u - v).pow(2).sum(-1)
        room = (1 - u.pow(2).sum(-1)) * (1 - v.pow(2).sum(-1))
        return torch.acosh(1 + 2 * apart / room + 1e-6)


torch.manual_seed(28)
pairs = torch.combinations(torch.arange(20))[torch.randperm(190)]
related = (pairs[:, 0] // 2 == pairs[:, 1] // 2).float()
loader = DataLoader(TensorDataset(pairs, related), batch_size=10)
model = Poincare(20, 3)
optimizer = torch.optim.SGD(model.parameters(), lr=0.5)

for epoch in range(3):
    for pair, is_related in loader:
        distance = model(pair[:, 0], pair[:, 1])
        loss = nn.functional.binary_cross_entropy_with_logits(1.5 - distance, is_related)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
