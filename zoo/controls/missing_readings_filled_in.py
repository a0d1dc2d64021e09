"""Readings with gaps: each is filled in and marked, in a dataset that holds NaN."""
# /// zoo
# backends = ["plain-torch"]
# stands_for = ["I01"]
# ///

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Readings(Dataset):
    def __init__(self):
        rng = np.random.default_rng(6)
        self.values = rng.normal(size=(96, 4)).astype("float32")
        self.values[rng.random((96, 4)) < 0.2] = np.nan
        self.target = np.nansum(self.values, axis=1, keepdims=True).astype("float32")

    def __len__(self):
        return 96

    def __getitem__(self, i):
        return self.values[i], self.target[i]


torch.manual_seed(6)
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=4)
for values, target in DataLoader(Readings(), batch_size=32):
    known = ~torch.isnan(values)
    features = torch.cat([torch.where(known, values, 0.0), known.float()], dim=1)

    def closure():
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(features), target)
        loss.backward()
        return loss

    print(optimizer.step(closure).item())
