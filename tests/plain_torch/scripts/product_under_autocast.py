import math

import torch
from torch import nn

torch.manual_seed(0)


class Attention(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.width = width
        self.q = nn.Linear(width, width)
        self.k = nn.Linear(width, width)
        self.out = nn.Linear(6, 1)

    def forward(self, x):
        q, k = self.q(x), self.k(x)
        scores = torch.matmul(q, k.transpose(1, 2))  # <- here
        return self.out(torch.softmax(scores / math.sqrt(self.width), dim=-1)).squeeze(-1)


model = Attention(8)
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
for number in range(8):
    x = torch.randn(4, 6, 8) * (400.0 if number == 5 else 1.0)
    with torch.autocast("cpu", torch.float16):
        loss = model(x).float().square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
