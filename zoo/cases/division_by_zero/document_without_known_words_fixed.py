"""The same training; a vector of 0 stays 0."""

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset


class Pairs(Dataset):
    def __init__(self):
        self.query = torch.randint(0, 3, (96, 12)).float() + torch.eye(12)[torch.arange(96) % 12]
        self.document = self.query + torch.randint(0, 2, (96, 12))
        self.document[9 * 8 + 5] = 0.0

    def __len__(self):
        return len(self.query)

    def __getitem__(self, i):
        return {"query": self.query[i], "document": self.document[i]}


class Tower(nn.Module):
    def __init__(self):
        super().__init__()
        self.project = nn.Linear(12, 8, bias=False)

    def forward(self, counts):
        v = self.project(counts)
        return v / v.norm(dim=1, keepdim=True).clamp_min(1e-6)


class DualEncoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.towers = nn.ModuleDict({"query": Tower(), "document": Tower()})
        self.temperature = 0.1

    def forward(self, batch):
        q, d = (self.towers[name](batch[name]) for name in ("query", "document"))
        return q @ d.T / self.temperature


torch.manual_seed(22)
model = DualEncoder()
optimizer = torch.optim.AdamW(
    [
        {"params": model.towers["query"].parameters(), "lr": 1e-3},
        {"params": model.towers["document"].parameters(), "lr": 5e-4},
    ]
)
loader = DataLoader(Pairs(), batch_size=8)
for epoch in range(2):
    for batch in loader:
        logits = model(batch)
        loss = nn.functional.cross_entropy(logits, torch.arange(len(logits)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(epoch, f"{loss.item():.4f}")
