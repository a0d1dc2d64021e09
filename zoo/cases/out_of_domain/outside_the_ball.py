"""Hyperbolic embeddings of a taxonomy in the Poincare ball.

A step of the optimizer takes a point out of the ball, and the argument of the inverse hyperbolic
cosine falls below 1.
"""
# /// zoo
# cause = "out-of-domain"
# step = 9
# fix = "source"
# value = "undefined"
# backends = ["plain-torch"]
# stands_for = ["C06", "plain-torch 1.2"]
# ///

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Poincare(nn.Module):
    def __init__(self, number, width):
        super().__init__()
        self.points = nn.Embedding(number, width)
        nn.init.uniform_(self.points.weight, -0.3, 0.3)

    def forward(self, u, v):
        u, v = self.points(u), self.points(v)
        apart = (u - v).pow(2).sum(-1)
        room = (1 - u.pow(2).sum(-1)) * (1 - v.pow(2).sum(-1))
        return torch.acosh(1 + 2 * apart / room + 1e-6)  # at fault


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
