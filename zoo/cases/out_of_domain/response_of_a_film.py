"""Fits the gamma curve of a camera: a corrected brightness to a learned power.

The correction makes a dark pixel negative, which has no power of 2.2.
"""
# /// zoo
# cause = "out-of-domain"
# step = 4
# rows = [1]
# fix = "source"
# value = "undefined"
# backends = ["plain-torch"]
# stands_for = ["C06"]
# ///

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Camera(nn.Module):
    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(1.1))
        self.black = nn.Parameter(torch.tensor(0.02))
        self.gamma = nn.Parameter(torch.tensor(2.2))

    def forward(self, raw):
        linear = self.gain * (raw - self.black)
        return linear**self.gamma  # at fault


def fit(camera, loader, *, epochs, lr):
    optimizer = torch.optim.Adam(camera.parameters(), lr=lr)
    for epoch in range(epochs):
        total = torch.zeros(())
        for raw, seen in loader:
            optimizer.zero_grad()
            loss = (camera(raw) - seen).abs().mean()
            loss.backward()
            optimizer.step()
            total += loss.detach()
        print(epoch, (total / len(loader)).item())


torch.manual_seed(29)
raw = torch.rand(80, 16) * 0.9 + 0.1
seen = (1.05 * raw) ** 2
raw[4 * 8 + 1, 7] = 0.001
fit(Camera(), DataLoader(TensorDataset(raw, seen), batch_size=8), epochs=2, lr=1e-3)
