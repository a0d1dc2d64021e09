"""Heteroscedastic regression: mean and log-variance of a load forecast.

For a substation that is switched off the network is so sure of itself that exp(-log-variance) is
infinite.
"""
# /// zoo
# cause = "overflow"
# step = 11
# rows = [0]
# fix = "source"
# value = "bounded"
# backends = ["plain-torch"]
# stands_for = ["D03"]
# ///

import copy

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


class Forecaster(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 24), nn.ReLU())
        self.mean = nn.Linear(24, 1)
        self.log_variance = nn.Linear(24, 1)
        nn.init.constant_(self.log_variance.weight, -0.1)

    def forward(self, x):
        h = self.body(x)
        return self.mean(h), self.log_variance(h)


class EMA:
    """An exponential moving average of the weights, used for evaluation."""

    def __init__(self, model, decay=0.98):
        self.shadow, self.decay = copy.deepcopy(model).requires_grad_(False), decay

    @torch.no_grad()
    def update(self, model):
        for mine, theirs in zip(self.shadow.parameters(), model.parameters()):
            mine.lerp_(theirs, 1.0 - self.decay)


torch.manual_seed(13)
x = torch.randn(160, 6)
x[11 * 8] = -300.0  # what the meter says when it is switched off
y = x[:, :1].clamp(-3, 3) + 0.1 * torch.randn(160, 1)
model = Forecaster()
ema = EMA(model)
opt = torch.optim.NAdam(model.parameters(), lr=1e-3)
for inputs, target in DataLoader(TensorDataset(x, y), batch_size=8):
    opt.zero_grad()
    mean, log_variance = model(inputs)
    precision = torch.exp(-log_variance)  # at fault
    nll = 0.5 * (precision * (target - mean) ** 2 + log_variance).mean()
    nll.backward()
    opt.step()
    ema.update(model)
with torch.no_grad():
    print("final", (ema.shadow(x[:8])[0] - y[:8]).abs().mean().item())
