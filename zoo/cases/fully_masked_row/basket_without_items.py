"""Attention pooling over the items of a basket, in bfloat16 autocast, fed by a stream.

A basket that was given back holds no item, and all its scores are -inf.
"""
# /// zoo
# cause = "fully-masked-row"
# step = 6
# rows = [0]
# fix = "source"
# value = "undefined"
# backends = ["plain-torch"]
# stands_for = ["F01", "F03"]
# ///

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
        score = torch.where(present, score, float("-inf"))
        weights = torch.softmax(score, dim=1)  # at fault
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
