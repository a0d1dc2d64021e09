"""A learning rate that falls as the root of what is left; the training is longer than planned.

Loss and gradients are finite. The root of a negative number makes the learning rate NaN.
"""
# /// zoo
# cause = "bad-update"
# step = 25
# fix = "source"
# value = "undefined"
# backends = ["plain-torch"]
# stands_for = ["K08", "plain-torch 8"]
# ///

import warnings

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

warnings.simplefilter("ignore", RuntimeWarning)


class Run:
    def __init__(self, planned, lr):
        self.planned, self.lr, self.step = planned, lr, 0
        self.model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=lr)

    def adjust(self):
        left = np.float64(self.planned - self.step) / self.planned
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr * np.sqrt(left)

    def train(self, loader, epochs):
        for epoch in range(epochs):
            for x, y in loader:
                self.adjust()
                self.optimizer.zero_grad()
                loss = nn.functional.mse_loss(self.model(x), y)
                loss.backward()
                self.optimizer.step()
                self.step += 1
            print(epoch, loss.item())


torch.manual_seed(41)
x = torch.randn(64, 4)
loader = DataLoader(TensorDataset(x, x[:, :1]), batch_size=8)
Run(planned=24, lr=0.05).train(loader, epochs=4)
