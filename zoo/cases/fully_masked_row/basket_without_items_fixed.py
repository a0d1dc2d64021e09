"""The same training; an empty basket has weights of 0."""

import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset


class Baskets(IterableDataset):
    def __init__(self, number):
        self.number = number

    def __iter__(self):
        draw = torch.Generator().manual_seed(21)
        for i in range(self.number):
            count = 0 if i == 6 * 8 else int(torch.randint(1, 6, (1,), generator=draw))
            items = torch.randn(6, 5, generator=draw)
            yield items, torch.arange(6) < count, items[:, 0].sum() * 0.1


class Pool(nn.Module):
    def __init__(self):
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(5, 16), nn.ReLU())
        self.score = nn.Linear(16, 1)
        self.price = nn.Linear(16, 1)

    def forward(self, items, present):
        h = self.encode(items)
        score = self.score(h).squeeze(-1)
        filled = present.any(dim=1, keepdim=True)
        score = torch.where(present | ~filled, score, float("-inf"))
        weights = torch.softmax(score, dim=1) * filled
        return self.price((weights.unsqueeze(-1) * h).sum(1)).squeeze(-1)


torch.manual_seed(21)
model = Pool()
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
for items, present, price in DataLoader(Baskets(96), batch_size=8):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = (model(items, present).float() - price).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"last loss {loss.item():.4f}")
