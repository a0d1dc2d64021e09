"""The same training with the deviation of a whole population, which one picture has."""

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Views(Dataset):
    """Two noisy views of each picture."""

    def __init__(self, number):
        self.pictures = torch.randn(number, 20)

    def __len__(self):
        return len(self.pictures)

    def __getitem__(self, index):
        picture = self.pictures[index]
        return picture + 0.1 * torch.randn(20), picture + 0.1 * torch.randn(20)


def spread(z):
    return torch.relu(1.0 - z.std(dim=0, correction=0)).mean()


def train_one_epoch(encoder, loader, optimizer):
    encoder.train()
    total = 0.0
    for one, other in loader:
        a, b = encoder(one), encoder(other)
        loss = 25.0 * (a - b).square().mean() + 25.0 * (spread(a) + spread(b))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    return total / len(loader)


torch.manual_seed(4)
encoder = nn.Sequential(nn.Linear(20, 32), nn.LayerNorm(32), nn.GELU(), nn.Linear(32, 8))
optimizer = torch.optim.AdamW(encoder.parameters(), lr=1e-3)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=2)
loader = DataLoader(Views(97), batch_size=8)
for epoch in range(2):
    print("epoch", epoch, train_one_epoch(encoder, loader, optimizer))
    scheduler.step()
