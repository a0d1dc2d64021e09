"""A loop that looks at its loss itself and leaves a bad batch out: nothing is to be stopped."""
# /// zoo
# backends = ["plain-torch"]
# stands_for = ["Lightning#4956"]
# ///

import math

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Trainer:
    def __init__(self):
        self.model = nn.Linear(5, 1)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-2)
        self.left_out = 0

    def fit(self, loader):
        for x, y in loader:
            loss = nn.functional.mse_loss(self.model(x), y)
            if not math.isfinite(loss.item()):
                self.left_out += 1
                continue
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()


torch.manual_seed(2)
x = torch.randn(160, 5)
x[83, 2] = float("nan")
trainer = Trainer()
trainer.fit(DataLoader(TensorDataset(x, torch.randn(160, 1)), batch_size=8))
print("left out", trainer.left_out)
